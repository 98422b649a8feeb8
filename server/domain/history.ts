/** What the realtime part reads of the log: heads, rows and whose a conversation is. */

import type { LoggedEvent } from '../../schema/events.ts'
import { isId } from '../../schema/ids.ts'
import type { Sql } from '../db/sql.ts'
import { loggedEventColumns } from './facts.ts'

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
    from (select events.*, c.public_id as conversation, ${workspace}::text as workspace
            from events left join conversations c on c.id = events.conversation_id
           where events.workspace_id = (select id from workspaces where public_id = ${workspace})
             and events.seq > ${after}
           order by events.seq limit ${limit}) e
   order by e.seq`

/** Returns the workspace of a conversation; undefined if there is no such conversation. */
export const workspaceOfConversation = async (sql: Sql, conversation: string): Promise<string | undefined> => {
  if (!isId('conversation', conversation)) return undefined
  const [row] = await sql<{ workspace: string }[]>`
    select w.public_id as workspace from conversations c join workspaces w on w.id = c.workspace_id
     where c.public_id = ${conversation}`
  return row?.workspace
}
