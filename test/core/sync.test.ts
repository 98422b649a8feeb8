/** Sync reads the log from where a mirror stands: everything, once, in order, or the news that it is gone. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { staffData, tellingsOf, toStreamEvent } from '../../schema/events.ts'
import { presentSynced, type SyncedEvent } from '../../schema/sync.ts'
import { openSql } from '../../server/db/sql.ts'
import { updateContact } from '../../server/domain/contacts.ts'
import type { AgentScope, Context } from '../../server/domain/context.ts'
import { readHistory } from '../../server/domain/history.ts'
import { receiveMessage, sendMessage } from '../../server/domain/messages.ts'
import { currentPosition, readSync } from '../../server/domain/sync.ts'
import { readSnapshotPage, readSyncCursor, writeSyncCursor } from '../../server/domain/sync-cursors.ts'
import { updateConversation } from '../../server/domain/triage.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { makeTenant, type Tenant, type Thread } from '../support/tenant.ts'

let database: TestDatabase
let context: Context
beforeAll(async () => {
  database = await freshDatabase({ max: 8 })
  context = { sql: database.sql, bus: { publish: () => undefined } }
})
afterAll(() => database.close())

let tenant: Tenant
let thread: Thread
let epoch: string
beforeEach(async () => {
  tenant = await makeTenant(context)
  thread = await tenant.thread()
  epoch = (await currentPosition(context, tenant.agent)).epoch
})

const head = async (of = tenant) => (await currentPosition(context, of.agent)).seq
const read = (seq: number, { agent = tenant.agent, limit = 100, bytes = 1024 * 1024 } = {}) =>
  readSync(context, agent, { position: { epoch, seq }, limit, bytes })
const reply = (content: string, to = thread, kind: 'agent' | 'note' = 'agent') =>
  sendMessage(context, tenant.agent, to.conversation, { content, kind })
const seqs = (events: SyncedEvent[]) => events.map(({ seq }) => seq)
const upTo = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index)
const expired = { code: 'cursor_expired', status: 410, message: expect.stringContaining('/api/v1/snapshot') }

/** Moves the head on over events that are not there, or writes events of no conversation, many at once. */
const logMany = async (count: number, siteId: number) => {
  await database.sql`
    with h as (update workspace_heads set seq = seq + ${count} where workspace_id = ${tenant.workspace.id} returning seq)
    insert into events (workspace_id, seq, public_id, type, site_id, payload)
    select ${tenant.workspace.id}, h.seq - ${count} + n, 'evt_' || h.seq || 'n' || n, 'contact.update', ${siteId}, '{"id":"x"}'
      from h, generate_series(1, ${count}::int) n`
}

/** Reads page after page until there is nothing more. */
const readAll = async (from: number, options: Parameters<typeof read>[1] = {}) => {
  const told: number[] = []
  let pages = 0
  for (let seq = from; ; ) {
    const page = await read(seq, options)
    told.push(...seqs(page.events))
    pages += 1
    seq = page.position.seq
    if (!page.hasMore) return { told, pages, end: seq }
  }
}

