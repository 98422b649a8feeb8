/** The clock of deliveries: the database's, so that all processes agree on it. */

import type { Fragment, Queryable } from '../db/sql.ts'

/**
 * SQL for the time, `ahead` ms from now. One value in a statement, and none that changes under it: an index can be
 * searched for it.
 */
export const now = (sql: Queryable, ahead: number): Fragment =>
  sql`(statement_timestamp() + make_interval(secs => ${ahead / 1000}))`
