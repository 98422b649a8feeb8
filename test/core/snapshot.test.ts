/** A snapshot and what sync tells after it are the whole inbox, whatever is written while the pages are read. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { apply, type Mirror, type Mirrored } from '../../examples/mirror.mjs'
import { HubbubError } from '../../schema/errors.ts'
import { presentContact, presentConversation } from '../../schema/muro/presenters.ts'
import { presentSynced, type SyncedEvent } from '../../schema/sync.ts'
import { createContact, readContact, updateContact } from '../../server/domain/contacts.ts'
import type { AgentScope, Context } from '../../server/domain/context.ts'
import { openConversation, readConversation } from '../../server/domain/conversations.ts'
import { deleteContact, deleteConversation } from '../../server/domain/deletion.ts'
import { mergeContacts } from '../../server/domain/merges.ts'
import { receiveMessage, sendMessage } from '../../server/domain/messages.ts'
import { pruneLog } from '../../server/domain/retention.ts'
import { beginConversation } from '../../server/domain/site-visitors.ts'
import { findSiteByKey } from '../../server/domain/sites.ts'
import { readSnapshot, type SnapshotPage } from '../../server/domain/snapshot.ts'
import { readSync } from '../../server/domain/sync.ts'
import { writeSnapshotPage } from '../../server/domain/sync-cursors.ts'
import { updateConversation } from '../../server/domain/triage.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { joined, visitorIdOf } from '../support/sync.ts'
import { makeTenant, type Tenant, type Thread } from '../support/tenant.ts'

let database: TestDatabase
let context: Context
beforeAll(async () => {
  database = await freshDatabase({ max: 24 })
  context = { sql: database.sql, bus: { publish: () => undefined } }
})
afterAll(() => database.close())

let tenant: Tenant
beforeEach(async () => {
  tenant = await makeTenant(context)
})

const pagesOf = async (
  agent: AgentScope = tenant.agent,
  between: (page: number) => Promise<unknown> = async () => 0,
) => {
  const pages: SnapshotPage[] = []
  for (let page: string | undefined; ; ) {
    const read = await readSnapshot(context, agent, page)
    pages.push(read)
    await between(pages.length)
    if (read.nextPage === null) return pages
    page = read.nextPage
  }
}
const all = (pages: SnapshotPage[]) => ({
  contacts: pages.flatMap(({ contacts }) => contacts),
  conversations: pages.flatMap(({ conversations }) => conversations),
})

const present = {
  contact: (facts: Parameters<typeof presentContact>[0]): Mirrored => asMirrored(presentContact(facts)),
  conversation: (facts: Parameters<typeof presentConversation>[0]): Mirrored => asMirrored(presentConversation(facts)),
}
const asMirrored = (shown: { id: string }): Mirrored => ({ seq: 0, ...shown })

/** Puts pages into a new mirror. */
const mirrorOf = (pages: SnapshotPage[]): Mirror => {
  const { contacts, conversations } = all(pages)
  return {
    contacts: new Map(contacts.map((one) => [one.id, present.contact(one)])),
    conversations: new Map(conversations.map((one) => [one.id, present.conversation(one)])),
  }
}

/** Applies what sync tells after a number, in answers of random sizes; returns where it ends. */
const catchUp = async (
  mirror: Mirror,
  from: SnapshotPage['position'] | undefined,
  agent: AgentScope = tenant.agent,
) => {
  if (!from) throw new Error('no place')
  const read = async (path: string) => {
    const id = path.split('/').at(-1) ?? ''
    return await unlessGone(async () =>
      path.startsWith('/contacts/')
        ? present.contact(await readContact(context, agent, id))
        : present.conversation(await readConversation(context, agent, id)),
    )
  }
  for (let position = from; ; ) {
    const page = await readSync(context, agent, { position, limit: 1 + Math.floor(Math.random() * 40) })
    for (const event of page.events) await apply(mirror, toTold(event), read)
    position = page.position
    if (!page.hasMore) return position
  }
}
/** Returns what is read or done; undefined where what it is about has been deleted. */
const unlessGone = async <T>(act: () => Promise<T>): Promise<T | undefined> => {
  try {
    return await act()
  } catch (error) {
    if (error instanceof HubbubError && ['not_found', 'invalid'].includes(error.code)) return undefined
    throw error
  }
}
const toTold = (event: SyncedEvent) => presentSynced(event)