describe('a key of the workspace', () => {
  it('is told every event after its place, in order, and nothing at the head', async () => {
    for (const content of ['a', 'b', 'c']) await reply(content)
    const last = await head()
    for (const seq of upTo(0, last)) {
      const page = await read(seq)
      expect(seqs(page.events)).toEqual(upTo(seq + 1, last))
      expect(page).toMatchObject({ position: { epoch, seq: last }, hasMore: false })
    }
  })

  it('is told exactly what the sockets of staff are, notes included', async () => {
    const from = await head()
    await receiveMessage(context, thread.visitor, 'Grüße')
    await reply('a note', thread, 'note')
    await updateContact(context, tenant.agent, thread.contact, { name: 'Vera' })
    await updateConversation(context, tenant.agent, thread.conversation, { status: 'closed', metadata: { z: 1, a: 2 } })
    const { events } = await read(from)
    const history = await readHistory(database.sql, tenant.workspace.publicId, from, 100)
    expect(events.map((event) => JSON.stringify(presentSynced(event).data))).toEqual(
      history.map((event) => tellingsOf(toStreamEvent(event))[0]?.data),
    )
    expect(events.map(({ type }) => type)).toEqual([
      'message.new',
      'conversation.update',
      'message.new',
      'contact.update',
      'conversation.update',
    ])
    expect(presentSynced(events[0] ?? fail())).toEqual({
      id: expect.stringMatching(/^evt_/),
      seq: from + 1,
      type: 'message.new',
      conversation_id: thread.conversation,
      conversation_seq: 2,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      data: staffData(history[0] ?? fail()),
    })
    expect(presentSynced(events[3] ?? fail())).toMatchObject({ conversation_id: null, conversation_seq: null })
  })

  it('is told as many as it asks for, and that there is more exactly where there is', async () => {
    for (const content of ['a', 'b', 'c']) await reply(content)
    const last = await head()
    for (const limit of upTo(1, last + 1)) {
      const page = await read(0, { limit })
      expect(seqs(page.events)).toEqual(upTo(1, Math.min(limit, last)))
      expect([page.hasMore, page.position.seq]).toEqual([limit < last, Math.min(limit, last)])
      expect(await readAll(0, { limit })).toMatchObject({ told: upTo(1, last), end: last })
    }
  })

  it('is told as much as fits, but always one event', async () => {
    for (const content of ['a', 'b'.repeat(5000), 'c'.repeat(5000), 'd']) await reply(content)
    const last = await head()
    const small = await read(last - 4, { bytes: 1 })
    expect([seqs(small.events), small.hasMore]).toEqual([[last - 3], true])
    const page = await read(last - 4, { bytes: 6000 })
    expect([seqs(page.events), page.hasMore]).toEqual([[last - 3, last - 2, last - 1], true])
    expect((await readAll(0, { bytes: 1 })).told).toEqual(upTo(1, last))
  })

  it('is told of payloads that were blanked when a conversation was deleted', async () => {
    await reply('to be forgotten')
    const last = await head()
    await database.sql`
      update events set payload = '{}' where workspace_id = ${tenant.workspace.id} and conversation_id is not null`
    const { events } = await read(last - 1)
    expect(presentSynced(events[0] ?? fail()).data).toEqual({ event_id: events[0]?.id, seq: last, conversation_seq: 2 })
  })
})

describe('a place that the log does not hold', () => {
  it('has expired where events after it were pruned; the place of the last pruned one has not', async () => {
    for (const content of ['a', 'b', 'c']) await reply(content)
    const last = await head()
    const prune = (seq: number) =>
      database.sql`delete from events where workspace_id = ${tenant.workspace.id} and seq <= ${seq}`
    await prune(3)
    await expect(read(0)).rejects.toMatchObject(expired)
    await expect(read(2)).rejects.toMatchObject(expired)
    expect(seqs((await read(3)).events)).toEqual(upTo(4, last))
    await prune(last)
    await expect(read(last - 1)).rejects.toMatchObject(expired)
    expect(await read(last)).toEqual({ events: [], position: { epoch, seq: last }, hasMore: false })
  })

  it('has expired where it lies beyond the head, or in the log of another database', async () => {
    const last = await head()
    await expect(read(last + 1)).rejects.toMatchObject(expired)
    for (const other of ['', 'another', `${epoch}0`]) {
      const asked = readSync(context, tenant.agent, { position: { epoch: other, seq: last }, limit: 1 })
      await expect(asked).rejects.toMatchObject(expired)
    }
  })

  it('is one of a copy of this database, though all its rows came along', async () => {
    const copy = await freshDatabase({ max: 1 })
    const [here] = await database.sql`select id, log_epoch() as epoch from log_origin`
    const [there] = await copy.sql`select id, log_epoch() as epoch from log_origin`
    expect(here?.id).toBe(there?.id)
    expect(here?.epoch).not.toBe(there?.epoch)
    await copy.close()
  })
})

