/** Contacts: the people on the other side. */

import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import { type CreateContact, caps, type UpdateContact } from '../../schema/muro.ts'
import { type Queryable, type Tx, violatedUnique } from '../db/sql.ts'
import { mergeMetadata } from './attributes.ts'
import type { AgentScope, Context, Workspace } from './context.ts'
import { nextNumber } from './counters.ts'
import { type ContactFacts, contactFacts } from './facts.ts'
import { type Claim, recordOnce, type Settled } from './idempotency.ts'
import { newId } from './ids.ts'
import { type Log, record } from './record.ts'
import { findSite } from './sites.ts'
import { type Page, readPage } from './walks.ts'

/** Returns one contact of the workspace. */
export const readContact = async (
  { sql }: { sql: Queryable },
  { workspace }: { workspace: Workspace },
  id: string,
): Promise<ContactFacts> => {
  const [found] = isId('contact', id)
    ? await sql<{ facts: ContactFacts }[]>`
        select ${sql.unsafe(contactFacts)} as facts from contacts v
         where v.workspace_id = ${workspace.id} and v.public_id = ${id}`
    : []
  if (!found) throw new HubbubError('not_found', 'No such contact.')
  return found.facts
}

/** Returns a page of contacts, most recently seen first, of one site or of all. */
export const listContacts = async (
  { sql }: Context,
  { workspace }: { workspace: Workspace },
  input: { website_id?: string | undefined; cursor?: string | undefined; limit: number },
): Promise<Page<ContactFacts>> => {
  const ofSite = (id: string) => sql`
    and v.site_id = (select id from sites where workspace_id = ${workspace.id} and public_id = ${id})`
  return await readPage(
    sql,
    workspace,
    { list: 'contacts', ...input },
    {
      places: sql`
      select n.contact_id as id, n.created_seq as first_seq, n.seq
        from contact_seen n join contacts v on v.id = n.contact_id
       where n.workspace_id = ${workspace.id} ${input.website_id === undefined ? sql`` : ofSite(input.website_id)}`,
      placeThen: sql`(
      select max(m.seq) from messages m join conversations c on c.id = m.conversation_id
       where c.contact_id = p.id and m.seq <= walk.head and m.sender_type = 'visitor')`,
      facts: sql`(select ${sql.unsafe(contactFacts)} from contacts v where v.id = page.id)`,
    },
  )
}

/** Creates a contact of a site of the workspace, the oldest where none is named. An email belongs to one contact. */
export const createContact = async (
  context: Context,
  scope: AgentScope,
  input: CreateContact,
  claim?: Claim,
): Promise<Settled<ContactFacts>> => {
  try {
    return await recordOnce(context, claim, async (tx, log) => {
      const { workspace } = scope
      const number = await nextNumber(tx, workspace, 'contact')
      const site = await findSite(tx, workspace, input.website_id)
      const { merged } = mergeMetadata({}, input.metadata ?? {}, caps.metadata)
      const { rowId, id } = await insertContact(tx, {
        workspace,
        number,
        siteId: site.id,
        ...named(input),
        metadata: merged,
      })
      return await tellNewContact(tx, log, scope, { rowId, id })
    })
  } catch (error) {
    throw (await emailTaken(context, scope, input.email, error)) ?? error
  }
}

/** Changes a contact and tells what changed; a patch that changes nothing tells nothing. */
export const updateContact = async (
  context: Context,
  scope: AgentScope,
  id: string,
  patch: UpdateContact,
): Promise<ContactFacts> => {
  try {
    return await record(context, async (tx, log) => {
      const { workspace } = scope
      const row = await lockContact(tx, workspace, id)
      const columns: Record<string, unknown> = {}
      if (patch.name !== undefined && patch.name !== row.name) columns.name = patch.name
      if (patch.email !== undefined && patch.email !== row.email) columns.email = patch.email
      if (patch.metadata !== undefined) {
        const { merged, changed } = mergeMetadata(row.metadata, patch.metadata, caps.metadata)
        if (changed) columns.metadata = tx.json(merged as never)
      }
      const changed = Object.keys(columns)
      if (changed.length === 0) return await readContact({ sql: tx }, scope, id)
      await tx`update contacts set ${tx(columns)}, updated_at = clock_timestamp() where id = ${row.id}`
      return await tellContact(tx, log, scope, id, await log.take(workspace, 1), changed)
    })
  } catch (error) {
    throw (await emailTaken(context, scope, patch.email, error)) ?? error
  }
}

/** Inserts a contact; to be followed by `tellNewContact`. */
export const insertContact = async (
  tx: Tx,
  contact: {
    workspace: Workspace
    number: number
    siteId: number
    name: string | null
    email: string | null
    metadata?: Record<string, unknown>
  },
): Promise<{ rowId: number; id: string }> => {
  const { workspace, number, siteId, name, email, metadata = {} } = contact
  const id = newId('contact')
  const [row] = await tx<{ id: number }[]>`
    insert into contacts (public_id, workspace_id, site_id, number, name, email, metadata)
    values (${id}, ${workspace.id}, ${siteId}, ${number}, ${name}, ${email}, ${tx.json(metadata as never)})
    returning id`
  if (!row) throw new Error('a contact was not inserted')
  return { rowId: row.id, id }
}

/** Tells of a contact that was inserted; it locks the workspace's head. */
export const tellNewContact = async (
  tx: Tx,
  log: Log,
  scope: { workspace: Workspace },
  { rowId, id }: { rowId: number; id: string },
): Promise<ContactFacts> => {
  const seq = await log.take(scope.workspace, 1)
  await tx`
    insert into contact_seen (contact_id, workspace_id, created_seq, seq)
    values (${rowId}, ${scope.workspace.id}, ${seq}, ${seq})`
  return await tellContact(tx, log, scope, id, seq, ['created'])
}

/** Writes a `contact.update` under a number that was taken; returns the contact it tells of. */
export const tellContact = async (
  tx: Tx,
  log: Log,
  scope: { workspace: Workspace },
  id: string,
  seq: number,
  changed: string[],
): Promise<ContactFacts> => {
  const contact = await readContact({ sql: tx }, scope, id)
  await log.write(scope.workspace, seq, [
    { type: 'contact.update', conversation: null, payload: { ...contact, changed } },
  ])
  return contact
}

const named = ({ name, email }: CreateContact) => ({ name: name ?? null, email: email ?? null })

type Row = { id: number; name: string | null; email: string | null; metadata: Record<string, unknown> }

const lockContact = async (tx: Tx, workspace: Workspace, id: string): Promise<Row> => {
  const [row] = isId('contact', id)
    ? await tx<Row[]>`
        select id, name, email, metadata from contacts
         where workspace_id = ${workspace.id} and public_id = ${id} for no key update`
    : []
  if (!row) throw new HubbubError('not_found', 'No such contact.')
  return row
}

const emailTaken = async (
  { sql }: Context,
  { workspace }: AgentScope,
  email: string | null | undefined,
  error: unknown,
): Promise<HubbubError | undefined> => {
  if (violatedUnique(error) !== 'contacts_email') return undefined
  const [owner] = await sql<{ public_id: string }[]>`
    select public_id from contacts where workspace_id = ${workspace.id} and email = ${email ?? null}`
  return new HubbubError('conflict', `email: another contact has this address${owner ? `: ${owner.public_id}` : ''}`, {
    param: 'email',
  })
}
