/** Appending a message that comes with conditions: its files are free to be sent, and nothing newer has been said. */

import { HubbubError } from '../../schema/errors.ts'
import type { Attached } from '../../schema/muro/attachments.ts'
import { presentMessage } from '../../schema/muro/presenters.ts'
import type { Tx } from '../db/sql.ts'
import { appendMessage, appendWithFiles, type MessageDraft } from './append.ts'
import { lockUnsentFiles } from './attachments.ts'
import type { Context } from './context.ts'
import { noConversation } from './conversations.ts'
import { answerClaim, type Claim, insertClaim, type Settled, settle } from './idempotency.ts'
import { reachedConversations } from './reach.ts'
import { record } from './record.ts'
import { loggedMessage, messageByClientId, readMessages, recallMessage, type SentMessage } from './sent-messages.ts'

/** The files to be sent, by their ids and in that order; and the number of the last message that the sender saw. */
export type Conditions = { files: string[]; expectedSeq: number | undefined }

/**
 * Appends a message if its conditions hold. The conversation is locked first, so that nothing is said between the check
 * and the append; then its files, so that of two messages with one file only one is sent.
 */
export const appendGuarded = async (
  context: Context,
  draft: MessageDraft,
  conditions: Conditions,
  claim: Claim | undefined,
): Promise<Settled<SentMessage>> => {
  const attempt = async (): Promise<Settled<SentMessage>> =>
    await record(context, async (tx, log) => {
      if (claim) await insertClaim(tx, claim)
      const conversationId = await lockConversation(tx, draft)
      // Before the conditions: what was sent under this client_id fulfilled them then, and does not now.
      const sent = await messageByClientId(tx, draft)
      if (sent) {
        if (claim) await answerClaim(tx, claim, { id: sent.id })
        return { answer: sent, replayed: true }
      }
      await refuseIfNewer(tx, conversationId, conditions.expectedSeq)
      const files = await lockUnsentFiles(tx, draft, conditions.files)
      const events = await append(tx, draft, files)
      log.adopt(events)
      const answer = loggedMessage(events[0])
      if (claim) await answerClaim(tx, claim, { id: answer.id })
      return { answer, replayed: false }
    })
  if (!claim) return await attempt()
  const { answer } = await settle(context.sql, claim, attempt, async (stored) => ({
    answer: await recallMessage(context.sql, draft, stored),
    replayed: true,
  }))
  return answer
}

const append = (tx: Tx, draft: MessageDraft, files: Attached[]) =>
  files.length === 0 ? appendMessage(tx, draft, undefined) : appendWithFiles(tx, draft, files)

const lockConversation = async (tx: Tx, draft: MessageDraft): Promise<number> => {
  const [row] = await tx<{ id: number }[]>`
    select c.id from conversations c
     where ${reachedConversations(tx, draft)} and c.public_id = ${draft.conversation}
       for no key update`
  if (!row) throw noConversation()
  return row.id
}

/** So many newer messages are told at most: the oldest, so that whoever takes them in can go on from there. */
const maxNewer = 100

const refuseIfNewer = async (tx: Tx, conversationId: number, expectedSeq: number | undefined): Promise<void> => {
  if (expectedSeq === undefined) return
  const newer = await readMessages(
    tx,
    tx`m.conversation_id = ${conversationId} and m.conversation_seq > ${expectedSeq} and m.sender_type <> 'system'`,
    { limit: maxNewer },
  )
  if (newer.length === 0) return
  throw new HubbubError('newer_messages', 'There are newer messages in this conversation than you have seen.', {
    param: 'expected_seq',
    details: { messages: newer.map(presentMessage) },
  })
}
