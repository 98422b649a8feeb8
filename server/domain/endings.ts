/** Endings: what deleting and merging have in common. What was told of what ends is blank from then on. */

import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import type { Fragment, Tx } from '../db/sql.ts'
import type { Reach, SiteRef, Workspace } from './context.ts'
import { reachedContacts } from './reach.ts'

/**
 * Holds what makes and changes deliveries of a workspace until `tx` ends, before every other lock but the claim: what was
 * read of the log a moment ago, and is to be blanked, must not become one afterwards.
 */
export const holdWebhooks = async (tx: Tx, { id }: Workspace): Promise<void> => {
  await tx`select from log_followers where follower = 'webhooks' and workspace_id = ${id} for update`
  await tx`select from webhook_endpoints where workspace_id = ${id} order by id for no key update`
}

/** A contact that is locked against everything, new conversations too. */
export type LockedContact = {
  id: number
  publicId: string
  site: SiteRef
  name: string | null
  email: string | null
  metadata: Record<string, unknown>
}

/**
 * Locks those of the contacts that the scope reaches. A pinned scope is refused where one of them is of another site too:
 * what it ends would end there.
 */
export const lockContacts = async (tx: Tx, scope: Reach, ids: string[]): Promise<Map<string, LockedContact>> => {
  const rows = await tx<(Omit<LockedContact, 'site'> & { siteId: number; sitePublicId: string })[]>`
    select v.id, v.public_id as "publicId", w.id as "siteId", w.public_id as "sitePublicId", v.name, v.email, v.metadata
      from contacts v join sites w on w.id = v.site_id
     where ${reachedContacts(tx, scope)} and v.public_id = any(${ids.filter((id) => isId('contact', id))})
     order by v.id for update of v`
  if (scope.site !== null) {
    const pin = scope.site.id
    const [other] = await tx`
      select from contacts v
       where v.id = any(${rows.map(({ id }) => String(id))}::text[]::bigint[])
         and (v.site_id <> ${pin} or exists (
           select from conversations c where c.contact_id = v.id and c.site_id <> ${pin}))`
    if (other)
      throw new HubbubError('forbidden', 'This contact is of another site too, which this API key does not reach.')
  }
  return new Map(
    rows.map(({ siteId, sitePublicId, ...row }) => [
      row.publicId,
      { ...row, site: { id: siteId, publicId: sitePublicId } },
    ]),
  )
}

/**
 * Blanks what the log tells of a contact that ends, which is `payload` from then on, and what webhooks were told of it or
 * are still to be told. The webhooks must be held.
 */
export const eraseContactTold = async (
  tx: Tx,
  workspace: Workspace,
  payload: { id: string; merged_into?: string },
): Promise<void> => {
  const { id } = payload
  await tx`
    update events set type = 'contact.deleted', payload = ${JSON.stringify(payload)}::text::json
     where workspace_id = ${workspace.id} and conversation_id is null and payload ->> 'id' = ${id}`
  await eraseDeliveries(
    tx,
    tx`d.event_type = 'visitor.identified' and strpos(d.body, ${id}) > 0
       and d.endpoint_id in (select w.id from webhook_endpoints w where w.workspace_id = ${workspace.id})`,
  )
}

/** Ends rows `d` of deliveries: none keeps what it told, nor what was answered to it, and those that wait are not sent. */
export const eraseDeliveries = async (tx: Tx, which: Fragment): Promise<void> => {
  await tx`
    with doomed as materialized (
      select d.id from webhook_deliveries d where ${which} order by d.id for update
    ), answers as (
      update webhook_attempts a set response = null from doomed where a.delivery_id = doomed.id
    )
    update webhook_deliveries d
       set body = null, next_attempt_at = null, state = case d.state when 'pending' then 'cancelled' else d.state end
      from doomed where d.id = doomed.id`
}

/** Removes a contact that has no conversations any more. When it was seen changes under the workspace's head only. */
export const removeContact = async (tx: Tx, rowId: number): Promise<void> => {
  await tx`delete from contact_seen where contact_id = ${rowId}`
  await tx`delete from contacts where id = ${rowId}`
}