const logOf = async () =>
  await database.sql<{ seq: number; type: string; conversation: string | null; contact: string | null }[]>`
    select e.seq, e.type, c.public_id as conversation,
           coalesce(e.payload ->> 'visitor_id', case when e.type = 'contact.update' then e.payload ->> 'id' end,
                    case when e.payload ->> 'sender_type' = 'visitor' then v.public_id end) as contact
      from events e left join conversations c on c.id = e.conversation_id left join contacts v on v.id = c.contact_id
     where e.workspace_id = ${tenant.workspace.id} order by e.seq`

const fill = async (count: number): Promise<Thread[]> => {
  const threads: Thread[] = []
  for (let n = 0; n < count; n += 1) threads.push(await tenant.thread())
  return threads
}

describe('a page', () => {
  it('of an empty workspace is the last one, and has the place from which on to sync', async () => {
    const pages = await pagesOf()
    expect(pages).toEqual([
      {
        contacts: [],
        conversations: [],
        position: { epoch: expect.stringMatching(/^\w{16}$/), seq: 0 },
        nextPage: null,
      },
    ])
  })

  it('shows what the lists show, each with the number of the last event that it includes', async () => {
    const [one, two] = await fill(2)
    if (!one || !two) throw new Error('no threads')
    await receiveMessage(context, one.visitor, 'Hi')
    await sendMessage(context, tenant.agent, two.conversation, { content: 'a note', kind: 'note' })
    await updateConversation(context, tenant.agent, one.conversation, { tags: ['vip'], metadata: { a: 1 } })
    await updateContact(context, tenant.agent, two.contact, { name: 'Vera' })
    const { contacts, conversations } = all(await pagesOf())
    const log = await logOf()
    expect(conversations.map(({ id }) => id)).toEqual([one.conversation, two.conversation])
    for (const { seq, ...facts } of conversations) {
      expect(seq).toBe(log.findLast(({ conversation }) => conversation === facts.id)?.seq)
      expect(facts).toEqual(await readConversation(context, tenant.agent, facts.id))
    }
    expect(contacts.map(({ id }) => id)).toEqual([one.contact, two.contact])
    for (const { seq, id } of contacts) expect(seq).toBe(log.findLast(({ contact }) => contact === id)?.seq)
  })

  it('of an object whose last event was pruned has the number of what was pruned last', async () => {
    const [one, two] = await fill(2)
    if (!one || !two) throw new Error('no threads')
    await sendMessage(context, tenant.agent, two.conversation, { content: 'young', kind: 'agent' })
    await database.sql`
      update events set created_at = now() - interval '9 days' where workspace_id = ${tenant.workspace.id} and seq <= 4`
    await database.sql`update log_followers set seq = 4 where workspace_id = ${tenant.workspace.id}`
    await pruneLog(database.sql, { days: 7 })
    const { contacts, conversations } = all(await pagesOf())
    expect(conversations.map(({ seq }) => seq)).toEqual([4, 5])
    expect(contacts.map(({ seq }) => seq)).toEqual([4, 4])
  })

  it('holds 200 objects; contacts come before conversations, and every page has the first one’s place', async () => {
    await fill(205)
    const pages = await pagesOf(tenant.agent, () => createContact(context, tenant.agent, { name: 'New' }))
    expect(pages.map(({ contacts, conversations }) => [contacts.length, conversations.length])).toEqual([
      [200, 0],
      // The one that was made after the first page is shown too; sync tells of it once more.
      [6, 194],
      [0, 11],
    ])
    expect(new Set(pages.map(({ position }) => position.seq))).toEqual(new Set([410]))
    const { contacts, conversations } = all(pages)
    expect(new Set([...contacts, ...conversations].map(({ id }) => id)).size).toBe(205 * 2 + 1)
  })
})

it('a page of another database, or of this one before it was restored, is refused', async () => {
  const page = { seq: 1, list: 'contacts', after: 0 } as const
  for (const list of ['contacts', 'conversations'] as const) {
    const asked = readSnapshot(context, tenant.agent, writeSnapshotPage({ ...page, list, epoch: 'another' }))
    await expect(asked).rejects.toMatchObject({ code: 'cursor_expired' })
  }
})

