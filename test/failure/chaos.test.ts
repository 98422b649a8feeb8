/**
 * Everything breaks at once, and nothing is lost: what each subscriber has heard is what the database holds, once each and
 * in order, a mirror that syncs equals it, and each message that was answered is there once. CHAOS_SEED repeats a run;
 * `npm run soak` makes long ones.
 */

import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { follow, type Mirror } from '../../examples/mirror.mjs'
import { startEmbeddedPostgres } from '../../server/db/embedded/embedded.ts'
import { migrate } from '../../server/db/migrate.ts'
import { openSql, type Sql } from '../../server/db/sql.ts'
import { makeDirectory, testApp } from '../support/api.ts'
import { startFleet } from '../support/fleet.ts'
import { call } from '../support/http.ts'
import { startRedis } from '../support/redis.ts'
import { joined, takeSnapshot } from '../support/sync.ts'
import { makeTenant, type Tenant } from '../support/tenant.ts'
import { breakFor, randomOf } from './chaos.ts'
import { followPersistently, type PersistentSubscriber } from './persistent.ts'

const { SOAK, CHAOS_SEED } = process.env
const seeds = CHAOS_SEED === undefined ? [1, 2, 3, 4, 5] : [Number(CHAOS_SEED)]
const time = SOAK ? 60_000 : 10_000

/** Everything that a chat needs, all of it this test's own. */
const startAll = async () => {
  const dataDir = await makeDirectory()
  const postgres = await startEmbeddedPostgres({ dataDir, password: 'chaos', say: () => undefined })
  const sql = openSql(postgres.url, { max: 2, name: 'chaos' })
  onTestFinished(async () => {
    await sql.end({ timeout: 5 })
    await postgres.stop()
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 })
  })
  await migrate(sql)
  const redis = await startRedis()
  onTestFinished(redis.close)
  const fleet = await startFleet(
    { rest: 2, realtime: 2, worker: 1 },
    { ...testApp, DATABASE_URL: postgres.url, REDIS_URL: redis.url, RATE_LIMIT_PER_MINUTE: '0', LOG_LEVEL: 'fatal' },
  )
  onTestFinished(fleet.stop)
  return { fleet, redis, postgres: { pid: postgres.pid, ...(await doorOf(postgres.url)) }, sql }
}

