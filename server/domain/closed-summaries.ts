/** Closed conversations are summarized by themselves: which of them are due, and doing one after another. */

import type { Ai } from '../ai/ai.ts'
import { type Sql, type Tx, transact } from '../db/sql.ts'
import type { Workspace } from './context.ts'
import type { FollowedEvent } from './log-followers.ts'
import { keepSummary, timeNow, writeSummary } from './summaries.ts'

/** A summary that is to be made, and until when it is this process's to make; `attempts` counts this one. */
export type DueSummary = { conversationId: number; dueAt: Date; leaseUntil: Date; attempts: number }

/** After so many seconds it is tried again, after each failure; then no more, until it is closed once more. */
const pauses = [60, 300, 1800]

/** For so long a process may take for one, in seconds: longer than the AI may. Then the process has died. */
const lease = 90

/** Notes the conversations that events have closed; returns how many. One that is closed again has one summary to make. */
export const noteClosed = async (tx: Tx, { id }: Workspace, events: readonly FollowedEvent[]): Promise<number> => {
  const closed = events.filter(isClosing).flatMap(({ conversation }) => (conversation === null ? [] : [conversation]))
  if (closed.length === 0) return 0
  // Later than before in any case: whoever makes the one before leaves this one to be made.
  const { count } = await tx`
    insert into summaries (conversation_id, due_at)
    select c.id, clock_timestamp() from conversations c
     where c.workspace_id = ${id} and c.public_id = any(${closed})
     order by c.id
       for key share of c
    on conflict (conversation_id) do update
       set due_at = greatest(excluded.due_at, summaries.due_at + interval '1 millisecond'), attempts = 0`
  return count
}

const isClosing = ({ type, payload: { status, changed } }: FollowedEvent): boolean =>
  type === 'conversation.update' && status === 'closed' && Array.isArray(changed) && changed.includes('status')

/** Takes summaries that are due, the oldest first; no other process takes them while the lease lasts. */
export const takeDue = async (sql: Sql, count: number): Promise<DueSummary[]> => [
  ...(await sql<DueSummary[]>`
    with due as materialized (
      select conversation_id from summaries
       where due_at <= clock_timestamp() and (lease_until is null or lease_until < clock_timestamp())
       order by due_at limit ${count}
         for update skip locked)
    update summaries s set
           attempts = s.attempts + 1, lease_until = clock_timestamp() + make_interval(secs => ${lease})
      from due where s.conversation_id = due.conversation_id
    returning s.conversation_id as "conversationId", s.due_at as "dueAt", s.lease_until as "leaseUntil", s.attempts`),
]

/**
 * Makes a summary that is due, unless it is needless: the conversation is open again, or what is kept covers all that was
 * said. Returns whether it was made; what fails is to be put off.
 */
export const makeDue = async (sql: Sql, ai: Ai, due: DueSummary, signal?: AbortSignal): Promise<boolean> => {
  const { conversationId } = due
  const written = (await isNeeded(sql, due)) ? await writeSummary(sql, ai, conversationId, signal) : undefined
  return await transact(sql, async (tx) => {
    if (written) await keepSummary(tx, conversationId, written, await timeNow(tx))
    await tx`
      update summaries set
             lease_until = null, due_at = nullif(due_at, ${due.dueAt}),
             attempts = case when due_at = ${due.dueAt} then 0 else attempts end
       where conversation_id = ${conversationId} and lease_until = ${due.leaseUntil}`
    return written !== undefined
  })
}

/** Puts off a summary that could not be made; returns for how many seconds, or undefined where it is given up. */
export const putOff = async (sql: Sql, due: DueSummary): Promise<number | undefined> => {
  const pause = pauses[due.attempts - 1]
  await sql`
    update summaries set
           lease_until = null,
           due_at = case when due_at <> ${due.dueAt} then due_at
                         else clock_timestamp() + make_interval(secs => ${pause ?? null}) end
     where conversation_id = ${due.conversationId} and lease_until = ${due.leaseUntil}`
  return pause
}

/** Gives back a summary that was taken and not begun, or not ended: whoever comes next makes it. */
export const giveBack = async (sql: Sql, due: DueSummary): Promise<void> => {
  await sql`
    update summaries set lease_until = null, attempts = greatest(0, attempts - 1)
     where conversation_id = ${due.conversationId} and lease_until = ${due.leaseUntil}`
}

// Whoever was killed over it as often as it may be tried has not said that it failed.
const isNeeded = async (sql: Sql, { conversationId, attempts }: DueSummary): Promise<boolean> => {
  if (attempts > pauses.length + 1) return false
  const [found] = await sql`
    select from conversations c join summaries s on s.conversation_id = c.id
     where c.id = ${conversationId} and c.state = 'closed'
       and exists (select from messages m
                    where m.conversation_id = c.id and m.conversation_seq > coalesce(s.last_seq, 0)
                      and m.sender_type <> 'system')`
  return found !== undefined
}
