/** Lists whose rows stay where they are: page by page, by the order in which they were made. */

import type { Fragment, Queryable } from '../db/sql.ts'
import { type Page, readCursor, writeCursor } from './walks.ts'

/**
 * Reads a page of the rows that `rows` selects as (id, facts), the oldest first or the newest. `list` names the list,
 * so that a cursor of another one is refused.
 */
export const readList = async <T>(
  sql: Queryable,
  {
    list,
    cursor,
    limit,
    newestFirst = false,
  }: {
    list: string
    cursor?: string | undefined
    limit: number
    newestFirst?: boolean
  },
  rows: Fragment,
): Promise<Page<T>> => {
  const position = cursor === undefined ? null : readCursor(list, cursor).position
  const found = await sql<{ id: number; facts: T }[]>`
    select r.id, r.facts from (${rows}) r
     where ${position}::bigint is null or ${newestFirst ? sql`r.id < ${position}` : sql`r.id > ${position}`}
     order by r.id ${newestFirst ? sql`desc` : sql``} limit ${limit + 1}`
  const page = found.slice(0, limit)
  const last = page.at(-1)
  return {
    data: page.map(({ facts }) => facts),
    nextCursor: found.length > limit && last ? writeCursor({ list, head: 0, position: last.id }) : null,
  }
}
