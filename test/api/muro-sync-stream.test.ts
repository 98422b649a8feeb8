/** Sync as server-sent events: every event with the cursor to come back with, for as long as the key opens it. */

import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest'
import { type Api, startApi, testApp } from '../support/api.ts'
import { type Client, call, muroClient, muroError } from '../support/http.ts'
import { startProgram } from '../support/program.ts'
import { type EventStream, openStream, somebodyWaits, syncOf } from '../support/sync.ts'
import type { Tenant, Thread } from '../support/tenant.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

let tenant: Tenant
let thread: Thread
let muro: Client
beforeEach(async () => {
  tenant = await api.makeTenant()
  thread = await tenant.thread()
  muro = muroClient(api.url, tenant.apiKey)
})

const say = (content: string) => muro.post(`/conversations/${thread.conversation}/messages`, { content })
const now = async () => syncOf(await muro.get('/sync')).cursor

/** Opens a stream for one test. */
const open = async (options: Parameters<typeof openStream>[2] = {}, key = tenant.apiKey, url = api.url) => {
  const stream = await openStream(url, key, options)
  onTestFinished(() => stream.cut())
  return stream
}
const hears = (stream: EventStream, count: number, timeout = 5000) =>
  expect.poll(() => stream.events().length, { interval: 5, timeout }).toBe(count)
const contents = (stream: EventStream) => stream.events().map(({ data }) => data.content)
const last = ({ blocks }: EventStream) => blocks.findLast(({ id }) => id !== undefined)?.id

