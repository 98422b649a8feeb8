/** Contacts: the people on the other side. */

import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import type { CreateContact, ListContacts, UpdateContact } from '../../schema/muro/contacts.ts'
import { caps } from '../../schema/muro/conventions.ts'
import { type Fragment, type Queryable, type Tx, violatedUnique } from '../db/sql.ts'
import { mergeMetadata } from './attributes.ts'
import type { AgentScope, Context, Reach, Workspace } from './context.ts'
import { nextNumber } from './counters.ts'
import { type ContactFacts, contactFacts } from './facts.ts'
import { type Claim, recordOnce, type Settled } from './idempotency.ts'
import { newId } from './ids.ts'
import { reachedContacts } from './reach.ts'
import { type Log, record } from './record.ts'
import { searchForContacts } from './search.ts'
import { findSite } from './sites.ts'
import { type Page, readPage } from './walks.ts'

/** Returns one contact that the scope reaches. */
export const readContact = async ({ sql }: { sql: Queryable }, reach: Reach, id: string): Promise<ContactFacts> => {
  const [found] = isId('contact', id)
    ? await sql<{ facts: ContactFacts }[]>`
        select ${sql.unsafe(contactFacts)} as facts from contacts v, ${pinOf(sql, reach)}
         where ${reachedContacts(sql, reach)} and v.public_id = ${id}`
    : []
  if (!found) throw noContact()
  return found.facts
}

/** Returns the error for an id that names no contact within reach. */
export const noContact = (): HubbubError => new HubbubError('not_found', 'No such contact.')

/** The row beside which `contactFacts` shows a contact to the scope. */
export const pinOf = (sql: Queryable, { site }: Reach): Fragment =>
  sql`(select ${site?.id ?? null}::bigint as site_id) pin`

/**
 * Returns a page of the contacts that the scope reaches, most recently seen first: of one site or of all, in whose name or
 * email `q` occurs, with an address.
 */
export const listContacts = async (
  { sql }: Context,
  reach: Reach,
  input: ListContacts,
): Promise<Page<ContactFacts>> => {
  const { workspace, site } = reach
  // A pinned scope is shown its own site as everybody's.
  const ofSite = (id: string) => sql`
    and ${site === null ? sql`v.site_id` : sql`${site.id}`} =
        (select id from sites where workspace_id = ${workspace.id} and public_id = ${id})`
  const search = input.q === undefined ? undefined : await searchForContacts(sql, workspace, input.q)
  return await readPage(
    sql,
    workspace,
    { list: 'contacts', ...input },
    {
      places: sql`
      select n.contact_id as id, n.created_seq as first_seq, n.seq, n.merged_seq
        from contact_seen n join contacts v on v.id = n.contact_id
       where n.workspace_id = ${workspace.id} and ${reachedContacts(sql, reach)}
         ${input.website_id === undefined ? sql`` : ofSite(input.website_id)}
         ${input.email === undefined ? sql`` : sql`and v.email = ${input.email}`}
         ${search === undefined ? sql`` : sql`and ${search.condition}`}`,
      placeThen: sql`(
      select max(m.seq) from messages m join conversations c on c.id = m.conversation_id
       where c.contact_id = p.id and m.seq <= walk.head and m.sender_type = 'visitor'
         and (c.moved_seq is null or c.moved_seq <= walk.head))`,
      facts: sql`(select ${sql.unsafe(contactFacts)} from contacts v, ${pinOf(sql, reach)} where v.id = page.id)`,
    },
  )
}

/** Creates a contact of a site that the scope reaches, the oldest where none is named. An email belongs to one contact. */
export const createContact = async (
  context: Context,
  scope: AgentScope,
  input: CreateContact,
  claim?: Claim,
): Promise<Settled<ContactFacts>> => {
  try {
    const create = async (tx: Tx, log: Log): Promise<ContactFacts> => {
      const { workspace } = scope
      const number = await nextNumber(tx, workspace, 'contact')
      const site = await findSite(tx, scope, input.website_id)
      const { merged } = mergeMetadata({}, input.metadata ?? {}, caps.metadata)
      const { rowId, id } = await insertContact(tx, {
        workspace,
        number,
        siteId: site.id,
        ...named(input),
        metadata: merged,
      })
      return await asShown(tx, scope, await tellNewContact(tx, log, workspace, { rowId, id }))
    }
    return await recordOnce(context, claim, create, (stored) => recheck(context, scope, stored))
  } catch (error) {
    throw (await emailTaken(context, scope, input.email, error)) ?? error
  }
}

/** Refuses to show a contact again as it once was answered, where it is gone or out of reach by now. */
export const recheck = async (context: Context, scope: Reach, { id, website_id }: ContactFacts): Promise<void> => {
  if (scope.site !== null && scope.site.publicId !== website_id) throw noContact()
  await readContact(context, scope, id)
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
      const row = await lockContact(tx, scope, id)
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
      return await asShown(tx, scope, await tellContact(tx, log, workspace, id, await log.take(workspace, 1), changed))
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
  workspace: Workspace,
  { rowId, id }: { rowId: number; id: string },
): Promise<ContactFacts> => {
  const seq = await log.take(workspace, 1)
  await tx`
    insert into contact_seen (contact_id, workspace_id, created_seq, seq)
    values (${rowId}, ${workspace.id}, ${seq}, ${seq})`
  return await tellContact(tx, log, workspace, id, seq, ['created'])
}

/** Writes a `contact.update` under a number that was taken; returns the contact as it is told to the workspace. */
export const tellContact = async (
  tx: Tx,
  log: Log,
  workspace: Workspace,
  id: string,
  seq: number,
  changed: string[],
): Promise<ContactFacts> => {
  const [told] = await tx<{ facts: ContactFacts; siteId: number }[]>`
    select ${tx.unsafe(contactFacts)} as facts, v.site_id as "siteId"
      from contacts v, ${pinOf(tx, { workspace, site: null })}
     where v.workspace_id = ${workspace.id} and v.public_id = ${id}`
  if (!told) throw new Error(`contact ${id} vanished under its lock`)
  const { facts, siteId } = told
  const site = { id: siteId, publicId: facts.website_id }
  await log.write(workspace, seq, [
    { type: 'contact.update', site, conversation: null, payload: { ...facts, changed } },
  ])
  return facts
}

/** Returns a contact that was just told of as the scope is shown it. */
export const asShown = async (tx: Tx, scope: Reach, told: ContactFacts): Promise<ContactFacts> =>
  scope.site === null ? told : await readContact({ sql: tx }, scope, told.id)

const named = ({ name, email }: CreateContact) => ({ name: name ?? null, email: email ?? null })

type Row = { id: number; name: string | null; email: string | null; metadata: Record<string, unknown> }

const lockContact = async (tx: Tx, reach: Reach, id: string): Promise<Row> => {
  const [row] = isId('contact', id)
    ? await tx<Row[]>`
        select v.id, v.name, v.email, v.metadata from contacts v
         where ${reachedContacts(tx, reach)} and v.public_id = ${id} for no key update`
    : []
  if (!row) throw noContact()
  return row
}

const emailTaken = async (
  { sql }: Context,
  reach: Reach,
  email: string | null | undefined,
  error: unknown,
): Promise<HubbubError | undefined> => {
  if (violatedUnique(error) !== 'contacts_email') return undefined
  const [owner] = await sql<{ public_id: string }[]>`
    select v.public_id from contacts v where ${reachedContacts(sql, reach)} and v.email = ${email ?? null}`
  return new HubbubError('conflict', `email: another contact has this address${owner ? `: ${owner.public_id}` : ''}`, {
    param: 'email',
  })
}
