/** The first start: what a fresh installation is given so that it can be used at once. */

import { hashSecret } from '../../auth/api-keys.ts'
import { randomToken } from '../../auth/random.ts'
import type { Tx } from '../db/sql.ts'
import { insertContact, tellNewContact } from './contacts.ts'
import type { Context, Workspace } from './context.ts'
import { nextNumber } from './counters.ts'
import { createKey } from './keys.ts'
import { insertConversation, reserveConversation } from './openings.ts'
import { record } from './record.ts'
import { insertSession } from './site-visitors.ts'
import { createSite } from './sites.ts'
import { createUser, createWorkspace, findUser } from './workspaces.ts'

/** What was made: shown once. `apiKey` is absent where it was given by BOOTSTRAP_API_KEY. */
export type FirstStart = {
  workspace: string
  apiKey: string | undefined
  siteKey: string
  visitorToken: string
  conversation: string
}

// Any number does, as long as every starter takes the same.
const bootstrapLock = 4_821_002

/**
 * Where there is no workspace yet, makes one with an admin, a site, a key and an empty thread to try things on.
 * `bootstrapKey` becomes the first workspace's key; one that was revoked stays so.
 */
export const bootstrap = async (context: Context, bootstrapKey: string | undefined): Promise<FirstStart | undefined> =>
  await record(context, async (tx, log) => {
    await tx`select pg_advisory_xact_lock(${bootstrapLock})`
    const [first] = await tx<Workspace[]>`select id, public_id as "publicId" from workspaces order by id limit 1`
    if (first) {
      if (bootstrapKey !== undefined) await ensureKey(tx, first, bootstrapKey)
      return undefined
    }
    const workspace = await createWorkspace(tx, 'My workspace')
    const admin = await createUser(tx, workspace, { name: 'Admin', email: 'admin@hubbub.invalid', role: 'admin' })
    const site = await createSite(tx, workspace, { name: 'My site', greeting: 'Hi there! How can we help?' })
    const { key } = await createKey(tx, workspace, {
      userRowId: admin.rowId,
      scopes: ['read', 'write'],
      ...(bootstrapKey === undefined ? {} : { text: bootstrapKey }),
    })

    const place = await reserveConversation(tx, workspace)
    const number = await nextNumber(tx, workspace, 'contact')
    const visitor = { name: 'First visitor', email: null }
    const contact = await insertContact(tx, { workspace, number, siteId: site.rowId, ...visitor })
    const visitorToken = `vt_${randomToken()}`
    await insertSession(tx, {
      siteId: site.rowId,
      kind: 'visitor_token',
      token: visitorToken,
      contactId: contact.rowId,
      conversationId: place.rowId,
      name: visitor.name,
    })
    await tellNewContact(tx, log, workspace, contact)
    await insertConversation(tx, log, {
      workspace,
      place,
      contact: { id: contact.rowId, publicId: contact.id, site: { id: site.rowId, publicId: site.id } },
      messages: [],
    })
    return {
      workspace: workspace.publicId,
      apiKey: bootstrapKey === undefined ? key : undefined,
      siteKey: site.site_key,
      visitorToken,
      conversation: place.publicId,
    }
  })

const ensureKey = async (tx: Tx, workspace: Workspace, text: string) => {
  const [known] = await tx`select 1 from api_keys where hash = ${hashSecret(text)}`
  if (known) return
  const admin = await findUser(tx, workspace)
  await createKey(tx, workspace, { userRowId: admin.rowId, scopes: ['read', 'write'], text })
}
