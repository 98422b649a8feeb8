/** Everything that locks, at once and for a while: the order of locks leaves no circle to wait in. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Tx } from '../../server/db/sql.ts'
import { updateContact } from '../../server/domain/contacts.ts'
import type { Context } from '../../server/domain/context.ts'
import { openConversation } from '../../server/domain/conversations.ts'
import { receiveMessage, sendMessage } from '../../server/domain/messages.ts'
import { type Log, record } from '../../server/domain/record.ts'
import { beginConversation } from '../../server/domain/site-visitors.ts'
import { findSiteByKey } from '../../server/domain/sites.ts'
import { updateConversation } from '../../server/domain/triage.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { makeTenant, type Tenant } from '../support/tenant.ts'

let database: TestDatabase
let context: Context

beforeAll(async () => {
  database = await freshDatabase({ max: 24 })
  context = { sql: database.sql, bus: { publish: () => undefined } }
})
afterAll(() => database.close())

const during = 10_000

it('appends, openings, triage, merges and bulk changes for 10 s end in no deadlock and leave no number out', async () => {
  const tenant = await makeTenant(context)
  const site = await findSiteByKey(context.sql, tenant.site.site_key)
  if (!site) throw new Error('no site')
  const threads = await Promise.all(Array.from({ length: 6 }, () => tenant.thread()))
  const pick = <T>(of: T[]): T => {
    const picked = of[Math.floor(Math.random() * of.length)]
    if (picked === undefined) throw new Error('nothing to pick')
    return picked
  }
  let begun = 0
  const acts: Record<string, () => Promise<unknown>> = {
    reply: () => sendMessage(context, tenant.agent, pick(threads).conversation, { content: 'a', kind: 'agent' }),
    visit: () => receiveMessage(context, pick(threads).visitor, 'v'),
    close: () =>
      updateConversation(context, tenant.agent, pick(threads).conversation, {
        status: pick(['open', 'closed', 'snoozed']),
      }),
    assign: () =>
      updateConversation(context, tenant.agent, pick(threads).conversation, {
        assigned_user_id: pick([null, tenant.agent.user.publicId]),
        mark_unread: true,
      }),
    open: () => openConversation(context, tenant.agent, { visitor_id: pick(threads).contact, content: 'hi' }),
    rename: () => updateContact(context, tenant.agent, pick(threads).contact, { name: `N${Math.random()}` }),
    begin: () => {
      begun += 1
      const email = `visitor${begun % 5}@example.com`
      return beginConversation(context, site, { name: 'V', email, message: 'm', visitorToken: `t${begun}` })
    },
    bulk: () =>
      record(context, (tx, log) => bulk(tx, log, tenant, [pick(threads).conversation, pick(threads).conversation])),
    refer: () => record(context, (tx, log) => refer(tx, log, tenant, pick(threads).conversation)),
    merge: () => record(context, (tx, log) => merge(tx, log, tenant, [pick(threads).contact, pick(threads).contact])),
  }

  const counts = new Map<string, number>()
  const end = Date.now() + during
  await Promise.all(
    Array.from({ length: 24 }, async () => {
      while (Date.now() < end) {
        const [name, act] = pick(Object.entries(acts))
        await act()
        counts.set(name, (counts.get(name) ?? 0) + 1)
      }
    }),
  )

  expect([...counts.keys()].sort()).toEqual(Object.keys(acts).sort())
  const [numbers] = await database.sql`
    select count(*)::int as rows, max(seq)::int as newest, count(distinct seq)::int as different,
           (select seq::int from workspace_heads where workspace_id = ${tenant.workspace.id}) as head
      from events where workspace_id = ${tenant.workspace.id}`
  expect(numbers).toEqual({ rows: numbers?.head, newest: numbers?.head, different: numbers?.head, head: numbers?.head })
  const torn = await database.sql`
    select c.public_id from conversations c join events e on e.conversation_id = c.id
     group by c.id having count(*) <> max(c.seq) or max(e.conversation_seq) <> max(c.seq) or max(e.public_seq) <> max(c.public_seq)`
  expect(torn).toEqual([])
}, 60_000)

/** Many conversations in one transaction, as a bulk change will: conversations by ascending id, then the head. */
const bulk = async (tx: Tx, log: Log, { workspace }: Tenant, conversations: string[]): Promise<void> => {
  const rows = await tx<{ id: number; public_id: string; seq: number }[]>`
    select id, public_id, seq from conversations
     where workspace_id = ${workspace.id} and public_id = any(${conversations}) order by id for no key update`
  const first = await log.take(workspace, rows.length)
  for (const { id } of rows) await tx`update conversations set seq = seq + 1, tags = array['bulk'] where id = ${id}`
  await log.write(
    workspace,
    first,
    rows.map(({ id, public_id: publicId, seq }) => ({
      type: 'conversation.update',
      site: null,
      conversation: { id, publicId, seq: seq + 1, publicSeq: null },
      payload: {},
    })),
  )
}

/** A row that refers to a conversation: its foreign key shares the conversation's row with other locks. */
const refer = async (tx: Tx, log: Log, { workspace }: Tenant, conversation: string): Promise<void> => {
  await tx`select 1 from conversations where workspace_id = ${workspace.id} and public_id = ${conversation} for key share`
  const first = await log.take(workspace, 1)
  await log.write(workspace, first, [{ type: 'contact.update', site: null, conversation: null, payload: {} }])
}

/** Two contacts that become one, as a merge will: contacts, then their conversations, each by ascending id, then the head. */
const merge = async (tx: Tx, log: Log, { workspace }: Tenant, contacts: string[]): Promise<void> => {
  const rows = await tx<{ id: number }[]>`
    select id from contacts where workspace_id = ${workspace.id} and public_id = any(${contacts}) order by id for no key update`
  const ids = rows.map(({ id }) => String(id))
  await tx`select id from conversations where contact_id::text = any(${ids}) order by id for no key update`
  const first = await log.take(workspace, 1)
  await tx`update conversations set contact_id = contact_id where contact_id::text = any(${ids})`
  await log.write(workspace, first, [{ type: 'contact.update', site: null, conversation: null, payload: {} }])
}
