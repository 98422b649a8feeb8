/** Summaries: what a conversation was about, in a few points, written by the AI. */

import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import type { Summary } from '../../schema/muro/summaries.ts'
import { type Ai, unusable } from '../ai/ai.ts'
import { readBullets } from '../ai/bullets.ts'
import { type ThreadMessage, writeSummaryPrompt } from '../ai/summary-prompt.ts'
import { type Queryable, type Tx, transact } from '../db/sql.ts'
import type { AgentScope, Context, Reach } from './context.ts'
import { findConversation, noConversation } from './conversations.ts'
import { isoTime } from './facts.ts'
import { type Claim, type Settled, workOnce } from './idempotency.ts'
import { reachedConversations } from './reach.ts'

/** A summary before a face says what it is. */
export type SummaryFacts = Omit<Summary, 'object'>

/**
 * Summarizes a conversation anew and keeps the summary; `unavailable` where AI is off or gives no answer. Nothing is
 * locked while it answers: of two at once the last one stays.
 */
export const summarizeConversation = async (
  { sql }: Context,
  scope: AgentScope,
  ai: Ai | undefined,
  conversation: string,
  claim?: Claim,
): Promise<Settled<SummaryFacts>> => {
  const { id } = await findConversation(sql, scope, conversation)
  return await workOnce<SummaryFacts>(sql, claim, async (finish) => {
    if (!ai)
      throw new HubbubError('unavailable', 'AI is off for this workspace: AI_BASE_URL and AI_MODEL switch it on.')
    const written = await writeSummary(sql, ai, id)
    if (!written) throw new HubbubError('invalid', 'There is nothing to summarize: nobody has said anything here yet.')
    return await transact(sql, async (tx) => {
      const generated_at = await timeNow(tx)
      const facts = { conversation_id: conversation, ...shown(written), generated_at }
      // The claim is locked before the conversation, as everywhere.
      await finish(tx, facts)
      await keepSummary(tx, id, written, generated_at)
      return facts
    })
  })
}

/** Returns the summary that is kept; `not_found` where there is none yet. */
export const readSummary = async ({ sql }: Context, reach: Reach, conversation: string): Promise<SummaryFacts> => {
  const [found] = isId('conversation', conversation)
    ? await sql<{ facts: SummaryFacts | null }[]>`
        select case when s.content is not null then json_build_object(
                 'conversation_id', c.public_id, 'bullets', s.bullets, 'content', s.content,
                 'message_count', s.message_count, 'model', s.model,
                 'generated_at', ${sql.unsafe(isoTime('s.generated_at'))}) end as facts
          from conversations c left join summaries s on s.conversation_id = c.id
         where ${reachedConversations(sql, reach)} and c.public_id = ${conversation}`
    : []
  if (!found) throw noConversation()
  if (!found.facts) throw new HubbubError('not_found', 'This conversation has no summary yet: POST here to make one.')
  return found.facts
}

/** What the AI has written, and the number of the newest message that it was told. */
export type Written = { bullets: string[]; messageCount: number; lastSeq: number; model: string }

/** Has a conversation summarized; undefined where nobody has said anything. */
export const writeSummary = async (
  sql: Queryable,
  ai: Ai,
  conversationId: number,
  signal?: AbortSignal,
): Promise<Written | undefined> => {
  const thread = await readThread(sql, conversationId)
  const newest = thread.at(-1)
  if (!newest) return undefined
  const { prompt, count } = writeSummaryPrompt(thread)
  const bullets = readBullets(await ai.complete(prompt, signal))
  if (bullets.length === 0) throw unusable()
  return { bullets, messageCount: count, lastSeq: newest.seq, model: ai.model }
}

/** Keeps a summary in the place of the one before; `not_found` where the conversation was deleted meanwhile. */
export const keepSummary = async (tx: Tx, conversationId: number, written: Written, at: string): Promise<void> => {
  const { bullets, content, message_count, model } = shown(written)
  const { count } = await tx`
    insert into summaries (conversation_id, bullets, content, message_count, last_seq, model, generated_at)
    select c.id, ${JSON.stringify(bullets)}::text::json, ${content}, ${message_count}, ${written.lastSeq}, ${model},
           ${at}::timestamptz
      from conversations c where c.id = ${conversationId}
       for key share of c
    on conflict (conversation_id) do update
       set bullets = excluded.bullets, content = excluded.content, message_count = excluded.message_count,
           last_seq = excluded.last_seq, model = excluded.model, generated_at = excluded.generated_at`
  if (count === 0) throw noConversation()
}

/** Returns the time of the database. */
export const timeNow = async (tx: Queryable): Promise<string> => {
  const [row] = await tx<{ at: string }[]>`select ${tx.unsafe(isoTime('clock_timestamp()'))} as at`
  return row?.at ?? new Date().toISOString()
}

const shown = ({ bullets, messageCount, model }: Written) => ({
  bullets,
  content: bullets.map((bullet) => `- ${bullet}`).join('\n'),
  message_count: messageCount,
  model,
})

// More than any prompt holds of either, and no more than that of the longest thread.
const most = { messages: 2500, bytes: 64_000 }

const readThread = async (sql: Queryable, conversationId: number): Promise<(ThreadMessage & { seq: number })[]> =>
  await sql<(ThreadMessage & { seq: number })[]>`
    select m.sender_type, m.author, m.content, m.conversation_seq as seq,
           coalesce((select json_agg(f ->> 'filename') from json_array_elements(m.attachments) f), '[]') as files
      from (select n.*, sum(octet_length(n.content)) over (order by n.conversation_seq desc) - octet_length(n.content) as later
              from (select * from messages where conversation_id = ${conversationId} and sender_type <> 'system'
                     order by conversation_seq desc limit ${most.messages}) n) m
     where m.later < ${most.bytes}
     order by m.conversation_seq`
