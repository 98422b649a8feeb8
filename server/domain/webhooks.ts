/** Webhooks: the addresses that a workspace has told of its events. */

import { newWebhookSecret } from '../../auth/webhook-signature.ts'
import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import {
  type CreateWebhook,
  maxWebhooks,
  type UpdateWebhook,
  type Webhook,
  type WebhookType,
  type WebhookWithSecret,
} from '../../schema/muro/webhooks.ts'
import { type Fragment, type Queryable, type Tx, transact } from '../db/sql.ts'
import type { AgentScope, Context, Reach } from './context.ts'
import { isoTime } from './facts.ts'
import { type Claim, recordOnce, type Settled } from './idempotency.ts'
import { newId } from './ids.ts'
import { readList } from './lists.ts'
import { findSite } from './sites.ts'
import type { Page } from './walks.ts'
import { failPending } from './webhook-queue.ts'

/** A webhook as it is shown, before a face says what it is. */
export type WebhookFacts = Omit<Webhook, 'object'>
export type WebhookSecretFacts = Omit<WebhookWithSecret, 'object'>

/** Returns why nothing would ever be sent to an address, as far as can be seen from it; undefined where it may be. */
export type UrlRefusal = (url: string) => Promise<string | undefined>

/** The facts of a row `w` of webhook_endpoints; the secret is not among them. */
const webhookFacts = `
  json_build_object(
    'id', w.public_id, 'url', w.url, 'events', w.events, 'description', w.description,
    'website_id', (select s.public_id from sites s where s.id = w.site_id),
    'enabled', w.enabled, 'disabled_reason', w.disabled_reason, 'disabled_at', ${isoTime('w.disabled_at')},
    'failing_since', ${isoTime('w.failing_since')}, 'created_at', ${isoTime('w.created_at')},
    'updated_at', ${isoTime('w.updated_at')})`

// A key that is pinned to a site sees and manages the webhooks of its site only.
const reached = (sql: Queryable, { workspace, site }: Reach): Fragment => sql`
  w.workspace_id = ${workspace.id} and w.deleted_at is null
  ${site === null ? sql`` : sql`and w.site_id = ${site.id}`}`

/** Returns a page of the webhooks that the scope reaches, the oldest first. */
export const listWebhooks = async (
  { sql }: Context,
  reach: Reach,
  page: { cursor?: string | undefined; limit: number },
): Promise<Page<WebhookFacts>> =>
  await readList(
    sql,
    { list: 'webhooks', ...page },
    sql`select w.id, ${sql.unsafe(webhookFacts)} as facts from webhook_endpoints w where ${reached(sql, reach)}`,
  )

/** Returns one webhook that the scope reaches. */
export const readWebhook = async (
  { sql }: { sql: Queryable },
  reach: Reach,
  webhook: string,
): Promise<WebhookFacts> => {
  const [found] = isId('webhook', webhook)
    ? await sql<{ facts: WebhookFacts }[]>`
        select ${sql.unsafe(webhookFacts)} as facts
          from webhook_endpoints w where ${reached(sql, reach)} and w.public_id = ${webhook}`
    : []
  if (!found) throw noWebhook()
  return found.facts
}

/** Returns the row of a webhook that the scope reaches. */
export const findWebhook = async (sql: Queryable, reach: Reach, webhook: string): Promise<{ id: number }> => {
  const [found] = isId('webhook', webhook)
    ? await sql<{ id: number }[]>`
        select w.id from webhook_endpoints w where ${reached(sql, reach)} and w.public_id = ${webhook}`
    : []
  if (!found) throw noWebhook()
  return found
}

/** Locks a webhook that the scope reaches, before any of its deliveries. */
export const lockWebhook = async (
  tx: Tx,
  reach: Reach,
  webhook: string,
): Promise<{ id: number; url: string; enabled: boolean; events: WebhookType[]; createdSeq: number }> => {
  const [found] = isId('webhook', webhook)
    ? await tx<{ id: number; url: string; enabled: boolean; events: WebhookType[]; createdSeq: number }[]>`
        select w.id, w.url, w.enabled, to_json(w.events) as events, w.created_seq as "createdSeq"
          from webhook_endpoints w
         where ${reached(tx, reach)} and w.public_id = ${webhook} for no key update`
    : []
  if (!found) throw noWebhook()
  return found
}

/**
 * Creates a webhook and returns it with its secret. It hears what happens from then on. Under a claim the secret is kept
 * with the answer for a day, so that whoever did not get the first one can ask again: without it the webhook would be
 * of no use, and it is kept beside the webhook anyway, since it signs.
 */
