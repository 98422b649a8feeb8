/** A workspace with what a test needs in it, made as the program makes it. */

import type { Sql } from '../../server/db/sql.ts'
import { createContact } from '../../server/domain/contacts.ts'
import type { AgentScope, Context, SiteRef, VisitorScope, Workspace } from '../../server/domain/context.ts'
import { openConversation } from '../../server/domain/conversations.ts'
import { createKey, findKey } from '../../server/domain/keys.ts'
import { createSite, type SiteSettings } from '../../server/domain/sites.ts'
import { createUser, createWorkspace } from '../../server/domain/workspaces.ts'

/** A site of a workspace, with what opens it. */
export type TestSite = { id: string; site_key: string; ref: SiteRef }

/** A conversation and its contact. */
export type Thread = { conversation: string; contact: string; visitor: VisitorScope }

export type Tenant = {
  workspace: Workspace
  agent: AgentScope
  apiKey: string
  adminRowId: number
  site: TestSite
  /** Makes a contact with an open, empty conversation, and returns both; on the first site unless another is given. */
  thread(site?: TestSite): Promise<Thread>
  /** Makes another site. */
  makeSite(settings?: Partial<SiteSettings>): Promise<TestSite>
  /** Makes another key, for reading and writing, pinned to a site if one is given. */
  makeKey(site?: TestSite): Promise<{ id: string; key: string; agent: AgentScope }>
}

let made = 0

/** Makes a workspace with an admin, a site and a key for reading and writing. */
export const makeTenant = async (context: Context, settings: Partial<SiteSettings> = {}): Promise<Tenant> => {
  made += 1
  const { sql } = context
  const { workspace, admin } = await sql.begin(async (tx) => {
    const workspace = await createWorkspace(tx, `Workspace ${made}`)
    const admin = await createUser(tx, workspace, { name: 'Ada', email: `ada${made}@example.com`, role: 'admin' })
    return { workspace, admin }
  })
  const makeSite = async (wanted: Partial<SiteSettings> = {}): Promise<TestSite> => {
    const { rowId, id, site_key } = await sql.begin((tx) => createSite(tx, workspace, { name: 'Shop', ...wanted }))
    return { id, site_key, ref: { id: rowId, publicId: id } }
  }
  const makeKey = async (pin?: TestSite) => {
    const wanted = { userRowId: admin.rowId, scopes: ['read', 'write'] as const, site: pin?.ref }
    const { id, key } = await createKey(sql, workspace, wanted)
    return { id, key, agent: await agentWith(sql, key) }
  }
  const site = await makeSite(settings)
  const { key, agent } = await makeKey()
  return {
    workspace,
    agent,
    apiKey: key,
    adminRowId: admin.rowId,
    site,
    makeSite,
    makeKey,
    thread: async (on = site) => {
      const { answer: contact } = await createContact(context, agent, { name: 'Vita', website_id: on.id })
      const { answer: conversation } = await openConversation(context, agent, { visitor_id: contact.id })
      const [row] = await sql<{ id: number }[]>`select id from contacts where public_id = ${contact.id}`
      const visitor = {
        workspace,
        site: on.ref,
        conversation: { publicId: conversation.id },
        contact: { id: row?.id ?? 0, publicId: contact.id, name: 'Vita' },
      }
      return { conversation: conversation.id, contact: contact.id, visitor }
    },
  }
}

/** Returns the scope of an API key. */
export const agentWith = async (sql: Sql, key: string): Promise<AgentScope> => {
  const found = await findKey(sql, key)
  if (!found) throw new Error('the key was not found')
  return found.scope
}
