/** Deliveries of webhooks as they lie in the database: what was sent, what failed, and what waits. */

import type { TestDatabase } from './database.ts'
import type { Tenant } from './tenant.ts'

/** How a delivery is: whether it is to be sent, and what it says. */
export type Lying = { state: string; body: string | null; due: boolean }

/** Puts a webhook there, with a delivery in each state; returns how they are later, by the names of those states. */
export const plantDeliveries = async (
  { sql }: TestDatabase,
  { workspace }: Tenant,
  { type, conversation, body }: { type: string; conversation?: string; body: object },
): Promise<() => Promise<Lying[]>> => {
  const name = `${workspace.publicId.slice(4)}${Math.random().toString(36).slice(2)}`
  // No event of the log is this webhook's: what is there was put there.
  await sql`
    with w as (
      insert into webhook_endpoints (public_id, workspace_id, url, events, secret, created_seq, enabled_seq)
      values ('whk_' || ${name}::text, ${workspace.id}, 'http://127.0.0.1:9', ${[type]}, 's', 1000000, 1000000)
      returning id
    )
    insert into webhook_deliveries (public_id, endpoint_id, event_id, event_type, event_seq, conversation_id, body, state,
                                    next_attempt_at)
    select 'dlv_' || ${name}::text || state, w.id, 'evt_' || ${name}::text || state, ${type}, 1,
           (select id from conversations where public_id = ${conversation ?? null}), ${JSON.stringify(body)}, state,
           case state when 'pending' then clock_timestamp() + interval '1 hour' end
      from w, unnest(array['pending', 'succeeded', 'failed']) state`
  return async () => [
    ...(await sql<Lying[]>`
      select state, body, next_attempt_at is not null as due from webhook_deliveries
       where public_id like ${`dlv_${name}%`} order by public_id`),
  ]
}

/** How those are that must not be told any more. */
export const silenced: Lying[] = ['failed', 'cancelled', 'succeeded'].map((state) => ({
  state,
  body: null,
  due: false,
}))
