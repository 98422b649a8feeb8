/** Snoozes: who is woken, when, by whom and how often. */

import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { decodeStreamEvent } from '../../schema/events.ts'
import type { Context } from '../../server/domain/context.ts'
import { readConversation } from '../../server/domain/conversations.ts'
import { receiveMessage } from '../../server/domain/messages.ts'
import { nextWaking, wakeNext } from '../../server/domain/snoozes.ts'
import { updateConversation } from '../../server/domain/triage.ts'
import { startWakingSnoozed } from '../../server/jobs/wake-snoozed.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { makeTenant, type Tenant } from '../support/tenant.ts'

let database: TestDatabase
let context: Context
let tenant: Tenant
const published: string[] = []

beforeAll(async () => {
  database = await freshDatabase({ max: 24 })
  context = { sql: database.sql, bus: { publish: (_subject, message) => published.push(message) } }
})
afterAll(() => database.close())
beforeEach(async () => {
  // What an earlier test left asleep is none of the next one's.
  await database.sql`update conversations set state = 'open', snoozed_until = null where state = 'snoozed'`
  tenant = await makeTenant(context)
})

/** Snoozes a new conversation for so many ms of the database's clock; a negative number is past. */
const snoozed = async (ms: number | null): Promise<string> => {
  const { conversation } = await tenant.thread()
  await updateConversation(context, tenant.agent, conversation, { status: 'snoozed' })
  await database.sql`
    update conversations set snoozed_until = clock_timestamp() + make_interval(secs => ${ms === null ? null : ms / 1000}::float8)
     where public_id = ${conversation}`
  return conversation
}

const stateOf = async (conversation: string) => (await readConversation(context, tenant.agent, conversation)).state

/** Returns the events by which conversations woke, in order. */
const wakings = async () => [
  ...(await database.sql<{ id: string }[]>`
    select e.payload ->> 'id' as id from events e
     where e.workspace_id = ${tenant.workspace.id} and e.payload ->> 'reason' = 'snooze_elapsed' order by e.seq`),
]

const wakeAll = async (): Promise<number> => {
  for (let woken = 0; ; woken += 1) if (!(await wakeNext(context))) return woken
}

describe('what is due', () => {
  it('wakes, the longest due first, however long ago that was; what is not due, or has no time, sleeps on', async () => {
    const [recent, ancient, later, timeless] = [
      await snoozed(-10),
      await snoozed(-5 * 365 * 86_400_000),
      await snoozed(60_000),
      await snoozed(null),
    ]
    expect(await wakeAll()).toBe(2)
    expect((await wakings()).map(({ id }) => id)).toEqual([ancient, recent])
    expect(await Promise.all([recent, ancient, later, timeless].map(stateOf))).toEqual([
      'open',
      'open',
      'snoozed',
      'snoozed',
    ])
    const next = await nextWaking(database.sql)
    expect(next).toBeGreaterThan(50_000)
    expect(next).toBeLessThanOrEqual(60_000)
  })

  it('is told as an update like any other: to staff with the reason, to the visitor with the status alone', async () => {
    const conversation = await snoozed(-1)
    published.length = 0
    await wakeAll()
    expect(published).toHaveLength(1)
    const event = decodeStreamEvent(published[0] ?? '')
    expect(event).toMatchObject({ name: 'conversation.update', conversation, site: tenant.site.id, publicSeq: 2 })
    expect(JSON.parse(event?.staff ?? '')).toMatchObject({
      id: conversation,
      status: 'open',
      state: 'open',
      snoozed_until: null,
      changed: ['status', 'snoozed_until'],
      reason: 'snooze_elapsed',
    })
    expect(JSON.parse(event?.visitor ?? '')).toEqual({ id: conversation, status: 'open', seq: 2 })
  })

  it('is not what was snoozed anew, closed, opened or reopened by the visitor meanwhile', async () => {
    const { conversation, visitor } = await tenant.thread()
    const change = (patch: Parameters<typeof updateConversation>[3]) =>
      updateConversation(context, tenant.agent, conversation, patch)
    const makeDue = async () => {
      await change({ status: 'snoozed', snoozed_until: '2999-01-01T00:00:00.000Z' })
      await database.sql`update conversations set snoozed_until = now() where public_id = ${conversation}`
    }
    await makeDue()
    await change({ snoozed_until: '2998-01-01T00:00:00.000Z' })
    expect(await wakeAll()).toBe(0)
    await makeDue()
    await change({ snoozed_until: null })
    expect(await wakeAll()).toBe(0)
    for (const status of ['closed', 'open'] as const) {
      await makeDue()
      await change({ status })
      expect(await wakeAll()).toBe(0)
      expect(await stateOf(conversation)).toBe(status)
    }
    await makeDue()
    await receiveMessage(context, visitor, 'Are you there?')
    expect(await wakeAll()).toBe(0)
    expect(await wakings()).toEqual([])
    expect(await nextWaking(database.sql)).toBeNull()
  })

  it('and is being changed by somebody is passed over, and wakes afterwards if it is still due', async () => {
    const [busy, free] = [await snoozed(-2000), await snoozed(-1000)]
    await database.sql.begin(async (tx) => {
      await tx`select 1 from conversations where public_id = ${busy} for no key update`
      expect(await wakeAll()).toBe(1)
      expect(await nextWaking(database.sql)).toBeLessThanOrEqual(0)
    })
    expect(await wakeAll()).toBe(1)
    expect((await wakings()).map(({ id }) => id)).toEqual([free, busy])
  })
})

