/** Typing: told to who listens, kept nowhere. */

import { typingEvent } from '../../schema/events.ts'
import { isId } from '../../schema/ids.ts'
import type { AgentScope, Context } from './context.ts'
import { noConversation } from './conversations.ts'
import { type Claim, recordOnce, type Settled } from './idempotency.ts'
import { tell } from './record.ts'

/** Tells that an agent is typing; on a note, staff only. */
export const showTyping = async (
  context: Context,
  { workspace, user }: AgentScope,
  conversation: string,
  isPrivate: boolean,
  claim?: Claim,
): Promise<Settled<true>> => {
  const settled = await recordOnce(context, claim, async (tx) => {
    const [found] = isId('conversation', conversation)
      ? await tx`select 1 from conversations where workspace_id = ${workspace.id} and public_id = ${conversation}`
      : []
    if (!found) throw noConversation()
    return true as const
  })
  if (!settled.replayed) {
    tell(
      context,
      typingEvent({
        workspace: workspace.publicId,
        conversation,
        user: { id: user.publicId, name: user.name },
        isPrivate,
      }),
    )
  }
  return settled
}
