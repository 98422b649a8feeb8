/** Pruning removes what is old from the beginning of the log, and nothing else; readers are told exactly what is gone. */

import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { readConfig } from '../../schema/config.ts'
import type { Context } from '../../server/domain/context.ts'
import { type Follower, followers } from '../../server/domain/log-followers.ts'
import { sendMessage } from '../../server/domain/messages.ts'
import { readMissed } from '../../server/domain/missed.ts'
import { pruneLog } from '../../server/domain/retention.ts'
import { readSync } from '../../server/domain/sync.ts'
import { startPruningLog } from '../../server/jobs/prune-log.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { makeTenant, type Tenant, type Thread } from '../support/tenant.ts'

let database: TestDatabase
let context: Context
beforeAll(async () => {
  database = await freshDatabase({ max: 10 })
  context = { sql: database.sql, bus: { publish: () => undefined } }
})
afterAll(() => database.close())

let tenant: Tenant
let thread: Thread
beforeEach(async () => {
  tenant = await makeTenant(context)
  thread = await tenant.thread()
})

const write = async (count: number, of = { tenant, thread }) => {
  for (let n = 0; n < count; n += 1) {
    await sendMessage(context, of.tenant.agent, of.thread.conversation, { content: `${n}`, kind: 'agent' })
  }
}
const age = async (upTo: number, days: number, of = tenant) => {
  await database.sql`
    update events set created_at = clock_timestamp() - make_interval(hours => ${Math.ceil(days * 24)})
     where workspace_id = ${of.workspace.id} and seq <= ${upTo}`
  await follow(upTo, of)
}
/** Lets all followers of the log, or one, have read so far. */
const follow = (upTo: number, of = tenant, who: Follower[] = [...followers]) => database.sql`
  update log_followers set seq = ${upTo} where workspace_id = ${of.workspace.id} and follower = any(${who})`
const kept = async (of = tenant) => {
  const rows = await database.sql<{ seq: number }[]>`
    select seq from events where workspace_id = ${of.workspace.id} order by seq`
  return rows.map(({ seq }) => seq)
}
const headOf = async (of = tenant) => {
  const [row] = await database.sql<{ seq: number }[]>`
    select seq from workspace_heads where workspace_id = ${of.workspace.id}`
  return row?.seq ?? 0
}
const upTo = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index)

it('what is older than the log is kept is removed, slice by slice, in every workspace; what is younger stays', async () => {
  const other = await makeTenant(context)
  const theirs = await other.thread()
  await write(10)
  await write(5, { tenant: other, thread: theirs })
  await age(7, 7.01)
  await age(3, 8, other)
  expect(await pruneLog(database.sql, { days: 7, slice: 3 })).toBe(10)
  expect(await kept()).toEqual(upTo(8, 12))
  expect(await kept(other)).toEqual(upTo(4, 7))
  expect(await headOf()).toBe(12)
  expect(await pruneLog(database.sql, { days: 7 })).toBe(0)
  expect(await pruneLog(database.sql, { days: 1 })).toBe(0)
})

it('an old event stays as long as one before it is young: the log never has a hole', async () => {
  await write(6)
  await age(8, 10)
  await database.sql`
    update events set created_at = clock_timestamp() where workspace_id = ${tenant.workspace.id} and seq = 4`
  await pruneLog(database.sql, { days: 7, slice: 2 })
  expect(await kept()).toEqual(upTo(4, 8))
})

it('what a follower has not read stays, however old: it would never be told of it', async () => {
  await write(8)
  await age(10, 30)
  for (const follower of followers) {
    await follow(4, tenant, [follower])
    await pruneLog(database.sql, { days: 7, slice: 3 })
    expect(await kept()).toEqual(upTo(5, 10))
    await follow(10, tenant, [follower])
  }
  await pruneLog(database.sql, { days: 7, slice: 3 })
  expect(await kept()).toEqual([])
})

it('a log that is pruned to its end goes on where it was', async () => {
  await write(3)
  await age(5, 30)
  expect(await pruneLog(database.sql, { days: 7 })).toBe(5)
  expect([await kept(), await headOf()]).toEqual([[], 5])
  await write(1)
  expect(await kept()).toEqual([6])
})

it('sync and replay say exactly from where on they hold all, at the boundary too', async () => {
  await write(8)
  await age(6, 8)
  await pruneLog(database.sql, { days: 7 })
  const [row] = await database.sql<{ epoch: string }[]>`select log_epoch() as epoch`
  const epoch = row?.epoch ?? ''
  const synced = (seq: number) => readSync(context, tenant.agent, { position: { epoch, seq }, limit: 100 })
  const channel = { audience: 'org', id: tenant.workspace.publicId } as const
  const missed = (since: number) => readMissed(database.sql, { workspace: tenant.workspace.publicId, channel, since })
  for (const seq of upTo(0, 5)) {
    await expect(synced(seq)).rejects.toMatchObject({ code: 'cursor_expired' })
    expect(await missed(seq)).toEqual({ failure: 'expired', head: 10 })
  }
  for (const seq of upTo(6, 10)) {
    expect((await synced(seq)).events.map((event) => event.seq)).toEqual(upTo(seq + 1, 10))
    const answer = await missed(seq)
    expect('events' in answer && answer.events.map((event) => event.seq)).toEqual(upTo(seq + 1, 10))
  }
})

it('two workers at once, while readers and writers go on, leave no hole at any moment', async () => {
  await write(300)
  await age(302, 8)
  const [row] = await database.sql<{ epoch: string }[]>`select log_epoch() as epoch`
  const epoch = row?.epoch ?? ''
  let pruning = true
  const outcomes = { whole: 0, expired: 0 }
  const reading = [0, 100, 200, 301].map(async (seq) => {
    while (pruning) {
      const page = await readSync(context, tenant.agent, { position: { epoch, seq }, limit: 500 }).catch(
        () => undefined,
      )
      if (page) {
        expect(page.events.map((event) => event.seq)).toEqual(upTo(seq + 1, seq + page.events.length))
        outcomes.whole += 1
      } else outcomes.expired += 1
    }
  })
  const writing = write(40)
  const prune = () => pruneLog(database.sql, { days: 7, slice: 7 })
  const removed = await Promise.all([prune(), prune()])
  await writing
  pruning = false
  await Promise.all(reading)
  expect(removed[0] + removed[1]).toBe(302)
  expect(await kept()).toEqual(upTo(303, 342))
  expect(outcomes.expired).toBeGreaterThan(0)
})

it('the job begins at once, and its stop waits for the slice that is being removed', async () => {
  await write(3)
  await age(4, 8)
  const stop = startPruningLog(database.sql, 7, pino({ level: 'silent' }))
  await expect.poll(() => kept()).toEqual([5])
  await stop()
})

it('EVENT_RETENTION_DAYS is a week unless it is set, and whole days', () => {
  expect(readConfig({}).EVENT_RETENTION_DAYS).toBe(7)
  expect(readConfig({ EVENT_RETENTION_DAYS: '30' }).EVENT_RETENTION_DAYS).toBe(30)
  for (const EVENT_RETENTION_DAYS of ['0', '-1', '1.5', 'week', '36501']) {
    expect(() => readConfig({ EVENT_RETENTION_DAYS })).toThrow(/^EVENT_RETENTION_DAYS: must be a whole number/)
  }
})