describe('many at once', () => {
  it('of those who wake share the work: each conversation wakes once, and no number is left out', async () => {
    const sleeping: string[] = []
    for (let made = 0; made < 40; made += 1) sleeping.push(await snoozed(-made))
    const woken = await Promise.all(Array.from({ length: 8 }, wakeAll))
    expect(woken.reduce((sum, count) => sum + count, 0)).toBe(40)
    expect((await wakings()).map(({ id }) => id).sort()).toEqual([...sleeping].sort())
    const [numbers] = await database.sql`
      select count(*)::int as events, max(seq)::int as newest,
             (select seq::int from workspace_heads where workspace_id = ${tenant.workspace.id}) as head
        from events where workspace_id = ${tenant.workspace.id}`
    expect(numbers).toEqual({ events: numbers?.head, newest: numbers?.head, head: numbers?.head })
  })

  it('a visitor who writes just then: the conversation opens once, by the one or by the other', async () => {
    const threads = await Promise.all(Array.from({ length: 30 }, () => tenant.thread()))
    for (const { conversation } of threads) {
      await updateConversation(context, tenant.agent, conversation, { status: 'snoozed' })
      await database.sql`update conversations set snoozed_until = now() where public_id = ${conversation}`
    }
    await Promise.all([wakeAll(), wakeAll(), ...threads.map(({ visitor }) => receiveMessage(context, visitor, 'Hi'))])
    const openings = await database.sql`
      select e.payload ->> 'id' as id, count(*)::int as times, array_agg(e.public_seq is not null) = '{true}' as is_heard
        from events e
       where e.workspace_id = ${tenant.workspace.id} and e.payload -> 'changed' ->> 0 = 'status'
         and e.payload ->> 'status' = 'open'
       group by 1 order by 1`
    expect([...openings]).toEqual(
      threads
        .map(({ conversation }) => conversation)
        .sort()
        .map((id) => ({ id, times: 1, is_heard: true })),
    )
  })
})

describe('the job', () => {
  const start = () => {
    const job = startWakingSnoozed({ context, url: database.url, logger: pino({ level: 'silent' }) })
    onTestFinished(job.stop)
    return job
  }
  const isOpen = (conversation: string, timeout: number) =>
    expect.poll(() => stateOf(conversation), { interval: 10, timeout }).toBe('open')
  const listening = (count: number) =>
    expect
      .poll(
        async () =>
          (
            await database.sql`
              select 1 from pg_stat_activity
               where datname = current_database() and application_name = 'hubbub listener' and state = 'idle'
                 and query like 'listen%'`
          ).length,
        { interval: 10, timeout: 5000 },
      )
      .toBe(count)
  const snoozeFor = async (ms: number): Promise<{ conversation: string; until: number }> => {
    const { conversation } = await tenant.thread()
    const until = Date.now() + ms
    const time = new Date(until).toISOString()
    await updateConversation(context, tenant.agent, conversation, { status: 'snoozed', snoozed_until: time })
    return { conversation, until }
  }
  /** Returns how long after its time a conversation woke, in ms of the database's clock, which is this machine's. */
  const latenessOf = async ({ conversation, until }: { conversation: string; until: number }): Promise<number> => {
    const [event] = await database.sql<{ at: Date }[]>`
      select created_at as at from events
       where payload ->> 'id' = ${conversation} and payload ->> 'reason' = 'snooze_elapsed'`
    return (event?.at.getTime() ?? 0) - until
  }

  it('wakes at once what came due while it did not run', async () => {
    const conversation = await snoozed(-86_400_000)
    start()
    await isOpen(conversation, 2000)
  })

  it('wakes each at its time, also the earlier one that is set while it waits for a later one', async () => {
    start()
    start()
    await listening(2)
    await snoozeFor(60_000)
    const [second, first] = [await snoozeFor(700), await snoozeFor(300)]
    for (const one of [first, second]) {
      await isOpen(one.conversation, 3000)
      expect(await latenessOf(one)).toBeGreaterThanOrEqual(0)
      expect(await latenessOf(one)).toBeLessThan(1000)
    }
    expect((await wakings()).map(({ id }) => id)).toEqual([first.conversation, second.conversation])
  })

  it('hears of snoozes again after the connection that listens was lost', async () => {
    start()
    await listening(1)
    await database.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name = 'hubbub listener'`
    // Told while nobody listens.
    const one = await snoozeFor(100)
    await isOpen(one.conversation, 3000)
    await listening(1)
    const other = await snoozeFor(200)
    await isOpen(other.conversation, 3000)
    expect(await latenessOf(other)).toBeLessThan(1000)
  })

  it('wakes all that are due together, and stops in between when it is told to', async () => {
    const due = 130
    await Promise.all(Array.from({ length: due }, () => snoozed(-5)))
    await start().stop()
    const woken = (await wakings()).length
    expect(woken).toBeGreaterThan(0)
    expect(woken).toBeLessThan(due)
    start()
    await expect.poll(async () => (await wakings()).length, { interval: 10, timeout: 5000 }).toBe(due)
  })
})
