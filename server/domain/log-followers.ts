/** Followers of the log: what happens because of an event, after it and apart from it. Each is done in order. */

import type { LoggedEvent } from '../../schema/events.ts'
import { type Fragment, type Queryable, type Sql, type Tx, transact } from '../db/sql.ts'
import type { Workspace } from './context.ts'
import { conversationOf, isoTime, loggedEventColumns } from './facts.ts'

/** Who follows. */
export const followers = ['webhooks', 'rules', 'summaries'] as const
export type Follower = (typeof followers)[number]

/** An event with the time at which it was written, ISO 8601. */
export type FollowedEvent = LoggedEvent & { created_at: string }

/** Lets every follower begin with the first event of a new workspace. */
export const insertFollowers = async (tx: Tx, workspaceId: number): Promise<void> => {
  await tx`insert into log_followers ${tx(followers.map((follower) => ({ workspace_id: workspaceId, follower })))}`
}

/**
 * Takes the next events of one workspace in which the follower is behind, and moves it on once `react` has done what
 * they cause; returns whether it found any. No other process follows there meanwhile. A process that dies in between
 * leaves the events to the next: what `react` does by `tx` is then undone, anything else it must recognize as done.
 * `where` narrows the workspaces `f.workspace_id` that are followed at all.
 */
export const followLog = async (
  sql: Sql,
  follower: Follower,
  react: (tx: Tx, workspace: Workspace, events: FollowedEvent[]) => Promise<void>,
  { limit = 200, where = sql`true` }: { limit?: number; where?: Fragment } = {},
): Promise<boolean> =>
  await transact(sql, async (tx) => {
    const [behind] = await tx<(Workspace & { seq: number })[]>`
      select f.workspace_id as id, w.public_id as "publicId", f.seq
        from log_followers f
        join workspace_heads h on h.workspace_id = f.workspace_id
        join workspaces w on w.id = f.workspace_id
       where f.follower = ${follower} and f.seq < h.seq and ${where}
       order by random() limit 1
         for update of f skip locked`
    if (!behind) return false
    const { seq, ...workspace } = behind
    const events = await readLog(tx, workspace, seq, limit)
    const last = events.at(-1)
    if (!last) return false
    await react(tx, workspace, events)
    await tx`
      update log_followers set seq = ${last.seq} where follower = ${follower} and workspace_id = ${workspace.id}`
    return true
  })

/** Moves a follower to the end of the log in all workspaces `f.workspace_id` where `isIdle` holds: nothing is caused there. */
export const skipLog = async (sql: Sql, follower: Follower, isIdle: Fragment): Promise<void> => {
  // Where somebody follows just now nothing is to be skipped; waiting for many at once, two that skip would deadlock.
  await sql`
    with idle as materialized (
      select f.workspace_id, h.seq
        from log_followers f join workspace_heads h on h.workspace_id = f.workspace_id
       where f.follower = ${follower} and f.seq < h.seq and ${isIdle}
         for update of f skip locked
    )
    update log_followers f set seq = idle.seq
      from idle where f.follower = ${follower} and f.workspace_id = idle.workspace_id and f.seq < idle.seq`
}

/** SQL for the number up to which all followers have read the log of a workspace. */
export const followedBy = (sql: Queryable, workspaceId: number): Fragment => sql`
  (select min(f.seq) from log_followers f where f.workspace_id = ${workspaceId})`

/** Reads the events of a workspace after a number, in order. */
export const readLog = async (
  tx: Tx,
  { id, publicId }: Workspace,
  seq: number,
  limit: number,
): Promise<FollowedEvent[]> =>
  await tx<FollowedEvent[]>`
    select ${tx.unsafe(loggedEventColumns(`'${publicId}'`))}, ${tx.unsafe(isoTime('e.created_at'))} as created_at
      from (select events.*, ${tx.unsafe(conversationOf('events'))} as conversation
              from events
             where events.workspace_id = ${id} and events.seq > ${seq}
             order by events.seq limit ${limit}) e
     order by e.seq`
