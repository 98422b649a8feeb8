/** The queue of a webhook's deliveries: what puts one in again, and what takes all of them out. */

import type { Fragment, Queryable, Tx } from '../db/sql.ts'

/** SQL that queues a row of webhook_deliveries anew, with the whole schedule before it. */
export const requeued = (sql: Queryable): Fragment =>
  sql`state = 'pending', tries = 0, next_attempt_at = clock_timestamp(), lease_until = null`

/** Ends what a webhook that is disabled would still be sent; an attempt that is under way ends as it ends. */
export const failPending = async (tx: Tx, webhookRowId: number): Promise<void> => {
  await tx`
    update webhook_deliveries set state = 'failed', next_attempt_at = null, lease_until = null
     where endpoint_id = ${webhookRowId} and state = 'pending'
       and (lease_until is null or lease_until <= clock_timestamp())`
}
