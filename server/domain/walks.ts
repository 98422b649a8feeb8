/** Walks through lists that move: page by page, skipping nothing and repeating nothing. */

import { z } from 'zod'
import { HubbubError } from '../../schema/errors.ts'
import type { Fragment, Sql } from '../db/sql.ts'
import type { Workspace } from './context.ts'

/**
 * Where a walk stands. It goes through the list as it was when its first page was read: `head` is the last event of
 * the workspace at that moment, `position` the number below which the next page begins. `list` names the list.
 */
export type Walk = { list: string; head: number; position: number }

/** A page of a list, and the cursor of the next; null: there is none. */
export type Page<T> = { data: T[]; nextCursor: string | null }

/**
 * Reads a page of a list that is ordered by numbers of the workspace's log, newest first. `places` selects the rows of
 * the list as (id, first_seq, seq, merged_seq): the numbers of the event that made each, of the last one that moved it,
 * and of the last one that gave it the place of another. `placeThen` selects the number that a row `p` had when the log
 * ended at `walk.head`, if it had moved by then, and `facts` what is shown of the row `page.id`. A row that moved since
 * the walk began is shown at the place it had then; what is newer than the walk is left out of it.
 */
export const readPage = async <T>(
  sql: Sql,
  workspace: Workspace,
  { list, cursor, limit }: { list: string; cursor?: string | undefined; limit: number },
  { places, placeThen, facts }: { places: Fragment; placeThen: Fragment; facts: Fragment },
): Promise<Page<T>> => {
  const walk = cursor === undefined ? undefined : readCursor(list, cursor)
  // Each by an index of its own: one condition with `or` would read the whole list.
  const moved = (which: Fragment): Fragment => sql`
    select p.id, then_at.position
      from walk cross join (${places}) p
     cross join lateral (select coalesce(${placeThen}, p.first_seq) as position) then_at
     where walk.below is not null and ${which} and p.first_seq <= walk.head and then_at.position < walk.below`
  const rows = await sql<{ facts: T; position: number; head: number }[]>`
    with walk as (
      select coalesce(${walk?.head ?? null}::bigint, h.seq) as head, ${walk?.position ?? null}::bigint as below
        from workspace_heads h where h.workspace_id = ${workspace.id}
    ), page as (
      (select p.id, p.seq as position
         from (${places}) p
        where p.seq <= (select least(head, coalesce(below - 1, head)) from walk)
          and (p.merged_seq is null or p.merged_seq <= (select head from walk))
        order by p.seq desc limit ${limit + 1})
      union all
      (${moved(sql`p.seq > walk.head`)})
      union all
      (${moved(sql`p.seq <= walk.head and p.merged_seq > walk.head`)})
      order by position desc limit ${limit + 1}
    )
    select ${facts} as facts, page.position, walk.head
      from page cross join walk order by page.position desc`
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return {
    data: page.map((row) => row.facts),
    nextCursor: rows.length > limit && last ? writeCursor({ list, head: last.head, position: last.position }) : null,
  }
}

const version = 1
const token = z.tuple([z.literal(version), z.string(), z.int().min(0), z.int().min(0)])

/** Writes a cursor. */
export const writeCursor = ({ list, head, position }: Walk): string =>
  Buffer.from(JSON.stringify([version, list, head, position])).toString('base64url')

/** Reads a cursor of that list; anything else is refused. */
export const readCursor = (list: string, cursor: string): Walk => {
  const parsed = token.safeParse(decode(cursor))
  if (!parsed.success || parsed.data[1] !== list) {
    throw new HubbubError('invalid', 'cursor: not a cursor of this list; start again without one', { param: 'cursor' })
  }
  const [, , head, position] = parsed.data
  return { list, head, position }
}

const decode = (cursor: string): unknown => {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    return undefined
  }
}