/** What shuts a database and opens it again, from the one beside it. */
const doorOf = async (url: string) => {
  const name = new URL(url).pathname.slice(1)
  const beside = new URL(url)
  beside.pathname = '/template1'
  const admin = openSql(beside.href, { max: 1, name: 'operator' })
  onTestFinished(() => admin.end({ timeout: 5 }))
  const allow = async (isAllowed: boolean): Promise<void> => {
    await admin.unsafe(`alter database ${name} with allow_connections ${isAllowed}`)
  }
  return {
    shut: async () => {
      await allow(false)
      await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`
    },
    open: () => allow(true),
  }
}

type Thread = { id: string; token: string; channel: string }

const begin = async (api: string, tenant: Tenant, visitor_token: string): Promise<Thread> => {
  const { status, body } = await call(api, 'POST', '/api/v1/chat/conversations', {
    headers: { 'X-Api-Key': tenant.site.site_key },
    body: { name: 'Vita', email: `${visitor_token}@example.com`, message: 'Hello', visitor_token },
  })
  expect(status).toBe(201)
  const { conversation_id: id, channel } = body as { conversation_id: string; channel: string }
  return { id, token: visitor_token, channel }
}

/** Writes until it is told to end; an agent's message is sent again until it is answered. Returns what was answered. */
const writeUntil = (isOver: () => boolean, api: string, tenant: Tenant, threads: Thread[], n: number) => {
  const answered: string[] = []
  const post = async (path: string, body: object, headers: Record<string, string>): Promise<boolean> => {
    const { status } = await call(api, 'POST', path, { body, headers }).catch(() => ({ status: 0 }))
    return status === 201
  }
  const agent = { Authorization: `Bearer ${tenant.apiKey}` }
  const write = async (): Promise<string[]> => {
    for (let turn = n; !isOver(); turn += 1) {
      const thread = threads[turn % threads.length]
      if (!thread) continue
      if (turn % 4 === 0) {
        const headers = { 'X-Api-Key': tenant.site.site_key }
        await post(`/api/v1/chat/conversations/${thread.token}/messages`, { message: `visitor ${turn}` }, headers)
      } else {
        const content = randomUUID()
        const headers = { ...agent, 'Idempotency-Key': content }
        const body = { content, kind: turn % 4 === 1 ? 'note' : 'agent' }
        while (!(await post(`/api/v1/conversations/${thread.id}/messages`, body, headers))) await pause(100)
        answered.push(content)
      }
      // A subscriber that is away all the time may miss no more than a replay holds.
      await pause(SOAK ? 400 : 80)
    }
    return answered
  }
  return write()
}

test.each(seeds)('P1, P2, P3: seed %i', { timeout: time + 150_000 }, async (seed) => {
  const { fleet, redis, postgres, sql } = await startAll()
  const { api } = fleet
  const tenant = await makeTenant({ sql, bus: { publish: () => undefined } })
  const threads = await Promise.all(Array.from({ length: 5 }, (_, n) => begin(api, tenant, `visitor-${n}`)))
  const head = await headOf(sql, tenant)

  const agent = { Authorization: `Bearer ${tenant.apiKey}` }
  const org = `private-org-${tenant.workspace.publicId}`
  const all: { channel: string; subscriber: PersistentSubscriber }[] = []
  const listen = (headers: Record<string, string>, channel: string, since: number) => {
    const subscriber = followPersistently(fleet, testApp.PUSHER_APP_KEY, headers, channel, since)
    onTestFinished(subscriber.leave)
    all.push({ channel, subscriber })
  }
  for (let n = 0; n < 6; n += 1) listen(agent, org, head)
  for (const thread of threads) {
    listen(agent, `private-conv-${thread.id}`, head)
    listen({ 'X-Api-Key': tenant.site.site_key, 'X-Visitor-Token': thread.token }, thread.channel, 0)
  }

  const mirror: Mirror = { conversations: new Map(), contacts: new Map() }
  const synced: number[] = []
  const ending = new AbortController()
  const mirroring = follow({
    api,
    key: tenant.apiKey,
    mirror,
    signal: ending.signal,
    tell: ({ seq }) => synced.push(seq),
  })

  let isOver = false
  const writers = Array.from({ length: 6 }, (_, n) => writeUntil(() => isOver, api, tenant, threads, n))
  const done = await breakFor({ fleet, redis, postgres }, time, randomOf(seed))
  isOver = true
  const answered = (await Promise.all(writers)).flat()

  const expected = await expectedSeqs(sql, head)
  const isComplete = () =>
    all.every(({ channel, subscriber }) => subscriber.seqs.length >= (expected.get(channel)?.length ?? 0))
  for (let waited = 0; waited < 600 && !isComplete(); waited += 1) await pause(100)
  const story = done.join('\n')
  for (const { channel, subscriber } of all) {
    expect([channel, subscriber.failures], story).toEqual([channel, []])
    expect([channel, subscriber.seqs], story).toEqual([channel, expected.get(channel)])
  }

  const whole = expected.get(org) ?? []
  await expect.poll(() => synced.at(-1), { timeout: 30_000 }).toBe(whole.at(-1))
  ending.abort()
  await mirroring
  expect(synced, story).toEqual(whole.slice(-synced.length))
  const shown: Mirror = { conversations: new Map(), contacts: new Map() }
  await takeSnapshot(api, tenant.apiKey, shown)
  expect(joined(mirror), story).toEqual(joined(shown))

  const rows = await sql<{ content: string }[]>`select content from messages where content = any(${answered})`
  expect(answered.length).toBeGreaterThan(50)
  expect(rows.map(({ content }) => content).sort()).toEqual([...answered].sort())
  expect(await densityOf(sql)).toEqual({ events: 0, conversations: 0 })
  const told = all.reduce((sum, { subscriber }) => sum + subscriber.seqs.length, 0)
  const recoveries = all.reduce((sum, { subscriber }) => sum + subscriber.recoveries(), 0)
  if (SOAK)
    process.stdout.write(
      `seed ${seed}: ${done.length} breaks, ${answered.length} messages, ${told} told, ${recoveries} recoveries\n`,
    )
})

const headOf = async (sql: Sql, { workspace }: Tenant): Promise<number> => {
  const [row] = await sql<{ seq: number }[]>`
    select coalesce(max(seq), 0) as seq from events where workspace_id = ${workspace.id}`
  return row?.seq ?? 0
}

/** What the log says that each channel told: staff since a number, visitors from the beginning. */
const expectedSeqs = async (sql: Sql, since: number): Promise<Map<string, number[]>> => {
  const rows = await sql<{ seq: number; public_seq: number | null; org: string; conversation: string | null }[]>`
    select e.seq, e.public_seq, w.public_id as org, c.public_id as conversation
      from events e join workspaces w on w.id = e.workspace_id left join conversations c on c.id = e.conversation_id
     order by e.workspace_id, e.seq`
  const told = new Map<string, number[]>()
  const tell = (channel: string, seq: number) => told.set(channel, [...(told.get(channel) ?? []), seq])
  for (const { seq, public_seq, org, conversation } of rows) {
    if (public_seq !== null) tell(`private-visitor-${conversation}`, public_seq)
    if (seq <= since) continue
    tell(`private-org-${org}`, seq)
    if (conversation !== null) tell(`private-conv-${conversation}`, seq)
  }
  return told
}

/** How many numbers are missing in the log, of workspaces and of conversations. */
const densityOf = async (sql: Sql): Promise<{ events: number; conversations: number }> => {
  const [row] = await sql<{ events: number; conversations: number }[]>`
    select (select coalesce(sum(n), 0)::int from
             (select max(seq) - count(*) as n from events group by workspace_id) as w) as events,
           (select coalesce(sum(n), 0)::int from
             (select max(conversation_seq) - count(*) as n from events
               where conversation_id is not null group by conversation_id) as c) as conversations`
  return { events: row?.events ?? -1, conversations: row?.conversations ?? -1 }
}