describe('a key that is pinned to a site', () => {
  it('is told the events of its site, and its place moves on over the others', async () => {
    const second = await tenant.makeSite()
    const { agent } = await tenant.makeKey(second)
    const there = await tenant.thread(second)
    const from = await head()
    await reply('here')
    await reply('there', there)
    await reply('here again')
    await reply('a note there', there, 'note')
    await updateContact(context, tenant.agent, there.contact, { name: 'Nina' })
    await updateConversation(context, tenant.agent, thread.conversation, { tags: ['here'] })
    const last = await head()
    const page = await read(from, { agent })
    expect(seqs(page.events)).toEqual([from + 2, from + 4, from + 5])
    expect([page.position.seq, page.hasMore]).toEqual([last, false])
    const one = await read(from, { agent, limit: 1 })
    expect([seqs(one.events), one.position.seq, one.hasMore]).toEqual([[from + 2], from + 2, true])
    const rest = await read(from + 4, { agent, limit: 1 })
    expect([seqs(rest.events), rest.position.seq, rest.hasMore]).toEqual([[from + 5], last, false])
  })

  it('looks through a long log in steps, skips nothing, and never reads more than a step at once', async () => {
    const second = await tenant.makeSite()
    const { agent } = await tenant.makeKey(second)
    const from = await head()
    await logMany(12_000, tenant.site.ref.id)
    const there = await tenant.thread(second)
    await logMany(10_500, tenant.site.ref.id)
    const last = await head()
    const first = await read(from, { agent })
    expect([first.events.length, first.position.seq, first.hasMore]).toEqual([0, from + 10_000, true])
    const all = await readAll(from, { agent })
    expect(all).toEqual({ told: [from + 12_001, from + 12_002], pages: 3, end: last })
    expect(there.contact).toMatch(/^vis_/)
  })
})

it('a long log is read by its index, for every key', async () => {
  const second = await tenant.makeSite()
  const { agent } = await tenant.makeKey(second)
  const from = await head()
  await logMany(150_000, tenant.site.ref.id)
  await database.sql`analyze events`
  // On one connection: it counts by itself what it has read, and has plans for any place after a few readings.
  const one = openSql(database.url, { max: 1, name: 'test' })
  const scans = async () => {
    await one`select pg_stat_force_next_flush()`
    const [row] = await one`select seq_scan, idx_scan from pg_stat_user_tables where relname = 'events'`
    return { whole: Number(row?.seq_scan), byIndex: Number(row?.idx_scan) }
  }
  const before = await scans()
  for (let turn = 0; turn < 8; turn += 1) {
    for (const scope of [tenant.agent, agent]) {
      const position = { epoch, seq: from + turn * 10_000 }
      expect((await readSync({ sql: one }, scope, { position, limit: 100 })).hasMore).toBe(true)
    }
  }
  const after = await scans()
  await one.end()
  expect(after.whole).toBe(before.whole)
  expect(after.byIndex - before.byIndex).toBeGreaterThanOrEqual(16)
})

it('P4: a place in one workspace tells nothing of another', async () => {
  const other = await makeTenant(context)
  await other.thread()
  await reply('ours')
  const { events } = await readSync(context, other.agent, { position: { epoch, seq: 0 }, limit: 500 })
  expect(new Set(events.map(({ workspace }) => workspace))).toEqual(new Set([other.workspace.publicId]))
  expect(events).toHaveLength(await head(other))
  const foreign: AgentScope = { ...other.agent, site: tenant.site.ref }
  expect((await readSync(context, foreign, { position: { epoch, seq: 0 }, limit: 500 })).events).toEqual([])
})

describe('a cursor', () => {
  it('is read as it was written, and is not to be looked into', () => {
    const cursor = writeSyncCursor({ epoch, seq: 42 })
    expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/)
    expect(readSyncCursor(cursor)).toEqual({ epoch, seq: 42 })
  })

  it('is not a page of a snapshot, a cursor of a list, or any other text', () => {
    const list = Buffer.from(JSON.stringify([1, 'conversations', 5, 5])).toString('base64url')
    const negative = Buffer.from(JSON.stringify([1, 'sync', epoch, -1])).toString('base64url')
    const nul = Buffer.from(JSON.stringify([1, 'sync', '\0', 1])).toString('base64url')
    for (const text of ['', 'x', '0', '17', list, negative, nul, 'ü', '[]', 'bnVsbA']) {
      expect(() => readSyncCursor(text)).toThrow(expect.objectContaining({ code: 'invalid', param: 'cursor' }))
      expect(() => readSnapshotPage(text)).toThrow(expect.objectContaining({ code: 'invalid', param: 'page' }))
    }
    expect(() => readSnapshotPage(writeSyncCursor({ epoch, seq: 1 }))).toThrow()
  })
})

const fail = (): never => {
  throw new Error('there is none')
}
