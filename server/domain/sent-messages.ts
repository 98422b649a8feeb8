/** Messages that were sent: each with its place in the conversation, found again as a retry finds it. */

import type { LoggedEvent } from '../../schema/events.ts'
import type { Fragment, Queryable } from '../db/sql.ts'
import type { MessageDraft } from './append.ts'
import type { Reach } from './context.ts'
import { noConversation } from './conversations.ts'
import { type MessageFacts, messageFacts } from './facts.ts'
import { reachedConversations } from './reach.ts'

/** A message with its number in the conversation. */
export type SentMessage = MessageFacts & { conversation_seq: number }

/** Returns the message that an append has logged; refuses where there was no such conversation. */
export const loggedMessage = (event: LoggedEvent | undefined): SentMessage => {
  if (!event || event.conversation_seq === null) throw noConversation()
  // The statement builds this payload with messageFacts.
  return { ...(event.payload as MessageFacts), conversation_seq: event.conversation_seq }
}

/** Reads rows `m` of messages in conversations `c`, in order, or the newest first. */
export const readMessages = async (
  sql: Queryable,
  where: Fragment,
  { limit, newestFirst = false }: { limit: number; newestFirst?: boolean },
): Promise<SentMessage[]> => {
  const rows = await sql<{ facts: MessageFacts; conversation_seq: number }[]>`
    select ${sql.unsafe(messageFacts('c.public_id'))} as facts, m.conversation_seq
      from messages m join conversations c on c.id = m.conversation_id
     where ${where} order by m.conversation_seq ${newestFirst ? sql`desc` : sql``} limit ${limit}`
  return rows.map(({ facts, conversation_seq }) => ({ ...facts, conversation_seq }))
}

/** Returns the message that an answer was kept of. */
export const recallMessage = async (sql: Queryable, reach: Reach, stored: unknown): Promise<SentMessage> => {
  const id = typeof stored === 'object' && stored !== null && 'id' in stored ? String(stored.id) : ''
  const [found] = await readMessages(sql, sql`${reachedConversations(sql, reach)} and m.public_id = ${id}`, {
    limit: 1,
  })
  if (!found) throw noConversation()
  return found
}

/** Returns the message of a conversation that has the client_id of a draft, if there is one. */
export const messageByClientId = async (sql: Queryable, draft: MessageDraft): Promise<SentMessage | undefined> => {
  if (draft.clientId === null) return undefined
  const [found] = await readMessages(
    sql,
    sql`${reachedConversations(sql, draft)} and c.public_id = ${draft.conversation} and m.client_id = ${draft.clientId}`,
    { limit: 1 },
  )
  return found
}
