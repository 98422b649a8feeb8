/** Conversations: reading one, and opening one toward a known contact. */

import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import type { OpenConversation } from '../../schema/muro.ts'
import type { Queryable } from '../db/sql.ts'
import type { AgentScope, Context, Workspace } from './context.ts'
import { type ConversationFacts, conversationFacts } from './facts.ts'
import { type Claim, recordOnce, type Settled } from './idempotency.ts'
import { type ContactOfSite, insertConversation, reserveConversation } from './openings.ts'

/** Returns one conversation of the workspace. */
export const readConversation = async (
  { sql }: { sql: Queryable },
  { workspace }: { workspace: Workspace },
  id: string,
): Promise<ConversationFacts> => {
  const [found] = isId('conversation', id)
    ? await sql<{ facts: ConversationFacts }[]>`
        select ${sql.unsafe(conversationFacts)} as facts
          from conversations c where c.workspace_id = ${workspace.id} and c.public_id = ${id}`
    : []
  if (!found) throw noConversation()
  return found.facts
}

/** Returns the error for an id that names no conversation of the workspace. */
export const noConversation = (): HubbubError => new HubbubError('not_found', 'No such conversation.')

/** Opens a conversation toward a contact, in the name of an agent, with a first message or empty. */
export const openConversation = async (
  context: Context,
  scope: AgentScope,
  { visitor_id, content }: OpenConversation,
  claim?: Claim,
): Promise<Settled<ConversationFacts>> =>
  await recordOnce(context, claim, async (tx, log) => {
    const { workspace, user } = scope
    const place = await reserveConversation(tx, workspace)
    // The key share that the new row's foreign key needs is taken here, before the head is locked.
    const [contact] = await tx<ContactOfSite[]>`
      select c.id, c.public_id as "publicId", s.id as "siteId", s.public_id as "sitePublicId"
        from contacts c join sites s on s.id = c.site_id
       where c.workspace_id = ${workspace.id} and c.public_id = ${visitor_id}
         for key share of c`
    if (!contact) throw new HubbubError('invalid', 'visitor_id: no such contact', { param: 'visitor_id' })
    const first = { senderType: 'agent', senderId: user.publicId, author: user.name, content: content ?? '' } as const
    await insertConversation(tx, log, { workspace, place, contact, messages: content === undefined ? [] : [first] })
    return await readConversation({ sql: tx }, scope, place.publicId)
  })
