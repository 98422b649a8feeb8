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
 */
export const followLog = async (
  sql: Sql,
  follower: Follower,
  react: (tx: Tx, workspace: Workspace, events: FollowedEvent[]) => Promise<void>,
  { limit = 200 }: { limit?: number } = {},
): Promise<boolean> =>
  await transact(sql, async (tx) => {
    const [behind] = await tx<(Workspace & { seq: number })[]>`
      select f.workspace_id as id, w.public_id as "publicId", f.seq
        from log_followers f
        join workspace_heads h on h.workspace_id = f.workspace_id
        join workspaces w on w.id = f.workspace_id
       where f.follower = ${follower} and f.seq < h.seq
       order by random() limit 1
         for update of f skip locked`
    if (!behind) return false
    const { seq, ...workspace } = behind
    const events = await readAfter(tx, workspace, seq, limit)
    const last = events.at(-1)
    if (!last) return false
    await react(tx, workspace, events)
    await tx`
      update log_followers set seq = ${last.seq} where follower = ${follower} and workspace_id = ${workspace.id}`
    return true
  })

/** Moves a follower to the end of the log in all workspaces `f.workspace_id` where `isIdle` holds: nothing is caused there. */
export const skipLog = async (sql: Sql, follower: Follower, isIdle: Fragment): Promise<void> => {
  await sql`
    update log_followers f set seq = h.seq
      from workspace_heads h
     where f.follower = ${follower} and h.workspace_id = f.workspace_id and f.seq < h.seq and ${isIdle}`
}

/** SQL for the number up to which all followers have read the log of a workspace. */
export const followedBy = (sql: Queryable, workspaceId: number): Fragment => sql`
  (select min(f.seq) from log_followers f where f.workspace_id = ${workspaceId})`

const readAfter = async (tx: Tx, { id, publicId }: Workspace, seq: number, limit: number): Promise<FollowedEvent[]> =>
  await tx<FollowedEvent[]>`
    select ${tx.unsafe(loggedEventColumns(`'${publicId}'`))}, ${tx.unsafe(isoTime('e.created_at'))} as created_at
      from (select events.*, ${tx.unsafe(conversationOf('events'))} as conversation
              from events
             where events.workspace_id = ${id} and events.seq > ${seq}
             order by events.seq limit ${limit}) e
     order by e.seq`
