/** Deletion: a conversation, or a contact with all its conversations, ends for good. */

import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import type { Fragment, Tx } from '../db/sql.ts'
import { noContact, tellContact } from './contacts.ts'
import type { AgentScope, Context, SiteRef } from './context.ts'
import { noConversation } from './conversations.ts'
import { eraseContactTold, eraseDeliveries, holdWebhooks, lockContacts, removeContact } from './endings.ts'
import { reachedConversations } from './reach.ts'
import { type EventDraft, record } from './record.ts'

/** Deletes a conversation with all that belongs to it; for keys of admins only. */
export const deleteConversation = async (context: Context, scope: AgentScope, id: string): Promise<void> => {
  requireAdmin(scope)
  if (!isId('conversation', id)) throw noConversation()
  const { workspace } = scope
  await record(context, async (tx, log) => {
    await holdWebhooks(tx, workspace)
    const [doomed] = await lockConversations(tx, tx`${reachedConversations(tx, scope)} and c.public_id = ${id}`)
    if (!doomed) throw noConversation()
    await erase(tx, [doomed])
    const first = await log.take(workspace, 2)
    // Whoever reads the log from before finds nothing of what the visitor did: the contact is told as it stands.
    await tellContact(tx, log, workspace, await contactOf(tx, doomed), first, ['conversation_count'])
    await log.write(workspace, first + 1, [told(doomed)])
  })
}

/** Deletes a contact with all its conversations; for keys of admins that reach all of them. */
export const deleteContact = async (context: Context, scope: AgentScope, id: string): Promise<void> => {
  requireAdmin(scope)
  const { workspace } = scope
  await record(context, async (tx, log) => {
    await holdWebhooks(tx, workspace)
    const contact = (await lockContacts(tx, scope, [id])).get(id)
    if (!contact) throw noContact()
    const doomed = await lockConversations(tx, tx`c.contact_id = ${contact.id}`)
    if (doomed.length > 0) await erase(tx, doomed)
    await eraseContactTold(tx, workspace, { id })
    const first = await log.take(workspace, doomed.length + 1)
    await removeContact(tx, contact.id)
    await log.write(workspace, first, [
      ...doomed.map(told),
      { type: 'contact.deleted', site: contact.site, conversation: null, payload: { id } },
    ])
  })
}

const requireAdmin = ({ user }: AgentScope): void => {
  if (user.role !== 'admin') throw new HubbubError('forbidden', 'Only an API key of an admin deletes this.')
}

type Doomed = { id: number; publicId: string; contactId: number; seq: number; publicSeq: number; site: SiteRef }

// Whoever wants to write into one of them waits from here on, and then finds none.
const lockConversations = async (tx: Tx, which: Fragment): Promise<Doomed[]> => {
  await tx`
    select from contact_sessions s join conversations c on c.id = s.conversation_id
     where ${which} order by s.site_id, s.token_hash for update of s`
  const rows = await tx<(Omit<Doomed, 'site'> & { siteId: number; sitePublicId: string })[]>`
    select c.id, c.public_id as "publicId", c.contact_id as "contactId", c.seq, c.public_seq as "publicSeq",
           w.id as "siteId", w.public_id as "sitePublicId"
      from conversations c join sites w on w.id = c.site_id
     where ${which} order by c.id for update of c`
  return rows.map(({ siteId, sitePublicId, ...row }) => ({ ...row, site: { id: siteId, publicId: sitePublicId } }))
}

const erase = async (tx: Tx, doomed: Doomed[]): Promise<void> => {
  const ids = tx`(${doomed.map(({ id }) => String(id))}::text[]::bigint[])`
  await tx`
    update events e set type = 'conversation.deleted', payload = json_build_object('id', c.public_id)
      from conversations c where e.conversation_id = any${ids} and c.id = e.conversation_id`
  await eraseDeliveries(tx, tx`d.conversation_id = any${ids}`)
  await tx`delete from attachments where conversation_id = any${ids}`
  await tx`delete from messages where conversation_id = any${ids}`
  await tx`delete from summaries where conversation_id = any${ids}`
  await tx`delete from conversation_activity where conversation_id = any${ids}`
  await tx`delete from contact_sessions where conversation_id = any${ids}`
  await tx`delete from conversations where id = any${ids}`
}

const contactOf = async (tx: Tx, { contactId }: Doomed): Promise<string> => {
  const [contact] = await tx<{ id: string }[]>`select public_id as id from contacts where id = ${contactId}`
  if (!contact) throw new Error(`contact ${contactId} vanished under the lock of its conversation`)
  return contact.id
}

const told = ({ id, publicId, seq, publicSeq, site }: Doomed): EventDraft => ({
  type: 'conversation.deleted',
  site,
  conversation: { id, publicId, seq: seq + 1, publicSeq: publicSeq + 1 },
  payload: { id: publicId },
})
