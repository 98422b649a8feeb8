/** Messages: sending and receiving them, and reading them in the conversation's order. */

import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import type { SendMessage } from '../../schema/muro/messages.ts'
import { type Sql, violatedUnique } from '../db/sql.ts'
import { appendMessage, type MessageDraft } from './append.ts'
import type { AgentScope, Context, Reach, VisitorScope } from './context.ts'
import { findConversation, noConversation } from './conversations.ts'
import { appendGuarded, type Conditions } from './guarded-append.ts'
import { type Claim, type Settled, settle } from './idempotency.ts'
import { recordStatement } from './record.ts'
import { loggedMessage, messageByClientId, readMessages, recallMessage, type SentMessage } from './sent-messages.ts'

/** Sends what an agent says: a reply that the visitor sees, or a note. Files alone are enough. */
export const sendMessage = async (
  context: Context,
  scope: AgentScope,
  conversation: string,
  { content = '', kind, client_id, attachment_ids = [], expected_seq }: SendMessage,
  claim?: Claim,
): Promise<Settled<SentMessage>> =>
  await append(
    context,
    {
      workspace: scope.workspace,
      site: scope.site,
      conversation,
      senderType: kind,
      senderId: scope.user.publicId,
      author: scope.user.name,
      contactId: null,
      content,
      clientId: client_id ?? null,
    },
    { files: attachment_ids, expectedSeq: expected_seq },
    claim,
  )

/** Receives what the visitor says, and the files they send; it reopens a conversation that is closed or snoozed. */
export const receiveMessage = async (
  context: Context,
  { workspace, site, conversation, contact }: VisitorScope,
  content: string,
  claim?: Claim,
  files: string[] = [],
): Promise<Settled<SentMessage>> =>
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
    { files, expectedSeq: undefined },
    claim,
  )

const append = async (
  context: Context,
  draft: MessageDraft,
  conditions: Conditions,
  claim: Claim | undefined,
): Promise<Settled<SentMessage>> => {
  if (!isId('conversation', draft.conversation)) throw noConversation()
  if (conditions.files.length > 0 || conditions.expectedSeq !== undefined) {
    return await appendGuarded(context, draft, conditions, claim)
  }
  const attempt = async (): Promise<SentMessage> => {
    const [event] = await recordStatement(context, (sql) => appendMessage(sql, draft, claim))
    return loggedMessage(event)
  }
  try {
    if (!claim) return { answer: await attempt(), replayed: false }
    return await settle(context.sql, claim, attempt, (stored) => recallMessage(context.sql, draft, stored))
  } catch (error) {
    if (draft.clientId === null || violatedUnique(error) !== 'messages_client_id') throw error
    const sent = await messageByClientId(context.sql, draft)
    if (!sent) throw noConversation()
    return { answer: sent, replayed: true }
  }
}

/**
 * Returns a conversation's messages in order: after a position, a message or a time; and where the next page begins.
 * `newest` takes the last `limit` of them instead of the first, and the next page begins `before` them.
 */
export const listMessages = async (
  { sql }: Context,
  reach: Reach,
  conversation: string,
  from: {
    position: number
    before?: number | undefined
    limit: number
    since?: string | undefined
    after?: string | undefined
    heardByVisitor?: boolean
    newest?: boolean
  },
): Promise<{ messages: SentMessage[]; next: number | null }> => {
  const { position, before, limit, since, after, heardByVisitor = false, newest = false } = from
  const found = await findConversation(sql, reach, conversation)
  const start = Math.max(
    position,
    after === undefined ? 0 : await positionOf(sql, found.id, after),
    since === undefined ? 0 : await positionAt(sql, found.id, since),
  )
  const rows = await readMessages(
    sql,
    sql`m.conversation_id = ${found.id} and m.conversation_seq > ${start}
        ${before === undefined ? sql`` : sql`and m.conversation_seq < ${before}`}
        ${heardByVisitor ? sql`and m.sender_type in ('visitor', 'agent')` : sql``}`,
    { limit: limit + 1, newestFirst: newest },
  )
  const messages = rows.slice(0, limit)
  const last = messages.at(-1)
  if (newest) messages.reverse()
  return { messages, next: rows.length > limit ? (last?.conversation_seq ?? null) : null }
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
