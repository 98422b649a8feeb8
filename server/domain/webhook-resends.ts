/** What a webhook is sent because somebody asks for it: a delivery again, all that it missed, or a test. */

import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import { sampleEvent, webhookBody } from '../../schema/muro/webhook-events.ts'
import type { Recovery, WebhookType } from '../../schema/muro/webhooks.ts'
import type { Tx } from '../db/sql.ts'
import type { AgentScope, Context, Workspace } from './context.ts'
import { isoTime } from './facts.ts'
import { type Claim, recordOnce, type Settled } from './idempotency.ts'
import { newId } from './ids.ts'
import { type DeliveryFacts, noDelivery, readDelivery } from './webhook-deliveries.ts'
import { requeued } from './webhook-queue.ts'
import { findWebhook, lockWebhook } from './webhooks.ts'

/** Sends a delivery again, the same bytes under the same id, at once and if need be with the whole schedule. */
export const resendDelivery = async (
  context: Context,
  scope: AgentScope,
  webhook: string,
  delivery: string,
  claim?: Claim,
): Promise<Settled<DeliveryFacts>> =>
  await onEnabled(context, scope, webhook, claim, async (tx, { id }) => {
    const [found] = isId('delivery', delivery)
      ? await tx<{ id: number; isKept: boolean; isUnderWay: boolean }[]>`
          select d.id, d.body is not null as "isKept",
                 d.state = 'pending' and coalesce(d.lease_until > clock_timestamp(), false) as "isUnderWay"
            from webhook_deliveries d
           where d.endpoint_id = ${id} and d.public_id = ${delivery} for no key update`
      : []
    if (!found) throw noDelivery()
    if (!found.isKept) throw new HubbubError('conflict', 'What this delivery said has been deleted.')
    // An attempt that is under way is the one that was asked for.
    if (found.isUnderWay) await tx`update webhook_deliveries set tries = 0 where id = ${found.id}`
    else await tx`update webhook_deliveries set ${requeued(tx)} where id = ${found.id}`
    return await readDelivery({ sql: tx }, scope, webhook, delivery)
  })

/** Sends a webhook an event that did not happen: of a type that is named, or of the first one it asked for. */
export const testWebhook = async (
  context: Context,
  scope: AgentScope,
  webhook: string,
  type: WebhookType | undefined,
  claim?: Claim,
): Promise<Settled<DeliveryFacts>> =>
  await onEnabled(context, scope, webhook, claim, async (tx, { id, events }) => {
    const [told = 'message.created'] = type === undefined ? events : [type]
    const event = { id: newId('event'), workspace: scope.workspace.publicId, created_at: new Date().toISOString() }
    const delivery = newId('delivery')
    await tx`
      insert into webhook_deliveries (public_id, endpoint_id, event_id, event_type, body)
      values (${delivery}, ${id}, ${event.id}, ${told}, ${webhookBody(event, sampleEvent(told, event.created_at))})`
    return await readDelivery({ sql: tx }, scope, webhook, delivery)
  })

/**
 * Has a webhook sent what failed since a time, and what it was never sent of that. The worker reads the log for it, once
 * more and in order; where the log does not reach back so far, the answer says from when on it does.
 */
export const recoverWebhook = async (
  context: Context,
  scope: AgentScope,
  webhook: string,
  since: string,
  claim?: Claim,
): Promise<Settled<Omit<Recovery, 'object'>>> =>
  await onEnabled(context, scope, webhook, claim, async (tx, { id, createdSeq }) => {
    const { after, head, from } = await placeInLog(tx, scope.workspace, since, createdSeq)
    // One that is under way already goes on, from the earlier of both places.
    await tx`
      update webhook_endpoints
         set recover_after = least(recover_after, ${after}), recover_until = ${head},
             recover_since = least(recover_since, ${since}::timestamptz)
       where id = ${id}`
    return { webhook_id: webhook, since: from ?? since }
  })

/** `after` is a number before all events since a time; `from` is the time from which on they are kept, where not all are. */
const placeInLog = async (tx: Tx, workspace: Workspace, since: string, createdSeq: number) => {
  const isBefore = tx`e.created_at < ${since}::timestamptz - interval '1 minute'`
  const [place] = await tx<{ after: number; head: number; from: string | null }[]>`
    with recursive log as (
      select h.seq as head, oldest.seq as oldest, oldest.created_at
        from workspace_heads h
        left join lateral (select e.seq, e.created_at from events e where e.workspace_id = h.workspace_id
                            order by e.seq limit 1) oldest on true
       where h.workspace_id = ${workspace.id}
    ), search (after, before) as (
      -- By halves: numbers are dense, and times rise with them but for writers that overtook each other, by less than
      -- a minute. The exact time is looked at event by event.
      select coalesce(oldest - 1, head), head + 1 from log
      union all
      select case when ${isBefore} then e.seq else s.after end, case when ${isBefore} then s.before else e.seq end
        from search s join events e on e.workspace_id = ${workspace.id} and e.seq = (s.after + s.before) / 2
       where s.before - s.after > 1
    )
    select (select max(after) from search) as after, head,
           case when oldest > ${createdSeq + 1} and created_at > ${since}::timestamptz
                then ${tx.unsafe(isoTime('created_at'))} end as from
      from log`
  if (!place) throw new Error(`workspace ${workspace.publicId} has no head`)
  return place
}

// Found before the claim is: what it answered is not shown to who does not reach the webhook any more.
const onEnabled = async <T>(
  context: Context,
  scope: AgentScope,
  webhook: string,
  claim: Claim | undefined,
  act: (tx: Tx, webhook: Awaited<ReturnType<typeof lockWebhook>>) => Promise<T>,
): Promise<Settled<T>> => {
  await findWebhook(context.sql, scope, webhook)
  return await recordOnce(
    context,
    claim,
    async (tx) => {
      const locked = await lockWebhook(tx, scope, webhook)
      if (!locked.enabled) throw new HubbubError('conflict', 'This webhook is disabled: enable it first.')
      return await act(tx, locked)
    },
    () => undefined,
  )
}
