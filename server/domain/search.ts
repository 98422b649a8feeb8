/** Search: which conversations a text occurs in, as something that was said or in the contact's name or address; and which contacts. */

import type { Fragment, Sql } from '../db/sql.ts'
import type { Workspace } from './context.ts'

// Beyond it so many match that a page of them is found sooner by looking through the list itself.
const maxMatches = 10_000

/**
 * Returns, as `condition`, what keeps the rows `c` of conversations in which a text occurs: in what visitors and agents said,
 * or in the contact's name or email. Upper and lower case are the same; every character stands for itself.
 */
export const searchFor = async (sql: Sql, workspace: Workspace, text: string): Promise<{ condition: Fragment }> => {
  const { folded, ids } = await findMatches(sql, workspace, text, conversationMatches)
  if (ids) return { condition: sql`c.id = any(${ids.map(String)}::text[]::bigint[])` }
  const holds = (column: string) => sql`strpos(folded(${sql(column)}), ${folded}) > 0`
  // `limit` keeps the planner from collecting all messages that match before it looks at the first conversation.
  const condition = sql`
    ((select ${holds('v.name')} or ${holds('v.email')} from contacts v where v.id = c.contact_id)
      or (select true from messages m
           where m.conversation_id = c.id and m.sender_type in ('visitor', 'agent') and ${holds('m.content')} limit 1))`
  return { condition }
}

/** Returns, as `condition`, what keeps the rows `v` of contacts in whose name or email a text occurs, compared likewise. */
export const searchForContacts = async (
  sql: Sql,
  workspace: Workspace,
  text: string,
): Promise<{ condition: Fragment }> => {
  const { folded, ids } = await findMatches(sql, workspace, text, contactMatches)
  if (ids) return { condition: sql`v.id = any(${ids.map(String)}::text[]::bigint[])` }
  return { condition: sql`(strpos(folded(v.name), ${folded}) > 0 or strpos(folded(v.email), ${folded}) > 0)` }
}

/**
 * Sorts into the index what was said since the last time; to be run every five seconds or so. Left undone, now and then
 * an append does it and waits for it: most of a second, after some 10,000 messages.
 */
export const sortSearch = async (sql: Sql): Promise<void> => {
  await sql`select gin_clean_pending_list('messages_search')`
}

/** Writes what selects the ids of what matches; `holds` writes that a column holds the text. */
type Matches = (holds: (column: string) => string) => string

const conversationMatches: Matches = (holds) => `
  (select m.conversation_id as id from messages m
    where m.workspace_id = $1 and m.sender_type in ('visitor', 'agent') and ${holds('m.content')}
    limit ${maxMatches + 1})
  union all
  (select c.id from contacts v join conversations c on c.contact_id = v.id
    where v.workspace_id = $1 and c.workspace_id = $1 and (${holds('v.name')} or ${holds('v.email')})
    limit ${maxMatches + 1})`

const contactMatches: Matches = (holds) => `
  select v.id from contacts v
   where v.workspace_id = $1 and (${holds('v.name')} or ${holds('v.email')})
   limit ${maxMatches + 1}`

/** Returns the text as it is compared, and the ids of what it occurs in; null where there are too many. */
const findMatches = async (
  sql: Sql,
  { id }: Workspace,
  text: string,
  matches: Matches,
): Promise<{ folded: string; ids: number[] | null }> => {
  const escaped = text.replace(/[\\%_]/g, '\\$&')
  // A pattern without trigrams would read the whole index; another condition reads what it has of the workspace.
  const [holds, values] = (await hasTrigrams(sql, text))
    ? [(column: string) => `folded(${column}) like '%' || folded($3) || '%'`, [id, text, escaped]]
    : [(column: string) => `strpos(folded(${column}), folded($2)) > 0`, [id, text]]
  // Not prepared: a plan made without the text cannot tell a rare word from a common one.
  const [found] = await sql.unsafe<{ folded: string; ids: number[] | null }[]>(
    `with found as materialized (${matches(holds)})
     select folded($2) as folded,
            (select coalesce(to_json(array_agg(distinct id)), '[]') from found
             having count(*) <= ${maxMatches}) as ids`,
    values,
  )
  if (!found) throw new Error('a search gave no answer')
  return found
}

// Which characters are letters depends on the locale of the database; those of ASCII are in every one.
const hasTrigrams = async (sql: Sql, text: string): Promise<boolean> => {
  if (/[a-z0-9]{3}/i.test(text)) return true
  if (!/[\p{L}\p{N}]{3}/u.test(text)) return false
  const [letters] = await sql<{ known: boolean }[]>`select cardinality(show_trgm('ж')) > 0 as known`
  return letters?.known ?? false
}
