/** What the realtime part reads of the chat: heads, rows of the log, and whose a channel is. */

import type { ChatChannel } from '../../schema/channels.ts'
import type { LoggedEvent } from '../../schema/events.ts'
import type { Sql } from '../db/sql.ts'
import { conversationOf, loggedEventColumns } from './facts.ts'

/** Returns the number of the last event of each workspace. */
export const readHeads = async (sql: Sql, workspaces: string[]): Promise<Map<string, number>> => {
  const rows = await sql<{ workspace: string; seq: number }[]>`
    select w.public_id as workspace, h.seq
      from workspaces w join workspace_heads h on h.workspace_id = w.id
     where w.public_id = any(${workspaces})`
  return new Map(rows.map(({ workspace, seq }) => [workspace, seq]))
}

/** Returns up to `limit` events of a workspace after a number, in order. */
export const readHistory = async (sql: Sql, workspace: string, after: number, limit: number): Promise<LoggedEvent[]> =>
  await sql<LoggedEvent[]>`
  select ${sql.unsafe(loggedEventColumns('e.workspace'))}
    from (select events.*, ${sql.unsafe(conversationOf('events'))} as conversation, ${workspace}::text as workspace
            from events
           where events.workspace_id = (select id from workspaces where public_id = ${workspace})
             and events.seq > ${after}
           order by events.seq limit ${limit}) e
   order by e.seq`

/** Whose a chat channel is; `site` is null for a channel of the whole workspace. */
export type Place = { workspace: string; site: string | null }

/** Returns whose a chat channel is; undefined if there is no such workspace, site or conversation. */
export const placeOf = async (sql: Sql, { audience, id }: ChatChannel): Promise<Place | undefined> => {
  const thread = sql`
    select o.public_id as workspace, w.public_id as site
      from conversations c join sites w on w.id = c.site_id join workspaces o on o.id = c.workspace_id
     where c.public_id = ${id}`
  const places = {
    org: sql`select o.public_id as workspace, null as site from workspaces o where o.public_id = ${id}`,
    site: sql`
      select o.public_id as workspace, w.public_id as site from sites w join workspaces o on o.id = w.workspace_id
       where w.public_id = ${id}`,
    conv: thread,
    visitor: thread,
  }
  const [place] = await sql<Place[]>`${places[audience]}`
  return place
}