export const createWebhook = async (
  context: Context,
  scope: AgentScope,
  input: CreateWebhook,
  refusalOf: UrlRefusal,
  claim?: Claim,
): Promise<Settled<WebhookSecretFacts>> => {
  await admitUrl(input.url, refusalOf)
  const { workspace } = scope
  return await recordOnce(
    context,
    claim,
    async (tx) => {
      // One after the other, so that no two of them are both the last that may be made.
      await tx`select from workspaces where id = ${workspace.id} for no key update`
      const [made] = await tx<{ count: number }[]>`
        select count(*) as count from webhook_endpoints where workspace_id = ${workspace.id} and deleted_at is null`
      if ((made?.count ?? 0) >= maxWebhooks) {
        throw new HubbubError('conflict', `A workspace may have ${maxWebhooks} webhooks: delete one first.`)
      }
      const isOfSite = scope.site !== null || input.website_id !== undefined
      const site = isOfSite ? await findSite(tx, scope, input.website_id) : null
      const secret = newWebhookSecret()
      const isEnabled = input.enabled ?? true
      const [row] = await tx<{ facts: WebhookFacts }[]>`
        insert into webhook_endpoints as w (public_id, workspace_id, site_id, url, events, description, secret,
                                            created_seq, enabled_seq, enabled, disabled_reason, disabled_at)
        select ${newId('webhook')}, ${workspace.id}, ${site?.id ?? null}, ${input.url}, ${input.events},
               ${input.description ?? null}, ${secret}, h.seq, h.seq, ${isEnabled},
               ${isEnabled ? null : 'manual'}, ${isEnabled ? tx`null` : tx`clock_timestamp()`}
          from workspace_heads h where h.workspace_id = ${workspace.id}
        returning ${tx.unsafe(webhookFacts)} as facts`
      if (!row) throw new Error('a webhook was not inserted')
      return { ...row.facts, secret }
    },
    ({ website_id }) => {
      if (scope.site !== null && scope.site.publicId !== website_id) throw noWebhook()
    },
  )
}

/**
 * Changes a webhook. While it is disabled nothing is made for it and nothing is sent, and what was still to be sent has
 * failed; enabling it forgets how it failed, and so does another address.
 */
export const updateWebhook = async (
  { sql }: Context,
  scope: AgentScope,
  webhook: string,
  patch: UpdateWebhook,
  refusalOf: UrlRefusal,
): Promise<WebhookFacts> => {
  if (patch.url !== undefined) await admitUrl(patch.url, refusalOf)
  return await transact(sql, async (tx) => {
    const row = await lockWebhook(tx, scope, webhook)
    const isEnabled = patch.enabled ?? row.enabled
    const isBeginning = isEnabled && !row.enabled
    const isEnding = row.enabled && !isEnabled
    const isFresh = isBeginning || (patch.url ?? row.url) !== row.url
    await tx`
      update webhook_endpoints w
         set url = ${patch.url ?? row.url}, events = ${patch.events ?? row.events},
             description = ${patch.description === undefined ? tx`description` : patch.description},
             enabled = ${isEnabled},
             ${isBeginning ? tx`disabled_reason = null, disabled_at = null, enabled_seq = ${headOf(tx)},` : tx``}
             ${isEnding ? tx`disabled_reason = 'manual', disabled_at = clock_timestamp(), ${noRecovery(tx)},` : tx``}
             ${isFresh ? tx`failing_since = null,` : tx``}
             updated_at = clock_timestamp()
       where id = ${row.id}`
    if (isEnding) await failPending(tx, row.id)
    return await readWebhook({ sql: tx }, scope, webhook)
  })
}

/** Gives a webhook a new secret and returns it; the old one signs beside it for so long. An older one is dropped at once. */
export const rotateSecret = async (
  context: Context,
  scope: AgentScope,
  webhook: string,
  overlapSeconds: number,
  claim?: Claim,
): Promise<Settled<WebhookSecretFacts>> => {
  await findWebhook(context.sql, scope, webhook)
  return await recordOnce(
    context,
    claim,
    async (tx) => {
      const { id } = await lockWebhook(tx, scope, webhook)
      const secret = newWebhookSecret()
      const overlap =
        overlapSeconds > 0
          ? tx`old_secret = secret, old_secret_until = clock_timestamp() + make_interval(secs => ${overlapSeconds})`
          : tx`old_secret = null, old_secret_until = null`
      await tx`
        update webhook_endpoints set secret = ${secret}, ${overlap}, updated_at = clock_timestamp() where id = ${id}`
      return { ...(await readWebhook({ sql: tx }, scope, webhook)), secret }
    },
    () => undefined,
  )
}

/** Deletes a webhook: from then on nothing is sent to it and nobody sees it. The worker removes its deliveries. */
export const deleteWebhook = async ({ sql }: Context, scope: AgentScope, webhook: string): Promise<void> => {
  await transact(sql, async (tx) => {
    const { id } = await lockWebhook(tx, scope, webhook)
    await tx`
      update webhook_endpoints
         set deleted_at = clock_timestamp(), enabled = false, disabled_reason = coalesce(disabled_reason, 'manual'),
             disabled_at = coalesce(disabled_at, clock_timestamp()), ${noRecovery(tx)},
             secret = '', old_secret = null, old_secret_until = null
       where id = ${id}`
    await failPending(tx, id)
  })
}

const headOf = (tx: Tx): Fragment => tx`(select h.seq from workspace_heads h where h.workspace_id = w.workspace_id)`

const noRecovery = (tx: Tx): Fragment => tx`recover_after = null, recover_until = null, recover_since = null`

const admitUrl = async (url: string, refusalOf: UrlRefusal): Promise<void> => {
  const refusal = await refusalOf(url)
  if (refusal !== undefined) throw new HubbubError('invalid', `url: ${refusal}`, { param: 'url' })
}

const noWebhook = () => new HubbubError('not_found', 'No such webhook.')
