/** Whether Postgres answers. */

import type { Sql } from './sql.ts'

/** Returns whether the database answers within two seconds. */
export const isAnswering = async (sql: Sql): Promise<boolean> =>
  await Promise.race([
    sql`select 1`.then(
      () => true,
      () => false,
    ),
    new Promise<boolean>((resolve) => setTimeout(resolve, 2000, false).unref()),
  ])
