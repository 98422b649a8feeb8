/** Merging contacts: two that turn out to be one person. */

import { HubbubError } from '../../schema/errors.ts'
import { caps } from '../../schema/muro/conventions.ts'
import type { Tx } from '../db/sql.ts'
import { mergeMetadata } from './attributes.ts'
import { asShown, noContact, recheck, tellContact } from './contacts.ts'
import type { AgentScope, Context } from './context.ts'
import { eraseContactTold, holdWebhooks, type LockedContact, lockContacts, removeContact } from './endings.ts'
import type { ContactFacts } from './facts.ts'
import { type Claim, recordOnce, type Settled } from './idempotency.ts'
import type { Log } from './record.ts'

/**
 * Lets the contact `from` end in another, which keeps its own name, address and metadata and takes what it lacks. All
 * conversations and the sessions of their visitors move over.
 */
export const mergeContacts = async (
  context: Context,
  scope: AgentScope,
  into: string,
  from: string,
  claim?: Claim,
): Promise<Settled<ContactFacts>> => {
  const { workspace } = scope
  if (from === into) {
    throw new HubbubError('invalid', 'from: a contact is not merged with itself', { param: 'from' })
  }
  const merge = async (tx: Tx, log: Log): Promise<ContactFacts> => {
    await holdWebhooks(tx, workspace)
    const locked = await lockContacts(tx, scope, [into, from])
    const [kept, gone] = [locked.get(into), locked.get(from)]
    if (!kept) throw noContact()
    if (!gone) throw new HubbubError('not_found', 'from: no such contact', { param: 'from' })
    const { columns, changed } = gainOf(tx, kept, gone)
    const conversations = await lockConversations(tx, gone)
    await eraseContactTold(tx, workspace, { id: from, merged_into: into })
    const first = await log.take(workspace, 2)
    await moveConversations(tx, conversations, { kept, gone, seq: first })
    await tx`
      update contact_seen k set seq = greatest(k.seq, g.seq), at = greatest(k.at, g.at), merged_seq = ${first}
        from contact_seen g where k.contact_id = ${kept.id} and g.contact_id = ${gone.id}`
    // An address belongs to one contact: it is free once the other is gone.
    await removeContact(tx, gone.id)
    await tx`update contacts set ${tx(columns)}, updated_at = clock_timestamp() where id = ${kept.id}`
    const told = await tellContact(tx, log, workspace, into, first, ['merged', ...changed])
    const payload = { id: from, merged_into: into }
    await log.write(workspace, first + 1, [{ type: 'contact.deleted', site: gone.site, conversation: null, payload }])
    return await asShown(tx, scope, told)
  }
  return await recordOnce(context, claim, merge, (stored) => recheck(context, scope, stored))
}

const gainOf = (tx: Tx, kept: LockedContact, gone: LockedContact) => {
  const news = Object.entries(gone.metadata).filter(([key]) => !Object.hasOwn(kept.metadata, key))
  const { merged, changed } = mergeMetadata(kept.metadata, Object.fromEntries(news), caps.metadata)
  const [name, email] = [kept.name ?? gone.name, kept.email ?? gone.email]
  return {
    columns: { name, email, metadata: tx.json(merged as never) },
    changed: [
      ...(name === kept.name ? [] : ['name']),
      ...(email === kept.email ? [] : ['email']),
      ...(changed ? ['metadata'] : []),
    ],
  }
}

// Who appends holds the conversation, so what is in one that is locked here is all there is.
const lockConversations = async (tx: Tx, { id }: LockedContact): Promise<number[]> => {
  await tx`
    select from contact_sessions where contact_id = ${id} order by site_id, token_hash for update`
  const rows = await tx<{ id: number }[]>`
    select id from conversations where contact_id = ${id} order by id for no key update`
  return rows.map((row) => row.id)
}

const moveConversations = async (
  tx: Tx,
  rowIds: number[],
  { kept, gone, seq }: { kept: LockedContact; gone: LockedContact; seq: number },
): Promise<void> => {
  const ids = tx`(${rowIds.map(String)}::text[]::bigint[])`
  await tx`update contact_sessions set contact_id = ${kept.id} where contact_id = ${gone.id}`
  await tx`update conversations set contact_id = ${kept.id}, moved_seq = ${seq} where id = any${ids}`
  await tx`
    update messages set sender_id = ${kept.publicId}
     where conversation_id = any${ids} and sender_type = 'visitor' and sender_id = ${gone.publicId}`
}
