/** Deliveries of webhooks: the log of what was sent, and how each attempt ended. */

import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import type { Delivery, DeliveryWithBody, ListDeliveries } from '../../schema/muro/webhooks.ts'
import type { Queryable } from '../db/sql.ts'
import type { Context, Reach } from './context.ts'
import { isoTime } from './facts.ts'
import { readList } from './lists.ts'
import type { Page } from './walks.ts'
import { findWebhook } from './webhooks.ts'

/** A delivery as it is shown, before a face says what it is. */
export type DeliveryFacts = Omit<Delivery, 'object'>
export type DeliveryBodyFacts = Omit<DeliveryWithBody, 'object'>

/** The facts of a row `d` of webhook_deliveries, beside the row `w` of its webhook. */
const deliveryFacts = `
  json_build_object(
    'id', d.public_id, 'webhook_id', w.public_id, 'event_id', d.event_id, 'event_type', d.event_type, 'status', d.state,
    'attempts', (select coalesce(json_agg(json_build_object(
                          'at', ${isoTime('a.at')}, 'duration_ms', a.duration_ms, 'status', a.status,
                          'failure', a.failure, 'message', a.message, 'response', a.response) order by a.id), '[]')
                   from webhook_attempts a where a.delivery_id = d.id),
    'next_attempt_at', ${isoTime('d.next_attempt_at')}, 'created_at', ${isoTime('d.created_at')})`

/** Returns a page of a webhook's deliveries, the newest first; of all or of those in one state. */
export const listDeliveries = async (
  { sql }: Context,
  reach: Reach,
  webhook: string,
  { status, ...page }: ListDeliveries,
): Promise<Page<DeliveryFacts>> => {
  const { id } = await findWebhook(sql, reach, webhook)
  // The state as text and no parameter: else the planner does not see that the index of the untold holds it.
  const inState = status === undefined ? sql`` : sql.unsafe(`and d.state = '${status}'`)
  return await readList(
    sql,
    { list: `deliveries ${webhook} ${status ?? ''}`, ...page, newestFirst: true },
    sql`select d.id, ${sql.unsafe(deliveryFacts)} as facts
          from webhook_deliveries d join webhook_endpoints w on w.id = d.endpoint_id
         where d.endpoint_id = ${id} ${inState}`,
  )
}

/** Returns one delivery of a webhook that the scope reaches. */
export const readDelivery = async (
  context: { sql: Queryable },
  reach: Reach,
  webhook: string,
  delivery: string,
): Promise<DeliveryFacts> => (await findDelivery(context, reach, webhook, delivery)).facts

/** Returns one delivery of a webhook that the scope reaches, with the body that is sent. */
export const readDeliveryWithBody = async (
  context: { sql: Queryable },
  reach: Reach,
  webhook: string,
  delivery: string,
): Promise<DeliveryBodyFacts> => {
  const { facts, body } = await findDelivery(context, reach, webhook, delivery)
  return { ...facts, body }
}

const findDelivery = async ({ sql }: { sql: Queryable }, reach: Reach, webhook: string, delivery: string) => {
  const { id } = await findWebhook(sql, reach, webhook)
  const [found] = isId('delivery', delivery)
    ? await sql<{ facts: DeliveryFacts; body: string | null }[]>`
        select ${sql.unsafe(deliveryFacts)} as facts, d.body
          from webhook_deliveries d join webhook_endpoints w on w.id = d.endpoint_id
         where d.endpoint_id = ${id} and d.public_id = ${delivery}`
    : []
  if (!found) throw noDelivery()
  return found
}

/** Returns the error for an id that names no delivery of the webhook. */
export const noDelivery = (): HubbubError => new HubbubError('not_found', 'No such delivery.')
