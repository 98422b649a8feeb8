/** Retention: how long the log can tell what has been. */

import type { Sql } from '../db/sql.ts'
import { followedBy } from './log-followers.ts'

/**
 * Removes events that are older than so many days, of every workspace from its oldest on, and returns how many. What a
 * follower of the log has not read yet stays, however old: a webhook that was not told of it would never be. Each
 * slice is a statement of its own and the beginning of what the log holds, so that a reader finds all after its place or
 * sees that the place is gone, never a hole; a second worker waits for the rows of the first. Heads are not touched.
 */
export const pruneLog = async (
  sql: Sql,
  { days, slice = 1000, isStopped = () => false }: { days: number; slice?: number; isStopped?: () => boolean },
): Promise<number> => {
  let removed = 0
  for (const workspaceId of await workspacesToPrune(sql, days)) {
    for (let count = slice; count === slice && !isStopped(); ) {
      count = await pruneSlice(sql, workspaceId, days, slice)
      removed += count
    }
  }
  return removed
}

const workspacesToPrune = async (sql: Sql, days: number): Promise<number[]> => {
  const rows = await sql<{ workspace_id: number }[]>`
    select h.workspace_id
      from workspace_heads h cross join lateral (
        select e.created_at from events e where e.workspace_id = h.workspace_id order by e.seq limit 1) oldest
     where oldest.created_at < clock_timestamp() - make_interval(days => ${days})`
  return rows.map(({ workspace_id }) => workspace_id)
}

// Up to the first that is young enough, or that a follower has not read. Times rise with numbers but for the moments in
// which writers overtake each other.
const pruneSlice = async (sql: Sql, workspaceId: number, days: number, slice: number): Promise<number> => {
  const { count } = await sql`
    with oldest as materialized (
      select e.seq, e.created_at < clock_timestamp() - make_interval(days => ${days}) as old
        from events e where e.workspace_id = ${workspaceId} order by e.seq limit ${slice}
    )
    delete from events
     where workspace_id = ${workspaceId}
       and seq <= (select coalesce(min(seq) filter (where not old) - 1, max(seq)) from oldest)
       and seq <= ${followedBy(sql, workspaceId)}`
  return count
}
