/** Bulk on the muro face: one action on many conversations, each with a result of its own. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type BulkResult, bulkResult } from '../../schema/muro/conversations.ts'
import { type Api, startApi } from '../support/api.ts'
import { type Answer, type Client, expectText, muroClient, muroError } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

let tenant: Tenant
let muro: Client
/** Three conversations, in the order in which they were made. */
let ids: string[]
beforeEach(async () => {
  tenant = await api.makeTenant()
  muro = muroClient(api.url, tenant.apiKey)
  ids = []
  for (let made = 0; made < 3; made += 1) ids.push((await tenant.thread()).conversation)
})

const bulk = (body: unknown, headers: Record<string, string> = {}, client = muro) =>
  client.post('/conversations/bulk', body, headers)

/** Returns the result of a request that was done; fails where it is none, or where its sums are wrong. */
const resultOf = ({ status, body }: Answer): BulkResult => {
  expect(status).toBe(200)
  const result = bulkResult.strict().parse(body)
  expect(result.succeeded).toBe(result.data.filter(({ ok }) => ok).length)
  expect(result.failed).toBe(result.data.filter(({ ok }) => !ok).length)
  return result
}

const shown = async (id: string | undefined) => (await muro.get(`/conversations/${id}`)).body
const toldSince = async (before: number) => (await api.eventsOf(tenant)).slice(before)
const notFound = { type: 'not_found', message: expectText, code: 'not_found' }

describe('an action', () => {
  it('is done on each conversation and told once for each, whatever their order', async () => {
    const user = tenant.agent.user.publicId
    const until = new Date(Date.now() + 86_400_000).toISOString()
    for (const [body, changed, facts] of [
      [{ action: 'close' }, ['status'], { status: 'closed' }],
      [{ action: 'open' }, ['status'], { status: 'open' }],
      [{ action: 'snooze' }, ['status'], { status: 'snoozed', snoozed_until: null }],
      [{ action: 'snooze', snoozed_until: until }, ['snoozed_until'], { status: 'snoozed', snoozed_until: until }],
      [{ action: 'open' }, ['status', 'snoozed_until'], { status: 'open', snoozed_until: null }],
      [{ action: 'unread' }, ['unread_count'], { unread_count: 1 }],
      [{ action: 'read' }, ['unread_count'], { unread_count: 0 }],
      [{ action: 'assign', assigned_user_id: user }, ['assigned_user_id'], { assigned_user_id: user }],
      [{ action: 'assign', assigned_user_id: null }, ['assigned_user_id'], { assigned_user_id: null }],
    ] as const) {
      const before = (await api.eventsOf(tenant)).length
      const order = [2, 0, 1].map((index) => ids[index] ?? '')
      const result = resultOf(await bulk({ ids: order, ...body }))
      expect(result).toEqual({
        object: 'bulk_result',
        action: body.action,
        data: order.map((id) => ({ id, ok: true })),
        succeeded: 3,
        failed: 0,
      })
      for (const id of ids) expect(await shown(id)).toMatchObject(facts)
      const told = await toldSince(before)
      expect(told.map(({ type }) => type)).toEqual(Array(3).fill('conversation.update'))
      // In the order in which the conversations were made.
      expect(told.map(({ payload }) => payload.id)).toEqual(ids)
      for (const { payload } of told) expect(payload).toMatchObject({ ...facts, changed })
      // What is so already is a success, and is told to nobody.
      expect(resultOf(await bulk({ ids, ...body })).succeeded).toBe(3)
      expect(await toldSince(before)).toHaveLength(3)
    }
  })

  it('on some that are so already is told of the others only', async () => {
    await muro.patch(`/conversations/${ids[1]}`, { status: 'closed' })
    const before = (await api.eventsOf(tenant)).length
    expect(resultOf(await bulk({ ids, action: 'close' })).succeeded).toBe(3)
    expect((await toldSince(before)).map(({ payload }) => payload.id)).toEqual([ids[0], ids[2]])
  })

  it('snooze keeps the time of what is snoozed until one, and null takes it away', async () => {
    const until = new Date(Date.now() + 86_400_000).toISOString()
    await muro.patch(`/conversations/${ids[0]}`, { status: 'snoozed', snoozed_until: until })
    await bulk({ ids, action: 'snooze' })
    expect(await shown(ids[0])).toMatchObject({ status: 'snoozed', snoozed_until: until })
    expect(await shown(ids[1])).toMatchObject({ status: 'snoozed', snoozed_until: null })
    await bulk({ ids, action: 'snooze', snoozed_until: null })
    expect(await shown(ids[0])).toMatchObject({ status: 'snoozed', snoozed_until: null })
  })

  it('passes over an assignee where nobody is to be assigned', async () => {
    const body = { ids, action: 'close', assigned_user_id: 'usr_unknown' }
    expect(resultOf(await bulk(body)).succeeded).toBe(3)
    expect(await shown(ids[0])).toMatchObject({ status: 'closed', assigned_user_id: null })
  })
})

