/** Messages: sending and receiving them, and reading them in the conversation's order. */

import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import { type Sql, violatedUnique } from '../db/sql.ts'
import { appendMessage, type MessageDraft } from './append.ts'
import type { AgentScope, Context, Reach, VisitorScope } from './context.ts'
import { findConversation, noConversation } from './conversations.ts'
import { type MessageFacts, messageFacts } from './facts.ts'
import { type Claim, type Settled, settle } from './idempotency.ts'
import { reachedConversations } from './reach.ts'
import { recordStatement } from './record.ts'

/** Sends what an agent says: a reply that the visitor sees, or a note. */
export const sendMessage = async (
  context: Context,
  scope: AgentScope,
  conversation: string,
  message: { content: string; kind: 'agent' | 'note'; client_id?: string | undefined },
  claim?: Claim,
): Promise<Settled<MessageFacts>> =>
  await append(
    context,
    {
      workspace: scope.workspace,
      site: scope.site,
      conversation,
      senderType: message.kind,
      senderId: scope.user.publicId,
      author: scope.user.name,
      contactId: null,
      content: message.content,
      clientId: message.client_id ?? null,
    },
    claim,
  )

/** Receives what the visitor says; it reopens a conversation that is closed or snoozed. */
export const receiveMessage = async (
  context: Context,
  { workspace, site, conversation, contact }: VisitorScope,
  content: string,
  claim?: Claim,
): Promise<Settled<MessageFacts>> =>
  await append(
    context,
    {
      workspace,
      site,
      conversation: conversation.publicId,
      senderType: 'visitor',
      senderId: contact.publicId,
      author: contact.name,
      contactId: contact.id,
      content,
      clientId: null,
    },
    claim,
  )

const append = async (
  context: Context,
  draft: MessageDraft,
  claim: Claim | undefined,
): Promise<Settled<MessageFacts>> => {
  if (!isId('conversation', draft.conversation)) throw noConversation()
  const attempt = async (): Promise<MessageFacts> => {
    const [event] = await recordStatement(context, (sql) => appendMessage(sql, draft, claim))
    if (!event) throw noConversation()
    // The statement builds this payload with messageFacts.
    return event.payload as MessageFacts
  }
  try {
    if (!claim) return { answer: await attempt(), replayed: false }
    return await settle(context.sql, claim, attempt, (stored) => recallMessage(context.sql, draft, stored))
  } catch (error) {
    if (draft.clientId === null || violatedUnique(error) !== 'messages_client_id') throw error
    return { answer: await messageByClientId(context.sql, draft), replayed: true }
  }
}

/**
 * Returns a conversation's messages in order: after a position, a message or a time; and where the next page begins.
 * `newest` takes the last `limit` of them instead of the first.
 */
export const listMessages = async (
  { sql }: Context,
  reach: Reach,
  conversation: string,
  from: {
    position: number
    limit: number
    since?: string | undefined
    after?: string | undefined
    heardByVisitor?: boolean
    newest?: boolean
  },
): Promise<{ messages: MessageFacts[]; next: number | null }> => {
  const { position, limit, since, after, heardByVisitor = false, newest = false } = from
  const found = await findConversation(sql, reach, conversation)
  const start = Math.max(
    position,
    after === undefined ? 0 : await positionOf(sql, found.id, after),
    since === undefined ? 0 : await positionAt(sql, found.id, since),
  )
  const rows = await sql<{ facts: MessageFacts; conversation_seq: number }[]>`
    select ${sql.unsafe(messageFacts('c.public_id'))} as facts, m.conversation_seq
      from messages m join conversations c on c.id = m.conversation_id
     where m.conversation_id = ${found.id} and m.conversation_seq > ${start}
       ${heardByVisitor ? sql`and m.sender_type in ('visitor', 'agent')` : sql``}
     order by m.conversation_seq ${newest ? sql`desc` : sql``}
     limit ${limit + 1}`
  const page = rows.slice(0, limit)
  if (newest) page.reverse()
  return {
    messages: page.map(({ facts }) => facts),
    next: rows.length > limit ? (page.at(-1)?.conversation_seq ?? null) : null,
  }
}

const positionOf = async (sql: Sql, conversationId: number, message: string) => {
  const [found] = await sql<{ conversation_seq: number }[]>`
    select conversation_seq from messages where conversation_id = ${conversationId} and public_id = ${message}`
  if (!found) throw new HubbubError('invalid', 'after: no such message in this conversation', { param: 'after' })
  return found.conversation_seq
}

// Times rise with numbers in a conversation, so the newest message that is not later marks the place.
const positionAt = async (sql: Sql, conversationId: number, since: string) => {
  const [found] = await sql<{ conversation_seq: number }[]>`
    select conversation_seq from messages
     where conversation_id = ${conversationId} and created_at <= ${since}::timestamptz
     order by conversation_seq desc limit 1`
  return found?.conversation_seq ?? 0
}

const recallMessage = async (sql: Sql, reach: Reach, stored: unknown): Promise<MessageFacts> => {
  const id = typeof stored === 'object' && stored !== null && 'id' in stored ? String(stored.id) : ''
  const [found] = await sql<{ facts: MessageFacts }[]>`
    select ${sql.unsafe(messageFacts('c.public_id'))} as facts
      from messages m join conversations c on c.id = m.conversation_id
     where ${reachedConversations(sql, reach)} and m.public_id = ${id}`
  if (!found) throw noConversation()
  return found.facts
}

const messageByClientId = async (sql: Sql, draft: MessageDraft): Promise<MessageFacts> => {
  const [found] = await sql<{ facts: MessageFacts }[]>`
    select ${sql.unsafe(messageFacts('c.public_id'))} as facts
      from messages m join conversations c on c.id = m.conversation_id
     where ${reachedConversations(sql, draft)} and c.public_id = ${draft.conversation} and m.client_id = ${draft.clientId}`
  if (!found) throw noConversation()
  return found.facts
}
