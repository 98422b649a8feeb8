/** Conversations: reading one, and opening one toward a known contact. */

import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import type { OpenConversation } from '../../schema/muro/conversations.ts'
import type { Queryable, Tx } from '../db/sql.ts'
import type { AgentScope, Context, Reach } from './context.ts'
import { type ConversationFacts, conversationFacts } from './facts.ts'
import { type Claim, recordOnce, type Settled } from './idempotency.ts'
import { type ContactOnSite, insertConversation, reserveConversation } from './openings.ts'
import { reachedContacts, reachedConversations } from './reach.ts'
import type { Log } from './record.ts'

/** Returns one conversation that the scope reaches. */
export const readConversation = async (
  { sql }: { sql: Queryable },
  reach: Reach,
  id: string,
): Promise<ConversationFacts> => {
  const [found] = isId('conversation', id)
    ? await sql<{ facts: ConversationFacts }[]>`
        select ${sql.unsafe(conversationFacts)} as facts
          from conversations c where ${reachedConversations(sql, reach)} and c.public_id = ${id}`
    : []
  if (!found) throw noConversation()
  return found.facts
}

/** Returns the row and the site of a conversation that the scope reaches. */
export const findConversation = async (
  sql: Queryable,
  reach: Reach,
  id: string,
): Promise<{ id: number; site: string }> => {
  const [found] = isId('conversation', id)
    ? await sql<{ id: number; site: string }[]>`
        select c.id, w.public_id as site from conversations c join sites w on w.id = c.site_id
         where ${reachedConversations(sql, reach)} and c.public_id = ${id}`
    : []
  if (!found) throw noConversation()
  return found
}

/** Returns the error for an id that names no conversation within reach. */
export const noConversation = (): HubbubError => new HubbubError('not_found', 'No such conversation.')

/**
 * Opens a conversation toward a contact, in the name of an agent, with a first message or empty. It is on the contact's
 * site; a pinned scope opens it on its own, which may be another where the contact has been there too.
 */
export const openConversation = async (
  context: Context,
  scope: AgentScope,
  { visitor_id, content }: OpenConversation,
  claim?: Claim,
): Promise<Settled<ConversationFacts>> => {
  const { workspace, site, user } = scope
  const open = async (tx: Tx, log: Log) => {
    const place = await reserveConversation(tx, workspace)
    // The key share that the new row's foreign key needs is taken here, before the head is locked.
    const [contact] = await tx<
      { id: number; publicId: string; siteId: number; sitePublicId: string; agentName: string | null }[]
    >`
      select v.id, v.public_id as "publicId", w.id as "siteId", w.public_id as "sitePublicId", w.agent_name as "agentName"
        from contacts v join sites w on w.id = ${site === null ? tx`v.site_id` : tx`${site.id}`}
       where ${reachedContacts(tx, scope)} and v.public_id = ${visitor_id}
         for key share of v`
    if (!contact) throw new HubbubError('invalid', 'visitor_id: no such contact', { param: 'visitor_id' })
    const { id, publicId, siteId, sitePublicId, agentName } = contact
    const onSite: ContactOnSite = { id, publicId, site: { id: siteId, publicId: sitePublicId } }
    const author = agentName ?? user.name
    const first = { senderType: 'agent', senderId: user.publicId, author, content: content ?? '' } as const
    const messages = content === undefined ? [] : [first]
    await insertConversation(tx, log, { workspace, place, contact: onSite, messages })
    return await readConversation({ sql: tx }, scope, place.publicId)
  }
  return await recordOnce(context, claim, open, async ({ id }) => {
    await findConversation(context.sql, scope, id)
  })
}
