/** How far a scope reaches, as a condition: every query that an API key or a visitor causes is narrowed by one of these. */

import type { Fragment, Queryable } from '../db/sql.ts'
import type { Reach } from './context.ts'

/** Rows `c` of conversations that the scope reaches. */
export const reachedConversations = (sql: Queryable, { workspace, site }: Reach): Fragment =>
  sql`c.workspace_id = ${workspace.id} ${site === null ? sql`` : sql`and c.site_id = ${site.id}`}`

/** Rows `v` of contacts that the scope reaches: those of its site, and who has a conversation there. */
export const reachedContacts = (sql: Queryable, { workspace, site }: Reach): Fragment => {
  if (site === null) return sql`v.workspace_id = ${workspace.id}`
  return sql`
    v.workspace_id = ${workspace.id} and (v.site_id = ${site.id} or exists (
      select from conversations c where c.contact_id = v.id and c.site_id = ${site.id}))`
}
