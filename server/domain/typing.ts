/** Typing: told to who listens, kept nowhere. */

import { typingEvent } from '../../schema/events.ts'
import type { AgentScope, Context } from './context.ts'
import { findConversation } from './conversations.ts'
import { type Claim, recordOnce, type Settled } from './idempotency.ts'
import { tell } from './record.ts'

/** Tells that an agent is typing; on a note, staff only. */
export const showTyping = async (
  context: Context,
  scope: AgentScope,
  conversation: string,
  isPrivate: boolean,
  claim?: Claim,
): Promise<Settled<true>> => {
  const { workspace, user } = scope
  const { site } = await findConversation(context.sql, scope, conversation)
  const settled: Settled<true> = claim
    ? await recordOnce(
        context,
        claim,
        async () => true as const,
        () => undefined,
      )
    : { answer: true, replayed: false }
  if (!settled.replayed) {
    tell(
      context,
      typingEvent({
        workspace: workspace.publicId,
        site,
        conversation,
        user: { id: user.publicId, name: user.name },
        isPrivate,
      }),
    )
  }
  return settled
}
