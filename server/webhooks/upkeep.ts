/** Upkeep: ends deliveries that nobody ends any more, and removes those that nobody needs, a slice at a time. */

import { deliveryDays } from '../../schema/muro/webhooks.ts'
import { type Sql, transact } from '../db/sql.ts'
import { failPending } from '../domain/webhook-queue.ts'

/** How much a statement removes at most. */
const slice = 1000

type Stop = { isStopped?: () => boolean }

/** Ends what was under way when its webhook was disabled, and whose process has ended since. */
export const failAbandoned = async (sql: Sql): Promise<void> => {
  await transact(sql, async (tx) => {
    const isAbandoned = tx`
      d.endpoint_id = w.id and d.state = 'pending' and (d.lease_until is null or d.lease_until <= clock_timestamp())`
    // By the number of attempts: so are the indexes of what waits.
    const webhooks = await tx<{ id: number }[]>`
      select w.id from webhook_endpoints w
       where not w.enabled and w.deleted_at is null
         and (exists (select from webhook_deliveries d where ${isAbandoned} and d.attempts = 0)
              or exists (select from webhook_deliveries d where ${isAbandoned} and d.attempts > 0))
       order by w.id for no key update skip locked`
    for (const { id } of webhooks) await failPending(tx, id)
  })
}

/** Removes deliveries that are older than they are kept, and returns how many. */
export const removeOldDeliveries = async (
  sql: Sql,
  { days = deliveryDays, isStopped = () => false }: Stop & { days?: number } = {},
): Promise<number> =>
  await inSlices(isStopped, async () => {
    // Rows are as old as their ids: what is to be removed is at the beginning, and no index need say so.
    const { count } = await sql`
      delete from webhook_deliveries where id in (
        select o.id from (select id, created_at from webhook_deliveries order by id limit ${slice}) o
          join webhook_deliveries d on d.id = o.id
         where d.created_at < statement_timestamp() - make_interval(days => ${days})
           for update of d skip locked)`
    return count
  })

/** Removes webhooks that were deleted, with all their deliveries; returns how many rows that were. */
export const removeDeleted = async (sql: Sql, { isStopped = () => false }: Stop = {}): Promise<number> =>
  await inSlices(isStopped, async () => {
    const { count } = await sql`
      delete from webhook_deliveries where id in (
        select d.id from webhook_endpoints w
         cross join lateral (select l.id from webhook_deliveries l where l.endpoint_id = w.id limit ${slice}) l
          join webhook_deliveries d on d.id = l.id
         where w.deleted_at is not null limit ${slice}
           for update of d skip locked)`
    if (count > 0) return count
    const { count: webhooks } = await sql`
      delete from webhook_endpoints w
       where w.deleted_at is not null
         and not exists (select from webhook_deliveries d where d.endpoint_id = w.id)`
    return webhooks
  })

const inSlices = async (isStopped: () => boolean, remove: () => Promise<number>): Promise<number> => {
  let removed = 0
  while (!isStopped()) {
    const count = await remove()
    if (count === 0) break
    removed += count
  }
  return removed
}
