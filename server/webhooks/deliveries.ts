/** Makes deliveries: an event, for each webhook that wants it, as the bytes that will be sent. */

import { toWebhookEvent, webhookBody } from '../../schema/muro/webhook-events.ts'
import type { WebhookType } from '../../schema/muro/webhooks.ts'
import type { Tx } from '../db/sql.ts'
import type { Workspace } from '../domain/context.ts'
import { newId } from '../domain/ids.ts'
import type { FollowedEvent } from '../domain/log-followers.ts'
import { requeued } from '../domain/webhook-queue.ts'

/** What a webhook wants: events of these types after one number, of one site or of all. */
export type Wish = { id: number; site: string | null; events: WebhookType[]; after: number }

/** The columns of a Wish out of a row `w` of webhook_endpoints; `after` is the column that says from where on. */
export const wishColumns = (after: 'created_seq' | 'enabled_seq'): string => `
  w.id, (select s.public_id from sites s where s.id = w.site_id) as site, to_json(w.events) as events, w.${after} as after`

/**
 * Makes the deliveries of events that the webhooks want; what is there already is not made again. With `again`, what had
 * failed is queued anew. The rows of the webhooks are locked by the caller; here conversations are, so that none is
 * deleted while what it said is on its way into a delivery.
 */
export const makeDeliveries = async (
  tx: Tx,
  workspace: Workspace,
  { events, wishes, again = false }: { events: FollowedEvent[]; wishes: Wish[]; again?: boolean },
): Promise<void> => {
  const wanted = events.flatMap((event) => {
    const told = toWebhookEvent(event)
    const takers = told ? wishes.filter((wish) => isWanted(wish, event, told.type)) : []
    return told && takers.length > 0 ? [{ event, told, takers }] : []
  })
  const conversations = await lockConversations(tx, workspace, wanted)
  const rows = wanted.flatMap(({ event, told, takers }) => {
    const { id, seq, conversation, conversation_seq } = event
    const conversation_id = conversation === null ? null : conversations.get(conversation)
    const isDeleted = conversation_id === undefined || (conversation_id === null && conversation_seq !== null)
    if (isDeleted) return []
    return [{ id, type: told.type, seq, conversation_id, body: webhookBody(event, told), takers }]
  })
  if (rows.length === 0) return
  const deliveries = rows.flatMap(({ seq, takers }) =>
    takers.map(({ id }) => ({ seq, endpoint_id: id, public_id: newId('delivery') })),
  )
  const told = rows.map(({ takers: _, ...event }) => event)
  await tx`
    insert into webhook_deliveries (public_id, endpoint_id, event_id, event_type, event_seq, conversation_id, body)
    select d.public_id, d.endpoint_id, e.id, e.type, e.seq, e.conversation_id, e.body
      from json_to_recordset(${JSON.stringify(deliveries)}::text::json)
             d (public_id text, endpoint_id bigint, seq bigint)
      join json_to_recordset(${JSON.stringify(told)}::text::json)
             e (id text, type text, seq bigint, conversation_id bigint, body text) on e.seq = d.seq
     order by e.seq, d.endpoint_id
    on conflict (endpoint_id, event_id) ${
      again
        ? tx`do update set ${requeued(tx)}
              where webhook_deliveries.state = 'failed' and webhook_deliveries.body is not null`
        : tx`do nothing`
    }`
}

const isWanted = ({ site, events, after }: Wish, event: FollowedEvent, type: WebhookType): boolean =>
  event.seq > after && events.includes(type) && (site === null || site === event.site)

const lockConversations = async (
  tx: Tx,
  workspace: Workspace,
  wanted: { event: FollowedEvent }[],
): Promise<Map<string, number>> => {
  const named = wanted.flatMap(({ event: { conversation } }) => (conversation === null ? [] : [conversation]))
  if (named.length === 0) return new Map()
  const rows = await tx<{ id: number; public_id: string }[]>`
    select c.id, c.public_id from conversations c
     where c.workspace_id = ${workspace.id} and c.public_id in ${tx([...new Set(named)])}
     order by c.id for key share`
  return new Map(rows.map(({ id, public_id }) => [public_id, id]))
}
