/** Settling: what an attempt changes, for its delivery and for its webhook. Only who still holds the delivery may. */

import { retrySchedule } from '../../schema/muro/webhooks.ts'
import type { Fragment, Queryable, Sql, Tx } from '../db/sql.ts'
import type { Context, SiteRef, Workspace } from '../domain/context.ts'
import { isoTime } from '../domain/facts.ts'
import { type Log, record } from '../domain/record.ts'
import { failPending } from '../domain/webhook-queue.ts'
import type { Claimed } from './claims.ts'
import { now } from './clock.ts'
import type { Outcome } from './outcomes.ts'

/** A webhook all of whose attempts have failed for so many days is disabled with the next delivery that is given up. */
export const failingDays = 5

/** How much later than planned a retry may be, as a part of its wait: receivers that were down are not all told at once. */
const jitter = 0.1

type Held = Pick<Claimed, 'id' | 'endpointId' | 'lease'>

/** What an attempt made of its delivery, and why it disabled its webhook; null: it did not. */
export type Settled = { outcome: 'delivered' | 'retried' | 'failed'; disabled: 'gone' | 'failing' | null }

/**
 * Settles an attempt and returns what that changed. What was cancelled, queued anew or taken over meanwhile stays as it
 * is: that is undefined. `random` from 0 to 1 places the next attempt.
 */
export const settleDelivery = async (
  context: Context,
  held: Held,
  outcome: Outcome,
  { ahead, random }: { ahead: number; random: number },
): Promise<Settled | undefined> =>
  outcome.failure === null
    ? await succeed(context.sql, held, outcome, ahead)
    : await record(context, (tx, log) => fail(tx, log, held, outcome, { ahead, random }))

/** Gives a delivery back whose attempt we broke off ourselves: it is due as before, and the next process takes it. */
export const releaseDelivery = async (sql: Sql, { id, lease }: Held): Promise<void> => {
  await sql`
    update webhook_deliveries set lease_until = null
     where id = ${id} and lease_until = ${lease}::timestamptz and state = 'pending'`
}

// Locks of webhooks come before those of their deliveries, here and everywhere; nearly always there is none to take.
const succeed = async (
  sql: Sql,
  { id, endpointId, lease }: Held,
  outcome: Outcome,
  ahead: number,
): Promise<Settled | undefined> => {
  const { length } = await sql`
    with failing as materialized (
      select w.id from webhook_endpoints w
       where w.id = ${endpointId} and w.failing_since is not null for no key update
    ), d as (
      update webhook_deliveries d
         set state = 'succeeded', attempts = attempts + 1, tries = tries + 1, next_attempt_at = null, lease_until = null
       where ${isHeld(sql, id, lease)} and (select count(*) from failing) >= 0
      returning d.id
    ), a as (
      ${attemptOf(sql, outcome, ahead)} from d
    ), w as (
      update webhook_endpoints w set failing_since = null from failing, d where w.id = failing.id
    )
    select from d`
  return length === 0 ? undefined : { outcome: 'delivered', disabled: null }
}

const fail = async (
  tx: Tx,
  log: Log,
  { id, endpointId, lease }: Held,
  outcome: Outcome,
  { ahead, random }: { ahead: number; random: number },
): Promise<Settled | undefined> => {
  const time = now(tx, ahead)
  const [webhook] = await tx<Webhook[]>`
    select w.id, w.public_id as "publicId", w.url, w.enabled, o.id as "workspaceId",
           o.public_id as "workspacePublicId", w.site_id as "siteId",
           (select s.public_id from sites s where s.id = w.site_id) as "sitePublicId",
           w.failing_since is not null as "isFailing",
           w.failing_since <= ${time} - make_interval(days => ${failingDays}) as "isFailingLong"
      from webhook_endpoints w join workspaces o on o.id = w.workspace_id
     where w.id = ${endpointId} for no key update of w`
  if (!webhook) return undefined
  const isGone = outcome.status === 410
  const waits = webhook.enabled && !isGone ? retrySchedule.map((planned) => Math.max(planned, outcome.wait)) : []
  const schedule = JSON.stringify(waits)
  // In seconds; null: that was the last try.
  const wait = tx`((${schedule}::text::json ->> d.tries)::float8 * ${1 + jitter * random}::float8)`
  const [settled] = await tx<{ state: 'failed' | 'pending' }[]>`
    with d as (
      update webhook_deliveries d
         set attempts = attempts + 1, tries = tries + 1, lease_until = null,
             state = case when ${wait} is null then 'failed' else 'pending' end,
             next_attempt_at = ${time} + make_interval(secs => ${wait})
       where ${isHeld(tx, id, lease)}
      returning d.id, d.state
    ), a as (
      ${attemptOf(tx, outcome, ahead)} from d
    )
    select state from d`
  if (!settled) return undefined
  const changed = settled.state === 'failed' ? 'failed' : 'retried'
  if (!webhook.enabled) return { outcome: changed, disabled: null }
  if (!webhook.isFailing) {
    await tx`update webhook_endpoints set failing_since = ${time} where id = ${endpointId}`
  }
  // One failure after days on which there was nothing to tell shows nothing yet.
  const isLost = changed === 'failed' && webhook.isFailingLong
  const reason = isGone ? 'gone' : isLost ? 'failing' : null
  if (reason !== null) await disable(tx, log, webhook, reason, ahead)
  return { outcome: reason === null ? changed : 'failed', disabled: reason }
}

type Webhook = {
  id: number
  publicId: string
  url: string
  enabled: boolean
  workspaceId: number
  workspacePublicId: string
  siteId: number | null
  sitePublicId: string | null
  isFailing: boolean
  isFailingLong: boolean | null
}

const isHeld = (sql: Queryable, id: number, lease: string): Fragment =>
  sql`d.id = ${id} and d.lease_until = ${lease}::timestamptz and d.state = 'pending'`

const attemptOf = (
  sql: Queryable,
  { status, failure, message, response, durationMs }: Outcome,
  ahead: number,
): Fragment => sql`
  insert into webhook_attempts (delivery_id, at, duration_ms, status, failure, message, response)
  select d.id, ${now(sql, ahead)} - make_interval(secs => ${durationMs / 1000}), ${Math.round(durationMs)}::int,
         ${status}::int, ${failure}::text, ${message}::text, ${response}::text`

// Dashboards hear of it, and so do the other webhooks that asked for it.
const disable = async (
  tx: Tx,
  log: Log,
  { id, publicId, url, workspaceId, workspacePublicId, siteId, sitePublicId }: Webhook,
  reason: 'gone' | 'failing',
  ahead: number,
): Promise<void> => {
  const [disabled] = await tx<{ at: string }[]>`
    update webhook_endpoints
       set enabled = false, disabled_reason = ${reason}, disabled_at = ${now(tx, ahead)},
           recover_after = null, recover_until = null, recover_since = null
     where id = ${id} returning ${tx.unsafe(isoTime('disabled_at'))} as at`
  await failPending(tx, id)
  const workspace: Workspace = { id: workspaceId, publicId: workspacePublicId }
  const site: SiteRef | null = siteId === null || sitePublicId === null ? null : { id: siteId, publicId: sitePublicId }
  await log.write(workspace, await log.take(workspace, 1), [
    {
      type: 'webhook.disabled',
      site,
      conversation: null,
      payload: { id: publicId, url, reason, disabled_at: disabled?.at },
    },
  ])
}
