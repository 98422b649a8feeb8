/** Deleting and merging among everything else at once: no circle of locks, no failure of the program, nothing torn or lost. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { HubbubError } from '../../schema/errors.ts'
import { createContact, listContacts, updateContact } from '../../server/domain/contacts.ts'
import type { Context } from '../../server/domain/context.ts'
import { openConversation } from '../../server/domain/conversations.ts'
import { deleteContact, deleteConversation } from '../../server/domain/deletion.ts'
import { listConversations } from '../../server/domain/inbox.ts'
import { mergeContacts } from '../../server/domain/merges.ts'
import { receiveMessage, sendMessage } from '../../server/domain/messages.ts'
import { beginConversation, findVisitor } from '../../server/domain/site-visitors.ts'
import { findSiteByKey } from '../../server/domain/sites.ts'
import { readSnapshot } from '../../server/domain/snapshot.ts'
import { updateConversation } from '../../server/domain/triage.ts'
import { showTyping } from '../../server/domain/typing.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { makeTenant } from '../support/tenant.ts'

let database: TestDatabase
let context: Context

beforeAll(async () => {
  database = await freshDatabase({ max: 24 })
  context = { sql: database.sql, bus: { publish: () => undefined } }
})
afterAll(() => database.close())

const pick = <T>(of: readonly T[]): T => {
  const picked = of[Math.floor(Math.random() * of.length)]
  if (picked === undefined) throw new Error('nothing to pick')
  return picked
}

const refusals = new Set(['not_found', 'invalid', 'conflict'])

/** Acts, and returns whether that was done; where it was not, it must have been refused. */
const act = async (what: () => Promise<unknown>): Promise<boolean> => {
  try {
    await what()
    return true
  } catch (error) {
    if (error instanceof HubbubError && refusals.has(error.code)) return false
    throw error
  }
}

it('for 6 s, everything that writes meets deletions and merges: each act is done or refused, and the log stays whole', async () => {
  const tenant = await makeTenant(context)
  const { agent, workspace } = tenant
  const site = await findSiteByKey(context.sql, tenant.site.site_key)
  if (!site) throw new Error('no site')
  // The newest few, so that acts meet.
  const contacts: string[] = []
  const conversations: string[] = []
  const tokens: string[] = []
  const keep = (list: string[], one: string) => {
    list.unshift(one)
    if (list.length > 8) list.pop()
  }
  const said: string[] = []
  let begun = 0
  const thread = async () => {
    const { conversation, contact } = await tenant.thread()
    keep(conversations, conversation)
    keep(contacts, contact)
  }
  const begin = async () => {
    begun += 1
    const token = `t${begun}`
    const email = `visitor${begun % 6}@example.com`
    const { conversation } = await beginConversation(context, site, {
      name: 'V',
      email,
      message: 'm',
      visitorToken: token,
    })
    keep(conversations, conversation)
    keep(tokens, token)
    const visitor = await findVisitor(context.sql, site, token)
    if (visitor) keep(contacts, visitor.contact.publicId)
  }
  for (let n = 0; n < 6; n += 1) await thread()
  await begin()
  const acts: Record<string, () => Promise<unknown>> = {
    thread,
    begin,
    reply: () => sendMessage(context, agent, pick(conversations), { content: 'a', kind: 'agent' }),
    visit: async () => {
      const visitor = await findVisitor(context.sql, site, pick(tokens))
      if (!visitor) return
      const { answer } = await receiveMessage(context, visitor, 'v')
      said.push(answer.id)
    },
    triage: () =>
      updateConversation(context, agent, pick(conversations), { status: pick(['open', 'closed', 'snoozed']) }),
    type: () => showTyping(context, agent, pick(conversations), false),
    open: () => openConversation(context, agent, { visitor_id: pick(contacts), content: 'hi' }),
    rename: () => updateContact(context, agent, pick(contacts), { name: `N${Math.random()}`, metadata: { n: begun } }),
    create: async () => keep(contacts, (await createContact(context, agent, {})).answer.id),
    list: () =>
      Promise.all([listContacts(context, agent, { limit: 50 }), listConversations(context, agent, { limit: 50 })]),
    page: () => readSnapshot(context, agent, undefined),
    delete: () => deleteConversation(context, agent, pick(conversations)),
    erase: () => deleteContact(context, agent, pick(contacts)),
    merge: () => mergeContacts(context, agent, pick(contacts), pick(contacts)),
    mergeBack: () => mergeContacts(context, agent, pick(contacts), pick(contacts)),
  }
  const done = new Map<string, number>()
  const end = Date.now() + 6000
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      while (Date.now() < end) {
        const [name, what] = pick(Object.entries(acts))
        if (await act(what)) done.set(name, (done.get(name) ?? 0) + 1)
      }
    }),
  )

  expect([...done.keys()].sort()).toEqual(Object.keys(acts).sort())
  const { sql } = database
  const [numbers] = await sql`
    select count(*)::int as rows, max(seq)::int as newest, count(distinct seq)::int as different,
           (select seq::int from workspace_heads where workspace_id = ${workspace.id}) as head
      from events where workspace_id = ${workspace.id}`
  expect(numbers).toEqual({ rows: numbers?.head, newest: numbers?.head, different: numbers?.head, head: numbers?.head })
  // Of a conversation that lives the log tells its life, of one that was deleted nothing but that.
  const torn = await sql`
    select e.conversation_id
      from events e left join conversations c on c.id = e.conversation_id
     where e.conversation_id is not null
     group by e.conversation_id, c.id, c.seq, c.public_seq
    having count(*) <> max(e.conversation_seq) or count(e.public_seq) <> coalesce(max(e.public_seq), 0)
        or (c.id is not null and (max(e.conversation_seq) <> c.seq or coalesce(max(e.public_seq), 0) <> c.public_seq))
        or (c.id is null) <> bool_or(e.type = 'conversation.deleted')
        or (c.id is null) <> bool_and(e.type = 'conversation.deleted' and e.payload::text like '{"id"%' and e.payload ->> 'id' like 'cnv_%')`
  expect(torn).toEqual([])
  const undead = await sql`
    select e.seq from events e left join contacts v on v.public_id = e.payload ->> 'id'
     where (e.type = 'contact.update' and v.id is null) or (e.type = 'contact.deleted' and v.id is not null)`
  expect(undead).toEqual([])
  // What a visitor said is there under the contact whose conversation it is, unless the conversation is gone.
  const strangers = await sql`
    select m.public_id from messages m join conversations c on c.id = m.conversation_id join contacts v on v.id = c.contact_id
     where m.sender_type = 'visitor' and m.sender_id <> v.public_id`
  expect(strangers).toEqual([])
  const [kept] = await sql`
    select count(*)::int as n from messages m where m.public_id = any(${said})`
  const [living] = await sql`
    select count(distinct e.payload ->> 'id')::int as n from events e
     where e.type = 'message.new' and e.payload ->> 'id' = any(${said})`
  expect(kept).toEqual(living)
  const unseen = await sql`
    select v.id from contacts v left join contact_seen n on n.contact_id = v.id
      left join lateral (select max(m.seq) as seq from messages m join conversations c on c.id = m.conversation_id
                          where c.contact_id = v.id and m.sender_type = 'visitor') said on true
     where n.seq is null or n.seq < said.seq`
  expect(unseen).toEqual([])
  const wrongSessions = await sql`
    select s.contact_id from contact_sessions s join conversations c on c.id = s.conversation_id
     where c.contact_id <> s.contact_id`
  expect(wrongSessions).toEqual([])
}, 60_000)
