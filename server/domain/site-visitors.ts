/** Visitors of a site: beginning a conversation, and coming back to it with its token. */

import { hashSecret } from '../../auth/api-keys.ts'
import { randomToken } from '../../auth/random.ts'
import { HubbubError } from '../../schema/errors.ts'
import { siteChatErrors } from '../../schema/site-chat.ts'
import { type Sql, type Tx, violatedUnique } from '../db/sql.ts'
import { insertContact, tellContact, tellNewContact } from './contacts.ts'
import type { Context, VisitorScope } from './context.ts'
import { nextNumber } from './counters.ts'
import { type ContactOnSite, insertConversation, reserveConversation } from './openings.ts'
import { type Log, record } from './record.ts'
import type { Site } from './sites.ts'

/** What a visitor begins with, and the page they are on. */
export type Arrival = { name: string; email: string; message: string; visitorToken: string; url?: string | undefined }

/** Begins a visitor's conversation. Its two tokens open it from now on; a visitor token begins one conversation only. */
export const beginConversation = async (
  context: Context,
  site: Site,
  arrival: Arrival,
): Promise<{ conversation: string; conversationToken: string }> => {
  for (;;) {
    try {
      return await record(context, (tx, log) => begin(tx, log, site, arrival))
    } catch (error) {
      const violated = violatedUnique(error)
      if (violated === 'contact_sessions_pkey') throw new HubbubError('conflict', siteChatErrors.taken)
      // Someone made a contact with this address meanwhile: now it is found.
      if (violated !== 'contacts_email') throw error
    }
  }
}

/** Returns the visitor whose conversation a token opens on a site; undefined if it opens none. */
export const findVisitor = async (sql: Sql, site: Site, token: string): Promise<VisitorScope | undefined> => {
  const [row] = await sql<{ conversation: string; id: number; publicId: string; name: string | null }[]>`
    select c.public_id as conversation, v.id, v.public_id as "publicId", s.name
      from contact_sessions s
      join conversations c on c.id = s.conversation_id
      join contacts v on v.id = c.contact_id
     where s.site_id = ${site.id} and s.token_hash = ${hashSecret(token)}`
  if (!row) return undefined
  const { conversation, ...contact } = row
  const { workspace, id, publicId } = site
  return { workspace, site: { id, publicId }, conversation: { publicId: conversation }, contact }
}

/** Lets a token open a conversation; `name` is what its holder is called there. A token opens one only. */
export const insertSession = async (
  tx: Tx,
  session: {
    siteId: number
    kind: 'visitor_token' | 'conversation_token'
    token: string
    contactId: number
    conversationId: number
    name: string
  },
): Promise<void> => {
  const { siteId, kind, token, contactId, conversationId, name } = session
  await tx`
    insert into contact_sessions (site_id, kind, token_hash, contact_id, conversation_id, name)
    values (${siteId}, ${kind}, ${hashSecret(token)}, ${contactId}, ${conversationId}, ${name})`
}

const begin = async (tx: Tx, log: Log, site: Site, { name, email, message, visitorToken, url }: Arrival) => {
  const place = await reserveConversation(tx, site.workspace)
  const contact = await findOrInsertContact(tx, site, name, email)
  const conversationToken = `ct_${randomToken()}`
  const session = { siteId: site.id, contactId: contact.id, conversationId: place.rowId, name }
  await insertSession(tx, { ...session, kind: 'visitor_token', token: visitorToken })
  await insertSession(tx, { ...session, kind: 'conversation_token', token: conversationToken })
  if (contact.isNew) await tellNewContact(tx, log, site.workspace, { rowId: contact.id, id: contact.publicId })
  else if (contact.isNamed) {
    await tellContact(tx, log, site.workspace, contact.publicId, await log.take(site.workspace, 1), ['name'])
  }
  const line = {
    senderType: 'visitor',
    senderId: contact.publicId,
    author: name,
    content: message,
  } as const
  const reply = { senderType: 'system', senderId: null, author: null, content: site.autoReply ?? '' } as const
  await insertConversation(tx, log, {
    workspace: site.workspace,
    place,
    contact,
    messages: site.autoReply === null ? [line] : [line, reply],
    url,
  })
  return { conversation: place.publicId, conversationToken }
}

type KnownContact = ContactOnSite & { isNew: boolean; isNamed: boolean }

// An address that is known joins the new thread to its contact; it opens none of the contact's old threads.
const findOrInsertContact = async (tx: Tx, site: Site, name: string, email: string): Promise<KnownContact> => {
  const { workspace } = site
  const place = { site: { id: site.id, publicId: site.publicId } }
  const [known] = await tx<{ id: number; publicId: string; name: string | null }[]>`
    select id, public_id as "publicId", name from contacts
     where workspace_id = ${workspace.id} and email = ${email}
       for no key update`
  if (known) {
    if (known.name === null)
      await tx`update contacts set name = ${name}, updated_at = clock_timestamp() where id = ${known.id}`
    return {
      id: known.id,
      publicId: known.publicId,
      ...place,
      isNew: false,
      isNamed: known.name === null,
    }
  }
  const number = await nextNumber(tx, workspace, 'contact')
  const { rowId, id } = await insertContact(tx, { workspace, number, siteId: site.id, name, email })
  return { id: rowId, publicId: id, ...place, isNew: true, isNamed: true }
}