describe('a key that is pinned to a site', () => {
  it('P4: is shown what its site holds, with the numbers of its site, and nothing else', async () => {
    const second = await tenant.makeSite()
    const { agent } = await tenant.makeKey(second)
    await fill(3)
    const there = await tenant.thread(second)
    const [guest] = await fill(1)
    if (!guest) throw new Error('no thread')
    const { answer: visit } = await openConversation(context, agent, { visitor_id: there.contact, content: 'Hello' })
    const { contacts, conversations } = all(await pagesOf(agent))
    expect(conversations.map(({ id }) => id)).toEqual([there.conversation, visit.id])
    expect(contacts).toMatchObject([{ id: there.contact, website_id: second.id, conversation_count: 2 }])
  })

  it('P4: of another workspace is shown nothing', async () => {
    await fill(2)
    const other = await makeTenant(context)
    expect(all(await pagesOf(other.agent))).toEqual({ contacts: [], conversations: [] })
  })

  it('is led through many objects of other sites in steps', async () => {
    const second = await tenant.makeSite()
    const { agent } = await tenant.makeKey(second)
    const { id: workspaceId } = tenant.workspace
    await database.sql`
      insert into contacts (public_id, workspace_id, site_id, number)
      select 'vis_' || ${workspaceId}::text || 'x' || n, ${workspaceId}, ${tenant.site.ref.id}, n
        from generate_series(1, 12000) n`
    await database.sql`
      insert into workspace_counters (workspace_id, kind, value) values (${workspaceId}, 'contact', 12000)`
    const there = await tenant.thread(second)
    const pages = await pagesOf(agent)
    expect(pages.map(({ contacts, conversations }) => [contacts.length, conversations.length])).toEqual([
      [0, 0],
      [0, 0],
      [1, 1],
    ])
    expect(all(pages)).toMatchObject({ contacts: [{ id: there.contact }], conversations: [{ id: there.conversation }] })
  })
})

