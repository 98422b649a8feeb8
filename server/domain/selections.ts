/** Selections: the conversations of one user, or with one tag, where they are few among many. */

import type { ListConversations } from '../../schema/muro/conversations.ts'
import type { Fragment, Sql } from '../db/sql.ts'
import type { Workspace } from './context.ts'

// Where so many of the newest fit, a page of them is found sooner by looking through the list itself; and so it is where
// more than `maxFew` do in all.
const newest = 2000
const enough = 50
const maxFew = 5000

/**
 * Returns, as `condition`, what keeps the rows `c` of conversations that have the tag and are the user's, as far as either
 * is asked for. Where they are few, they are looked up first; the list would be read to its end for them.
 */
export const selectFor = async (
  sql: Sql,
  { id: workspaceId }: Workspace,
  { tag, assigned_user_id: user }: Pick<ListConversations, 'tag' | 'assigned_user_id'>,
): Promise<{ condition: Fragment }> => {
  const assignee = user === undefined || user === 'none' ? undefined : await findUser(sql, workspaceId, user)
  if (assignee === null) return { condition: sql`false` }
  const fits = sql`
    ${tag === undefined ? sql`true` : sql`c.tags @> ${[tag]}::text[]`}
    ${assignee === undefined ? sql`` : sql`and c.assignee_id = ${assignee}`}
    ${user === 'none' ? sql`and c.assignee_id is null` : sql``}`
  if (tag === undefined && assignee === undefined) return { condition: fits }
  const ids = await findFew(sql, workspaceId, { tag, assignee })
  return { condition: ids === null ? fits : sql`c.id = any(${ids.map(String)}::text[]::bigint[]) and ${fits}` }
}

const findUser = async (sql: Sql, workspaceId: number, user: string): Promise<number | null> => {
  const [found] = await sql<{ id: number }[]>`
    select id from users where workspace_id = ${workspaceId} and public_id = ${user}`
  return found?.id ?? null
}

/** Returns the ids of those that fit; null where they are not few. */
const findFew = async (
  sql: Sql,
  workspaceId: number,
  { tag, assignee }: { tag: string | undefined; assignee: number | undefined },
): Promise<number[] | null> => {
  const values: (string | number)[] = [workspaceId]
  const where = (condition: (place: string) => string, value: string | number | undefined): string => {
    if (value === undefined) return ''
    values.push(value)
    return `and ${condition(`$${values.length}`)}`
  }
  const fits = [
    where((place) => `c.tags @> array[${place}::text] and c.tags <> '{}'`, tag),
    where((place) => `c.assignee_id = ${place}::bigint`, assignee),
  ].join(' ')
  // Not prepared: a plan made without the values cannot tell a rare tag from a common one. The lateral `limit` keeps the
  // planner from collecting all that fit before it looks at the newest.
  const [found] = await sql.unsafe<{ ids: number[] | null }[]>(
    `with near as materialized (
       select from (select a.conversation_id from conversation_activity a
                     where a.workspace_id = $1 order by a.seq desc limit ${newest}) n
        cross join lateral (select from conversations c where c.id = n.conversation_id ${fits} limit 1) c
        limit ${enough}
     ), found as materialized (
       select c.id from conversations c
        where c.workspace_id = $1 ${fits} and (select count(*) from near) < ${enough}
        limit ${maxFew + 1}
     )
     select case when (select count(*) from near) < ${enough} and count(*) <= ${maxFew}
                 then coalesce(to_json(array_agg(id)), '[]') end as ids
       from found`,
    values,
  )
  return found?.ids ?? null
}