describe('the results', () => {
  it('come in the order of the request, each id once; what is not there is told beside what was done', async () => {
    const [a = '', b = ''] = ids
    const strange = ['cnv_unknown', '', 'vis_abc', '\0', '\ud800', '💥', "cnv_'--", `cnv_${'x'.repeat(70)}`]
    const result = resultOf(await bulk({ ids: [b, ...strange, a, b, 'cnv_unknown'], action: 'close' }))
    expect(result.data).toEqual([
      { id: b, ok: true },
      ...strange.map((id) => ({ id, ok: false, error: notFound })),
      { id: a, ok: true },
    ])
    expect(await shown(a)).toMatchObject({ status: 'closed' })
    expect(await shown(ids[2])).toMatchObject({ status: 'open' })
  })

  it('P4: of another workspace, and for a pinned key of another site, are what unknown ids get; nothing changes there', async () => {
    const stranger = await api.makeTenant()
    const theirs = (await stranger.thread()).conversation
    const site = await tenant.makeSite()
    const there = (await tenant.thread(site)).conversation
    const pinned = muroClient(api.url, (await tenant.makeKey(tenant.site)).key)
    const before = [await api.rowsOf(stranger), await api.rowsOf(tenant)]
    const refused = resultOf(await bulk({ ids: [theirs, there, 'cnv_unknown'], action: 'close' }, {}, pinned))
    expect(refused.data.map(({ error }) => error)).toEqual(Array(3).fill(refused.data[2]?.error))
    expect(refused.failed).toBe(3)
    expect([await api.rowsOf(stranger), await api.rowsOf(tenant)]).toEqual(before)
    const mixed = resultOf(await bulk({ ids: [there, ids[0], theirs], action: 'close' }, {}, pinned))
    expect(mixed.data.map(({ ok }) => ok)).toEqual([false, true, false])
    expect(await api.rowsOf(stranger)).toEqual(before[0])
    expect(await shown(there)).toMatchObject({ status: 'open' })
  })
})

