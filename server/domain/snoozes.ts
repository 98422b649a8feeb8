/** Snoozes: conversations that sleep until a time of the database's clock, and wake then. */

import type { Sql } from '../db/sql.ts'
import type { Context, Workspace } from './context.ts'
import { record } from './record.ts'
import { changeConversation } from './triage.ts'

/**
 * Wakes the conversation that is due for the longest time, however long that is, and returns whether there was one.
 * One that another process is changing is passed over: it may be awake, or snoozed anew, when that is done.
 */
export const wakeNext = async (context: Context): Promise<boolean> =>
  await record(context, async (tx, log) => {
    const [due] = await tx<{ id: string; workspace: Workspace }[]>`
      select c.public_id as id, json_build_object('id', w.id, 'publicId', w.public_id) as workspace
        from conversations c join workspaces w on w.id = c.workspace_id
       where c.state = 'snoozed' and c.snoozed_until <= statement_timestamp()
       order by c.snoozed_until limit 1
         for no key update of c skip locked`
    if (!due) return false
    await changeConversation(
      tx,
      log,
      { workspace: due.workspace, site: null },
      due.id,
      { status: 'open' },
      'snooze_elapsed',
    )
    return true
  })

/** Returns in how many ms the next conversation is due; 0 or less where one is, null where none sleeps until a time. */
export const nextWaking = async (sql: Sql): Promise<number | null> => {
  const [next] = await sql<{ ms: number }[]>`
    select ceil(extract(epoch from c.snoozed_until - clock_timestamp()) * 1000)::bigint as ms
      from conversations c
     where c.state = 'snoozed' and c.snoozed_until is not null
     order by c.snoozed_until limit 1`
  return next?.ms ?? null
}
