/** Fan-out: reads the log in order and makes the deliveries of each event, once for every webhook. */

import type { Fragment, Sql } from '../db/sql.ts'
import { followLog, skipLog } from '../domain/log-followers.ts'
import { makeDeliveries, type Wish, wishColumns } from './deliveries.ts'

/** Takes the next events of some workspace that has webhooks; returns whether there were any. */
export const fanOut = async (sql: Sql, { limit = 200 }: { limit?: number } = {}): Promise<boolean> =>
  await followLog(
    sql,
    'webhooks',
    async (tx, workspace, events) => {
      // Shared until the deliveries are there: whoever disables a webhook then finds them all.
      const wishes = await tx<Wish[]>`
        select ${tx.unsafe(wishColumns('enabled_seq'))} from webhook_endpoints w
         where w.workspace_id = ${workspace.id} and w.enabled order by w.id for share of w`
      await makeDeliveries(tx, workspace, { events, wishes: [...wishes] })
    },
    { limit, where: hasWebhook(sql) },
  )

/** Moves on where there is nobody to be told. */
export const skipUnheard = async (sql: Sql): Promise<void> => {
  await skipLog(sql, 'webhooks', sql`not ${hasWebhook(sql)}`)
}

/** Returns whether any workspace has a webhook that is told of anything, and whether one recovers. */
export const readNeeds = async (sql: Sql): Promise<{ isAnyTold: boolean; isAnyRecovering: boolean }> => {
  const [needs] = await sql<{ isAnyTold: boolean; isAnyRecovering: boolean }[]>`
    select exists (select from webhook_endpoints where enabled) as "isAnyTold",
           exists (select from webhook_endpoints where enabled and recover_after is not null) as "isAnyRecovering"`
  return needs ?? { isAnyTold: false, isAnyRecovering: false }
}

const hasWebhook = (sql: Sql): Fragment => sql`
  exists (select from webhook_endpoints w where w.workspace_id = f.workspace_id and w.enabled)`