describe('a request that is bad as a whole', () => {
  it('is refused with the field at fault, and changes nothing', async () => {
    const { publicId: stranger } = (await api.makeTenant()).agent.user
    const future = new Date(Date.now() + 60_000).toISOString()
    const before = await api.rowsOf(tenant)
    for (const [body, param] of [
      [{ action: 'close' }, 'ids'],
      [{ ids: [], action: 'close' }, 'ids'],
      [{ ids: 'cnv_a', action: 'close' }, 'ids'],
      [{ ids: null, action: 'close' }, 'ids'],
      [{ ids: [...ids, 7], action: 'close' }, 'ids.3'],
      [{ ids: Array.from({ length: 101 }, (_, n) => `cnv_${n}`), action: 'close' }, 'ids'],
      [{ ids }, 'action'],
      [{ ids, action: 'delete' }, 'action'],
      [{ ids, action: ['close'] }, 'action'],
      [{ ids, action: 'assign' }, 'assigned_user_id'],
      [{ ids, action: 'assign', assigned_user_id: '' }, 'assigned_user_id'],
      [{ ids, action: 'assign', assigned_user_id: 'usr_unknown' }, 'assigned_user_id'],
      [{ ids, action: 'assign', assigned_user_id: stranger }, 'assigned_user_id'],
      [{ ids, action: 'snooze', snoozed_until: '2020-01-01T00:00:00Z' }, 'snoozed_until'],
      [{ ids, action: 'snooze', snoozed_until: 'tomorrow' }, 'snoozed_until'],
      [{ ids, action: 'close', snoozed_until: future }, 'snoozed_until'],
      [[], undefined],
      ['null', undefined],
    ] as const) {
      const answer = await bulk(body, { 'Idempotency-Key': 'bad' })
      expect([body, answer.status]).toEqual([body, 400])
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', param))
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
  })

  it('needs a key that may write', async () => {
    const { stdout } = await api.run('key', 'create', '--scopes', 'read', '--workspace', tenant.workspace.publicId)
    const reader = muroClient(api.url, JSON.parse(stdout).key)
    expect((await bulk({ ids, action: 'close' }, {}, reader)).status).toBe(403)
    expect((await bulk({ ids, action: 'close' }, {}, muroClient(api.url, 'mr_live_x'))).status).toBe(401)
  })
})

describe('100 ids', () => {
  it('are what a request may have, duplicates not counted', async () => {
    const unknown = Array.from({ length: 97 }, (_, n) => `cnv_${n}`)
    const all = [...ids, ...unknown]
    const result = resultOf(await bulk({ ids: [...all, ...all], action: 'close' }))
    expect(result.data.map(({ id }) => id)).toEqual(all)
    expect([result.succeeded, result.failed]).toEqual([3, 97])
  })

  it('are one request for the limiter', async () => {
    const limited = await startApi({ RATE_LIMIT_PER_MINUTE: '120' })
    const key = (await limited.makeTenant()).apiKey
    const body = { ids: Array.from({ length: 100 }, (_, n) => `cnv_${n}`), action: 'close' }
    const answer = await muroClient(limited.url, key).post('/conversations/bulk', body)
    expect([answer.status, answer.headers.get('x-ratelimit-remaining')]).toEqual([200, '119'])
    const next = await muroClient(limited.url, key).post('/conversations/bulk', body)
    expect(next.headers.get('x-ratelimit-remaining')).toBe('118')
    await limited.close()
  })
})

describe('P6: an Idempotency-Key', () => {
  const key = { 'Idempotency-Key': 'once' }

  it('replays the first result byte for byte, and does nothing again', async () => {
    const body = { ids: [...ids, 'cnv_unknown', '\0', '\ud800'], action: 'close' }
    const first = await bulk(body, key)
    expect(resultOf(first).succeeded).toBe(3)
    await muro.patch(`/conversations/${ids[0]}`, { status: 'open' })
    const before = await api.rowsOf(tenant)
    const again = await bulk(body, key)
    expect([again.status, again.text]).toEqual([200, first.text])
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(await api.rowsOf(tenant)).toEqual(before)
    const other = await bulk({ ...body, action: 'open' }, key)
    expect([other.status, other.body]).toEqual([
      409,
      muroError('invalid_request_error', 'idempotency_mismatch', 'Idempotency-Key'),
    ])
    expect(await api.rowsOf(tenant)).toEqual(before)
  })

  it('is free again after a request that was refused', async () => {
    expect((await bulk({ ids, action: 'assign', assigned_user_id: 'usr_unknown' }, key)).status).toBe(400)
    expect(resultOf(await bulk({ ids, action: 'close' }, key)).succeeded).toBe(3)
  })

  it('is refused while the first request with it still runs, and replays once that is done', async () => {
    const body = { ids, action: 'close' }
    const [first, twin] = await api.database.sql.begin(async (tx) => {
      await tx`select 1 from conversations where public_id = ${ids[1] ?? ''} for update`
      const running = bulk(body, key)
      await expect
        .poll(
          async () =>
            (
              await api.database.sql`
                select 1 from pg_locks l join pg_stat_activity a on a.pid = l.pid
                 where not l.granted and a.datname = current_database()`
            ).length,
          { interval: 10, timeout: 5000 },
        )
        .toBe(1)
      // The first is done already, the second is waited for.
      expect(await shown(ids[0])).toMatchObject({ status: 'closed' })
      expect(await shown(ids[2])).toMatchObject({ status: 'open' })
      return [{ running }, await bulk(body, key)]
    })
    expect([twin.status, twin.body]).toEqual([409, muroError('invalid_request_error', 'idempotency_in_progress')])
    expect(twin.headers.get('retry-after')).toBe('1')
    const done = await first.running
    expect(resultOf(done).succeeded).toBe(3)
    const before = await api.rowsOf(tenant)
    const again = await bulk(body, key)
    expect(again.text).toBe(done.text)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(await api.rowsOf(tenant)).toEqual(before)
  })

  it('shows nothing of another site once its API key was pinned', async () => {
    const { id, key: text } = await tenant.makeKey()
    const client = muroClient(api.url, text)
    const site = await tenant.makeSite()
    const there = (await tenant.thread(site)).conversation
    const body = { ids: [there, ids[0], 'cnv_unknown'], action: 'close' }
    expect(resultOf(await bulk(body, key, client)).data.map(({ ok }) => ok)).toEqual([true, true, false])
    await api.run('key', 'pin', id, '--site', tenant.site.id)
    expect((await client.get(`/conversations/${there}`)).status).toBe(404)
    const again = await bulk(body, key, client)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(resultOf(again).data).toEqual([
      { id: there, ok: false, error: notFound },
      { id: ids[0], ok: true },
      { id: 'cnv_unknown', ok: false, error: notFound },
    ])
  })
})