/** Fails unless a mirror is what a new snapshot shows; what a mirror joins by itself is joined here. */
const expectEqual = async (mirror: Mirror, agent: AgentScope = tenant.agent) => {
  const shown = mirrorOf(await pagesOf(agent))
  expect(joined(mirror)).toEqual(joined(shown))
  for (const { id, conversation_count } of shown.contacts.values()) {
    const visits = [...mirror.conversations.values()].filter(({ visitor }) => visitorIdOf(visitor) === id)
    expect(visits).toHaveLength(Number(conversation_count))
  }
}
describe('a mirror', () => {
  it('equals the database though objects are made, changed and spoken in between the pages', async () => {
    const threads = await fill(202)
    const turn = async (page: number) => {
      const [first, last] = [threads[page], threads.at(-page)]
      if (!first || !last) throw new Error('no threads')
      for (const { conversation, contact, visitor } of [first, last]) {
        await receiveMessage(context, visitor, `between ${page}`)
        await updateConversation(context, tenant.agent, conversation, { status: 'closed', tags: [`t${page}`] })
        await updateContact(context, tenant.agent, contact, { name: `N${page}`, metadata: { page } })
        await openConversation(context, tenant.agent, { visitor_id: contact, content: 'another' })
      }
      await tenant.thread()
    }
    const pages = await pagesOf(tenant.agent, turn)
    expect(pages.length).toBeGreaterThan(2)
    await turn(9)
    const mirror = mirrorOf(pages)
    await catchUp(mirror, pages[0]?.position)
    await expectEqual(mirror)
  })

  it('equals the database though pages were read in between events that it is told once more', async () => {
    const threads = await fill(3)
    const [one] = threads
    if (!one) throw new Error('no thread')
    const first = await readSnapshot(context, tenant.agent, undefined)
    await updateContact(context, tenant.agent, one.contact, { name: 'Before' })
    await openConversation(context, tenant.agent, { visitor_id: one.contact, content: 'counted once' })
    await receiveMessage(context, one.visitor, 'seen once')
    const again = await readSnapshot(context, tenant.agent, undefined)
    // As if the walk had begun before and its only page had come after.
    const mirror = mirrorOf([again])
    const before = joined(mirror)
    const { events } = await readSync(context, tenant.agent, { position: first.position, limit: 100 })
    expect(events.length).toBeGreaterThan(4)
    for (const event of events) {
      await apply(mirror, presentSynced(event), async () => undefined)
      expect(joined(mirror)).toEqual(before)
    }
    await expectEqual(mirror)
  })

  it('drops a conversation that is told to be deleted, and takes no notice of what it never had', async () => {
    const [one, two] = await fill(2)
    if (!one || !two) throw new Error('no threads')
    const pages = await pagesOf()
    const mirror = mirrorOf(pages)
    const read = async () => undefined
    const event = { id: 'evt_x', seq: 99, conversation_seq: 2, created_at: '', data: { event_id: 'evt_x', seq: 99 } }
    await apply(mirror, { ...event, type: 'conversation.deleted', conversation_id: one.conversation }, read)
    for (const type of ['conversation.deleted', 'conversation.opened', 'conversation.update', 'message.new']) {
      await apply(mirror, { ...event, type, conversation_id: 'cnv_unknown' }, read)
    }
    expect([...mirror.conversations.keys()]).toEqual([two.conversation])
    expect([...mirror.contacts.keys()]).toEqual([one.contact, two.contact])
  })

  it('puts the one that is left in the place of a contact that was merged, also where it did not know it', async () => {
    const [one, two] = await fill(2)
    if (!one || !two) throw new Error('no threads')
    const pages = await pagesOf()
    const mirrors = [mirrorOf(pages), mirrorOf(pages)]
    mirrors[1]?.contacts.delete(two.contact)
    await mergeContacts(context, tenant.agent, two.contact, one.contact)
    for (const mirror of mirrors) {
      await catchUp(mirror, pages[0]?.position)
      await expectEqual(mirror)
      expect([...mirror.contacts.keys()]).toEqual([two.contact])
    }
  })

  it('that comes late, and is told of what was deleted before it heard of it, equals the database', async () => {
    const [first] = await pagesOf()
    const [one, two, three] = await fill(3)
    if (!one || !two || !three) throw new Error('no threads')
    const { answer } = await openConversation(context, tenant.agent, { visitor_id: one.contact, content: 'stays' })
    await receiveMessage(context, one.visitor, 'seen by this alone')
    await deleteConversation(context, tenant.agent, one.conversation)
    await deleteContact(context, tenant.agent, two.contact)
    await mergeContacts(context, tenant.agent, one.contact, three.contact)
    const mirror = mirrorOf([])
    await catchUp(mirror, first?.position)
    await expectEqual(mirror)
    expect([...mirror.contacts.keys()]).toEqual([one.contact])
    expect(new Set(mirror.conversations.keys())).toEqual(new Set([answer.id, three.conversation]))
  })

  it('P2: three mirrors that page and sync while 16 write, merge and delete equal the database, one pinned to a site', async () => {
    const second = await tenant.makeSite()
    const { agent: pinned } = await tenant.makeKey(second)
    const site = await findSiteByKey(context.sql, second.site_key)
    if (!site) throw new Error('no site')
    const threads = [
      ...(await fill(150)),
      ...(await Promise.all(Array.from({ length: 70 }, () => tenant.thread(second)))),
    ]
    const pick = (): Thread => threads[Math.floor(Math.random() * threads.length)] ?? fail()
    let begun = 0
    const acts: (() => Promise<unknown>)[] = [
      () => sendMessage(context, tenant.agent, pick().conversation, { content: 'a', kind: 'agent' }),
      () => sendMessage(context, tenant.agent, pick().conversation, { content: 'n', kind: 'note' }),
      () => receiveMessage(context, pick().visitor, 'v'),
      () =>
        updateConversation(context, tenant.agent, pick().conversation, { status: begun % 2 ? 'closed' : 'snoozed' }),
      () =>
        updateConversation(context, tenant.agent, pick().conversation, { mark_read: true, tags: [`t${begun % 9}`] }),
      () => updateContact(context, tenant.agent, pick().contact, { name: `N${Math.random()}` }),
      () => openConversation(context, tenant.agent, { visitor_id: pick().contact, content: 'hi' }),
      () => tenant.thread(),
      () => {
        begun += 1
        return beginConversation(context, site, {
          name: 'V',
          email: `v${begun % 9}@example.com`,
          message: 'm',
          visitorToken: `t${begun}`,
        })
      },
      () => deleteConversation(context, tenant.agent, pick().conversation),
      () => deleteContact(context, tenant.agent, pick().contact),
      () => {
        // Who moves to a contact of another site is out of a pinned key's hearing.
        const [into, from] = [pick(), pick()]
        if (into.visitor.site?.id !== from.visitor.site?.id) return Promise.resolve()
        return mergeContacts(context, tenant.agent, into.contact, from.contact)
      },
    ]
    let writing = true
    const writers = Array.from({ length: 16 }, async (_, writer) => {
      for (let turn = writer; writing; turn += 1) await unlessGone(acts[turn % acts.length] ?? fail)
    })
    const snapshots = await Promise.all([pagesOf(), pagesOf(), pagesOf(pinned)])
    const agents = [tenant.agent, tenant.agent, pinned]
    const mirrors = snapshots.map(mirrorOf)
    const places = await Promise.all(
      mirrors.map((mirror, n) => catchUp(mirror, snapshots[n]?.[0]?.position, agents[n])),
    )
    writing = false
    await Promise.all(writers)
    for (const [n, mirror] of mirrors.entries()) {
      await catchUp(mirror, places[n], agents[n])
      await expectEqual(mirror, agents[n])
    }
  })
})

const fail = (): never => {
  throw new Error('there is none')
}
