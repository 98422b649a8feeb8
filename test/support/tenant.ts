/** A workspace with what a test needs in it, made as the program makes it. */

import type { Sql } from '../../server/db/sql.ts'
import { createContact } from '../../server/domain/contacts.ts'
import type { AgentScope, Context, VisitorScope, Workspace } from '../../server/domain/context.ts'
import { openConversation } from '../../server/domain/conversations.ts'
import { createKey, findKey } from '../../server/domain/keys.ts'
import { createSite } from '../../server/domain/sites.ts'
import { createUser, createWorkspace } from '../../server/domain/workspaces.ts'

export type Tenant = {
  workspace: Workspace
  agent: AgentScope
  apiKey: string
  adminRowId: number
  site: { id: string; site_key: string }
  /** Makes a contact with an open, empty conversation, and returns both. */
  thread(): Promise<{ conversation: string; contact: string; visitor: VisitorScope }>
}

let made = 0

/** Makes a workspace with an admin, a site and a key for reading and writing. */
export const makeTenant = async (
  context: Context,
  site: { origins?: string[]; greeting?: string; autoReply?: string } = {},
): Promise<Tenant> => {
  made += 1
  const { sql } = context
  const result = await sql.begin(async (tx) => {
    const workspace = await createWorkspace(tx, `Workspace ${made}`)
    const admin = await createUser(tx, workspace, { name: 'Ada', email: `ada${made}@example.com`, role: 'admin' })
    const key = await createKey(tx, workspace, { userRowId: admin.rowId, scopes: ['read', 'write'] })
    return { workspace, admin, key, site: await createSite(tx, workspace, { name: 'Shop', ...site }) }
  })
  const agent = await agentWith(sql, result.key.key)
  return {
    workspace: result.workspace,
    agent,
    apiKey: result.key.key,
    adminRowId: result.admin.rowId,
    site: result.site,
    thread: async () => {
      const { answer: contact } = await createContact(context, agent, { name: 'Vita' })
      const { answer: conversation } = await openConversation(context, agent, { visitor_id: contact.id })
      const [row] = await sql<{ id: number }[]>`select id from contacts where public_id = ${contact.id}`
      const visitor = {
        workspace: result.workspace,
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