it('tells the events after its cursor and then those that come, each as sync does, with its cursor', async () => {
  const cursor = await now()
  await say('before')
  const stream = await open({ path: `/api/v1/sync?cursor=${cursor}` })
  expect([stream.status, stream.headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8'])
  expect(stream.headers).toMatchObject({ 'cache-control': 'no-store', 'access-control-allow-origin': '*' })
  await hears(stream, 1)
  await say('Zeile\n\nzwei')
  await hears(stream, 2)
  await muro.patch(`/conversations/${thread.conversation}`, { status: 'closed' })
  await hears(stream, 3)
  expect(stream.blocks.slice(0, 2)).toEqual([{ retry: '1000' }, { id: cursor }])
  const { data } = syncOf(await muro.get(`/sync?cursor=${cursor}`))
  expect(stream.events()).toEqual(data)
  const told = stream.blocks.filter(({ event }) => event !== undefined)
  expect(told.map(({ event }) => event)).toEqual(['message.new', 'message.new', 'conversation.update'])
  for (const [index, { id }] of told.entries()) {
    const rest = syncOf(await muro.get(`/sync?cursor=${id}`))
    expect(rest.data).toEqual(data.slice(index + 1))
  }
})

it('begins now without a cursor, and says where that is for a reader that is cut before it hears anything', async () => {
  await say('before')
  const cursor = await now()
  const stream = await open()
  await expect.poll(() => last(stream)).toBe(cursor)
  expect(stream.events()).toEqual([])
  await say('after')
  await hears(stream, 1)
  expect(contents(stream)).toEqual(['after'])
})

it('goes on where a reader was cut: Last-Event-ID wins over the cursor in the address', async () => {
  const cursor = await now()
  const first = await open({ path: `/api/v1/sync?cursor=${cursor}` })
  for (const content of ['a', 'b']) await say(content)
  await hears(first, 2)
  first.cut()
  await say('c')
  const second = await open({ path: `/api/v1/sync?cursor=${cursor}`, lastEventId: last(first) ?? '' })
  await hears(second, 1)
  await say('d')
  await hears(second, 2)
  expect([...contents(first), ...contents(second)]).toEqual(['a', 'b', 'c', 'd'])
  const again = await open({ path: `/api/v1/sync?cursor=${cursor}`, lastEventId: '' })
  await hears(again, 4)
})

it('is refused with an ordinary answer before it begins: 410, 400 and 401', async () => {
  const old = await now()
  await say('a')
  const { sql } = api.database
  await sql`delete from events where workspace_id = ${tenant.workspace.id}`
  const refusals = [
    [{ lastEventId: old }, 410, muroError('invalid_request_error', 'cursor_expired')],
    [{ path: `/api/v1/sync?cursor=${old}` }, 410, muroError('invalid_request_error', 'cursor_expired')],
    [{ lastEventId: 'nonsense' }, 400, muroError('invalid_request_error', 'invalid', 'Last-Event-ID')],
    [{ path: '/api/v1/sync?cursor=nonsense' }, 400, muroError('invalid_request_error', 'invalid', 'cursor')],
  ] as const
  for (const [options, status, body] of refusals) {
    const stream = await open(options)
    expect([stream.status, stream.headers['content-type']]).toEqual([status, 'application/json; charset=utf-8'])
    await expect.poll(() => stream.text()).toMatch(/\}$/)
    expect(JSON.parse(stream.text())).toEqual(body)
  }
  expect((await open({}, 'mr_live_unknown')).status).toBe(401)
})

it('says as an event that its log is gone, where that happens later', async () => {
  const stream = await open()
  await somebodyWaits(api.database)
  const [before] = await api.database.sql<{ id: string }[]>`select id from log_origin`
  // As if another database had come into the place of this one.
  await api.database.sql`update log_origin set id = gen_random_uuid()`
  await say('of another log')
  await stream.ended
  await api.database.sql`update log_origin set id = ${before?.id ?? ''}`
  const { event, data = '' } = stream.blocks.at(-1) ?? {}
  expect([event, JSON.parse(data)]).toEqual(['error', muroError('invalid_request_error', 'cursor_expired')])
  expect(stream.events()).toEqual([])
})

it('is kept alive by a comment every 15 s, which also moves a pinned key on', async () => {
  const { key } = await tenant.makeKey(await tenant.makeSite())
  const [stream, pinned] = [await open(), await open({}, key)]
  await say('unheard by the pinned key')
  await hears(stream, 1)
  const comments = ({ blocks }: EventStream) => blocks.filter(({ comment }) => comment !== undefined)
  await expect.poll(() => comments(stream).length, { interval: 100, timeout: 20_000 }).toBe(1)
  await expect.poll(() => comments(pinned).length, { interval: 100, timeout: 20_000 }).toBe(1)
  await expect.poll(() => last(pinned)).toBe(await now())
  expect(pinned.events()).toEqual([])
})

it('P4: a key that is pinned to a site hears of its site only', async () => {
  const second = await tenant.makeSite()
  const there = await tenant.thread(second)
  const { key } = await tenant.makeKey(second)
  const stream = await open({}, key)
  await say('here')
  await muro.post(`/conversations/${there.conversation}/messages`, { content: 'there' })
  await hears(stream, 1)
  expect(contents(stream)).toEqual(['there'])
})

it('P5: ends within a second when its key is revoked, and is 401 afterwards', async () => {
  const { id, key } = await tenant.makeKey()
  const stream = await open({}, key)
  await somebodyWaits(api.database)
  await api.database.sql`update api_keys set revoked_at = now() where public_id = ${id}`
  const begun = performance.now()
  await stream.ended
  expect(performance.now() - begun).toBeLessThan(1000)
  const { event, data = '' } = stream.blocks.at(-1) ?? {}
  expect([event, JSON.parse(data)]).toEqual(['error', muroError('authentication_error', 'unauthenticated')])
  expect((await open({ lastEventId: last(stream) ?? '' }, key)).status).toBe(401)
})

it('P5: ends when its key expires, and when it is pinned to a site', async () => {
  const second = await tenant.makeSite()
  const [expiring, pinned] = [await tenant.makeKey(), await tenant.makeKey()]
  await api.database.sql`
    update api_keys set expires_at = clock_timestamp() + interval '1500 ms' where public_id = ${expiring.id}`
  const streams = [await open({}, expiring.key), await open({}, pinned.key)]
  await somebodyWaits(api.database)
  await api.database.sql`update api_keys set site_id = ${second.ref.id} where public_id = ${pinned.id}`
  const begun = performance.now()
  await Promise.all(streams.map(({ ended }) => ended))
  expect(performance.now() - begun).toBeLessThan(3000)
  await say('not for them')
  const next = await open({ lastEventId: last(streams[1] ?? fail()) ?? '' }, pinned.key)
  await muro.post(`/conversations/${(await tenant.thread(second)).conversation}/messages`, { content: 'there' })
  await expect.poll(() => contents(next)).toContain('there')
  expect(contents(next)).not.toContain('not for them')
})

it('P7: a reader that does not read is sent no more than fits, is cut with its key, and others hear everything', async () => {
  const { id, key } = await tenant.makeKey()
  const cursor = await now()
  const total = 1500
  await api.database.sql`
    with h as (update workspace_heads set seq = seq + ${total} where workspace_id = ${tenant.workspace.id} returning seq)
    insert into events (workspace_id, seq, public_id, type, site_id, payload)
    select ${tenant.workspace.id}, h.seq - ${total} + n, 'evt_' || h.seq || 'n' || n, 'contact.update',
           ${tenant.site.ref.id}, ('{"id":"' || repeat('x', 30000) || '"}')::json
      from h, generate_series(1, ${total}::int) n`
  const slow = await open({ path: `/api/v1/sync?cursor=${cursor}` }, key)
  slow.pause()
  const other = await open({ path: `/api/v1/sync?cursor=${cursor}` })
  await expect.poll(() => other.blocks.length, { timeout: 20_000 }).toBe(total + 2)
  await api.database.sql`update api_keys set revoked_at = now() where public_id = ${id}`
  await expect.poll(async () => (await call(api.url, 'GET', '/api/v1/sync', { key })).status).toBe(401)
  slow.resume()
  await slow.ended
  expect(slow.received()).toBeLessThan((total * 30_000) / 2)
  const seqs = slow.events().map(({ seq }) => seq)
  expect(seqs).toEqual(seqs.map((_, index) => 3 + index))
}, 60_000)

it('a database that hangs ends streams and waits after 5 s with an error that says to try again', async () => {
  const cursor = await now()
  const stream = await open()
  const poll = call(api.url, 'GET', `/api/v1/sync?cursor=${cursor}&wait=30`, { key: tenant.apiKey })
  await somebodyWaits(api.database)
  await api.database.sql.begin(async (tx) => {
    await tx`lock table events in access exclusive mode`
    const begun = performance.now()
    await api.database.sql`update workspace_heads set seq = seq + 1 where workspace_id = ${tenant.workspace.id}`
    const [answer] = await Promise.all([poll, stream.ended])
    expect([answer.status, answer.body]).toEqual([503, muroError('api_error', 'unavailable')])
    const { event, data = '' } = stream.blocks.at(-1) ?? {}
    expect([event, JSON.parse(data)]).toEqual(['error', muroError('api_error', 'unavailable')])
    expect(performance.now() - begun).toBeGreaterThan(4500)
    expect(performance.now() - begun).toBeLessThan(8000)
  })
})

it('P9: a program that stops ends waits and streams at once, with what they have', async () => {
  for (const DRAIN_SECONDS of ['0', '4']) {
    const env = { DATABASE_URL: api.database.url, ...testApp, RATE_LIMIT_PER_MINUTE: '0', DRAIN_SECONDS }
    const program = await startProgram(env)
    onTestFinished(async () => {
      await program.stop()
    })
    const cursor = await now()
    const stream = await open({}, tenant.apiKey, program.api)
    const poll = call(program.api, 'GET', `/api/v1/sync?cursor=${cursor}&wait=30`, { key: tenant.apiKey })
    await somebodyWaits(api.database)
    const begun = performance.now()
    const stopped = program.stop()
    const answer = await poll
    await stream.ended
    expect(performance.now() - begun).toBeLessThan(1500)
    expect(syncOf(answer)).toEqual({ object: 'sync', data: [], cursor, has_more: false })
    expect(answer.headers.get('connection')).toBe('close')
    expect(stream.blocks.at(-1)).toEqual({ retry: expect.stringMatching(/^\d+$/) })
    expect(await stopped).toBe(0)
    expect(performance.now() - begun).toBeLessThan(Number(DRAIN_SECONDS) * 1000 + 3000)
  }
}, 60_000)

const fail = (): never => {
  throw new Error('there is none')
}
