/** Sync and snapshots over HTTP: what is answered, what is refused, and that nobody waits in vain. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { type Client, call, muroClient, muroError } from '../support/http.ts'
import { startProgram } from '../support/program.ts'
import { snapshotOf, somebodyWaits, syncOf } from '../support/sync.ts'
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

const say = (content: string, kind = 'agent') =>
  muro.post(`/conversations/${thread.conversation}/messages`, { content, kind })
const now = async (client = muro) => syncOf(await client.get('/sync')).cursor
const since = async (cursor: string, query = '', client = muro) =>
  syncOf(await client.get(`/sync?cursor=${cursor}${query}`))

/** Waits for an answer and measures how long it took, in ms. */
const timed = async <T>(answer: Promise<T>) => {
  const begun = performance.now()
  const value = await answer
  return { value, took: performance.now() - begun }
}

describe('GET /sync', () => {
  it('without a cursor answers where the log ends, at once and with nothing, also where it may wait', async () => {
    const { value, took } = await timed(muro.get('/sync?wait=30'))
    expect(value.status).toBe(200)
    expect(syncOf(value)).toEqual({ object: 'sync', data: [], cursor: expect.any(String), has_more: false })
    expect(took).toBeLessThan(5000)
  })

  it('tells what came after a cursor, with the names and the data of the sockets', async () => {
    const cursor = await now()
    const sent = (await say('Hello')).body as { id: string }
    await muro.patch(`/conversations/${thread.conversation}`, { status: 'closed' })
    const answer = await since(cursor)
    expect(answer.data).toMatchObject([
      { seq: 3, type: 'message.new', conversation_seq: 2, data: { id: sent.id, content: 'Hello', seq: 3 } },
      { seq: 4, type: 'conversation.update', conversation_seq: 3, data: { status: 'closed', changed: ['status'] } },
    ])
    for (const event of answer.data) {
      expect(event.conversation_id).toBe(thread.conversation)
      expect(event.data.event_id).toBe(event.id)
    }
    expect(await since(answer.cursor)).toEqual({ object: 'sync', data: [], cursor: answer.cursor, has_more: false })
  })

  it('tells as many as are asked for, and then the rest', async () => {
    const cursor = await now()
    for (const content of ['a', 'b', 'c']) await say(content)
    const first = await since(cursor, '&limit=2')
    expect([first.data.map(({ seq }) => seq), first.has_more]).toEqual([[3, 4], true])
    const rest = await since(first.cursor, '&limit=2')
    expect([rest.data.map(({ seq }) => seq), rest.has_more]).toEqual([[5], false])
  })

  it('refuses what is no cursor, no limit and no time to wait, and says which', async () => {
    const page = snapshotOf(await muro.get('/snapshot'))
    for (const [query, param] of [
      ['cursor=', 'cursor'],
      ['cursor=17', 'cursor'],
      ['cursor=nonsense', 'cursor'],
      [`cursor=${'x'.repeat(501)}`, 'cursor'],
      ['limit=0', 'limit'],
      ['limit=501', 'limit'],
      ['limit=many', 'limit'],
      ['wait=-1', 'wait'],
      ['wait=31', 'wait'],
      ['wait=1.5', 'wait'],
    ]) {
      const answer = await muro.get(`/sync?${query}`)
      expect([query, answer.status, answer.body]).toEqual([
        query,
        400,
        muroError('invalid_request_error', 'invalid', param),
      ])
    }
    for (const query of ['limit=1', 'limit=500', 'wait=0']) {
      expect((await muro.get(`/sync?cursor=${page.cursor}&${query}`)).status).toBe(200)
    }
  })

  it('410: a cursor whose events are gone, of another log, or from the future, names the snapshot', async () => {
    const old = await now()
    for (const content of ['a', 'b']) await say(content)
    const { sql } = api.database
    const expectExpired = async (cursor: string) => {
      for (const query of ['', '&wait=5']) {
        const answer = await muro.get(`/sync?cursor=${cursor}${query}`)
        expect([answer.status, answer.body]).toEqual([410, muroError('invalid_request_error', 'cursor_expired')])
        expect(answer.text).toContain('/api/v1/snapshot')
      }
    }
    await sql`delete from events where workspace_id = ${tenant.workspace.id} and seq <= 3`
    await expectExpired(old)
    const other = await api.makeTenant()
    expect((await muro.get(`/sync?cursor=${await now()}`)).status).toBe(200)
    // A cursor is bound to no workspace, but the log of this one does not go so far.
    const ahead = await muroClient(api.url, other.apiKey).get(`/sync?cursor=${await now()}`)
    expect(ahead.status).toBe(410)
  })

  it('P4: tells a key that is pinned to a site only of its site, and its cursor moves on over the others', async () => {
    const second = await tenant.makeSite()
    const { key } = await tenant.makeKey(second)
    const pinned = muroClient(api.url, key)
    const there = await tenant.thread(second)
    const cursor = await now(pinned)
    await say('here')
    await muro.post(`/conversations/${there.conversation}/messages`, { content: 'there' })
    await say('here again')
    const answer = await since(cursor, '', pinned)
    expect(answer.data).toMatchObject([{ conversation_id: there.conversation, data: { content: 'there' } }])
    expect(answer.cursor).toBe(await now())
    const nothing = await since(answer.cursor, '', pinned)
    expect(nothing.data).toEqual([])
    await say('unheard')
    expect((await since(nothing.cursor, '&wait=1', pinned)).cursor).toBe(await now())
  })

  it('P4: tells a key of another workspace nothing of this one', async () => {
    const other = await api.makeTenant()
    const theirs = muroClient(api.url, other.apiKey)
    const cursor = await now(theirs)
    const waiting = since(cursor, '&wait=1', theirs)
    await say('ours')
    expect(await waiting).toMatchObject({ data: [], has_more: false })
  })

  it('asks for the scope read, and answers HEAD and OPTIONS like every path', async () => {
    expect((await call(api.url, 'GET', '/api/v1/sync')).status).toBe(401)
    expect((await call(api.url, 'GET', '/api/v1/snapshot')).status).toBe(401)
    const made = await api.run('key', 'create', '--scopes', 'write', '--workspace', tenant.workspace.publicId)
    const { key } = JSON.parse(made.stdout) as { key: string }
    for (const path of ['/sync', '/snapshot']) {
      expect((await muroClient(api.url, key).get(path)).status).toBe(403)
      const head = await call(api.url, 'HEAD', `/api/v1${path}`, { key: tenant.apiKey })
      expect([head.status, head.text]).toEqual([200, ''])
      expect((await call(api.url, 'OPTIONS', `/api/v1${path}`)).headers.get('allow')).toBe('GET, HEAD, OPTIONS')
      expect((await call(api.url, 'POST', `/api/v1${path}`, { key: tenant.apiKey })).status).toBe(405)
    }
  })
})

describe('a long poll', () => {
  it('answers at once where there is something already', async () => {
    const cursor = await now()
    await say('before')
    const { value, took } = await timed(since(cursor, '&wait=30'))
    expect(value.data).toHaveLength(1)
    expect(took).toBeLessThan(5000)
  })

  it('answers as soon as something is written', async () => {
    const cursor = await now()
    const waiting = timed(since(cursor, '&wait=30'))
    await somebodyWaits(api.database)
    const written = performance.now()
    await say('now')
    const { value } = await waiting
    expect(performance.now() - written).toBeLessThan(1000)
    expect(value.data).toMatchObject([{ data: { content: 'now' } }])
    expect(value.cursor).toBe(await now())
  })

  it('answers at the end of its time with nothing, and is not ended by the deadline of other requests', async () => {
    const cursor = await now()
    const { value, took } = await timed(since(cursor, '&wait=7'))
    expect(value).toEqual({ object: 'sync', data: [], cursor, has_more: false })
    expect(took).toBeGreaterThan(6900)
    expect(took).toBeLessThan(9000)
  })

  it('is woken by what another process has written, within half a second', async () => {
    const other = await startProgram({
      DATABASE_URL: api.database.url,
      PUSHER_APP_ID: '1',
      PUSHER_APP_KEY: 'other',
      PUSHER_APP_SECRET: 'other',
      RATE_LIMIT_PER_MINUTE: '0',
    })
    try {
      const cursor = await now()
      const waiting = since(cursor, '&wait=30')
      await somebodyWaits(api.database)
      await call(other.api, 'POST', `/api/v1/conversations/${thread.conversation}/messages`, {
        key: tenant.apiKey,
        body: { content: 'from elsewhere' },
      })
      const { value, took } = await timed(waiting)
      expect(value.data).toMatchObject([{ data: { content: 'from elsewhere' } }])
      expect(took).toBeLessThan(1000)
    } finally {
      await other.stop()
    }
  })

  it('holds no connection to the database: many wait while few connections serve everyone', async () => {
    const cursor = await now()
    const keys = await Promise.all(Array.from({ length: 4 }, () => tenant.makeKey()))
    const waiting = keys.flatMap(({ key }) =>
      Array.from({ length: 15 }, () => since(cursor, '&wait=20', muroClient(api.url, key))),
    )
    await somebodyWaits(api.database)
    const busy = async () => {
      const [row] = await api.database.sql<{ count: number }[]>`
        select count(*)::int as count from pg_stat_activity
         where datname = current_database() and application_name like 'hubbub %' and state <> 'idle'`
      return row?.count
    }
    await expect.poll(busy).toBe(0)
    expect((await timed(muro.get('/conversations'))).took).toBeLessThan(2000)
    await say('for all')
    for (const { data } of await Promise.all(waiting)) expect(data).toHaveLength(1)
  })

  it('of a key that waits 20 times already is refused, and other keys are not', async () => {
    const cursor = await now()
    const waiting = Array.from({ length: 21 }, () => muro.get(`/sync?cursor=${cursor}&wait=20`))
    const refused = await Promise.race(waiting)
    expect([refused.status, refused.body]).toEqual([429, muroError('rate_limit_error', 'rate_limited')])
    expect(refused.text).toContain('20')
    expect((await since(cursor)).data).toEqual([])
    const { key } = await tenant.makeKey()
    const other = since(cursor, '&wait=20', muroClient(api.url, key))
    await somebodyWaits(api.database)
    await say('for all')
    expect((await other).data).toHaveLength(1)
    const statuses = (await Promise.all(waiting)).map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(20)
    expect((await since(cursor, '&wait=1')).data).toHaveLength(1)
  })

  it('P5: of a key that is revoked meanwhile is 401 within a second', async () => {
    const { id, key } = await tenant.makeKey()
    const cursor = await now()
    const waiting = call(api.url, 'GET', `/api/v1/sync?cursor=${cursor}&wait=30`, { key })
    await somebodyWaits(api.database)
    await api.database.sql`update api_keys set revoked_at = now() where public_id = ${id}`
    const { value, took } = await timed(waiting)
    expect([value.status, value.body]).toEqual([401, muroError('authentication_error', 'unauthenticated')])
    expect(took).toBeLessThan(1000)
  })

  it('P5: of a key that expires meanwhile is 401 at that moment', async () => {
    const { id, key } = await tenant.makeKey()
    await api.database.sql`
      update api_keys set expires_at = clock_timestamp() + interval '1500 ms' where public_id = ${id}`
    const cursor = await now()
    const { value, took } = await timed(call(api.url, 'GET', `/api/v1/sync?cursor=${cursor}&wait=30`, { key }))
    expect(value.status).toBe(401)
    expect(took).toBeLessThan(3000)
  })

  it('of a key that is pinned to a site meanwhile ends, and the next one hears of that site only', async () => {
    const second = await tenant.makeSite()
    const { id, key } = await tenant.makeKey()
    const client = muroClient(api.url, key)
    const cursor = await now()
    const waiting = since(cursor, '&wait=30', client)
    await somebodyWaits(api.database)
    await api.database.sql`update api_keys set site_id = ${second.ref.id} where public_id = ${id}`
    const { value, took } = await timed(waiting)
    expect(value).toMatchObject({ data: [], cursor })
    expect(took).toBeLessThan(1000)
    await say('not for it')
    expect((await since(value.cursor, '', client)).data).toEqual([])
  })

  it('of a key that is changed in nothing goes on', async () => {
    const cursor = await now()
    const waiting = since(cursor, '&wait=30')
    await somebodyWaits(api.database)
    await api.database.sql`select pg_notify('hubbub_keys', ${tenant.agent.key.publicId})`
    await api.database.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name = 'hubbub listener'`
    await somebodyWaits(api.database)
    const listening = () => api.database.sql`
      select 1 from pg_stat_activity where datname = current_database() and query = 'listen "hubbub_keys"'`
    await expect.poll(async () => (await listening()).length).toBe(1)
    await say('still heard')
    expect((await waiting).data).toHaveLength(1)
  })
})

it('the limiter of requests counts a long poll as one', async () => {
  const limited = await startApi({ RATE_LIMIT_PER_MINUTE: '5' })
  try {
    const { apiKey } = await limited.makeTenant()
    const client = muroClient(limited.url, apiKey)
    const { cursor } = syncOf(await client.get('/sync'))
    const answer = await client.get(`/sync?cursor=${cursor}&wait=2`)
    expect([answer.status, answer.headers.get('x-ratelimit-remaining')]).toEqual([200, '3'])
    expect((await client.get('/sync')).headers.get('x-ratelimit-remaining')).toBe('2')
  } finally {
    await limited.close()
  }
})

describe('GET /snapshot', () => {
  it('shows the conversations and contacts of the lists, each with its seq, and a cursor that sync takes', async () => {
    const cursor = await now()
    const page = snapshotOf(await muro.get('/snapshot'))
    const [conversation] = ((await muro.get('/conversations')).body as { data: unknown[] }).data
    const [contact] = ((await muro.get('/contacts')).body as { data: unknown[] }).data
    expect(page).toEqual({
      object: 'snapshot',
      conversations: [{ ...(conversation as object), seq: 2 }],
      contacts: [{ ...(contact as object), seq: 2 }],
      cursor,
      next_page: null,
    })
    await say('after')
    expect((await since(page.cursor)).data).toMatchObject([{ data: { content: 'after' } }])
  })

  it('goes on where its page ends, and refuses what is no page', async () => {
    const { sql } = api.database
    await sql`
      insert into contacts (public_id, workspace_id, site_id, number)
      select 'vis_' || ${tenant.workspace.publicId.slice(4)}::text || n, ${tenant.workspace.id}, ${tenant.site.ref.id}, 10 + n
        from generate_series(1, 250) n`
    const first = snapshotOf(await muro.get('/snapshot'))
    await say('meanwhile')
    const second = snapshotOf(await muro.get(`/snapshot?page=${first.next_page}`))
    expect([first.contacts.length, first.conversations.length]).toEqual([200, 0])
    expect([second.contacts.length, second.conversations.length, second.next_page]).toEqual([51, 1, null])
    expect(second.cursor).toBe(first.cursor)
    expect(second.conversations).toMatchObject([{ id: thread.conversation, seq: 3 }])
    for (const page of ['', 'x', '0', first.cursor, 'x'.repeat(501)]) {
      const answer = await muro.get(`/snapshot?page=${page}`)
      expect([answer.status, answer.body]).toEqual([400, muroError('invalid_request_error', 'invalid', 'page')])
    }
    expect((await muro.get(`/sync?cursor=${first.next_page}`)).status).toBe(400)
  })

  it('P4: shows another workspace nothing of this one, also where it is asked for a page of it', async () => {
    const other = await api.makeTenant()
    const theirs = muroClient(api.url, other.apiKey)
    expect(snapshotOf(await theirs.get('/snapshot'))).toMatchObject({ conversations: [], contacts: [] })
  })
})

it('GET /realtime says where to sync from, for a client that begins with the sockets', async () => {
  const { body } = await muro.get('/realtime')
  expect(body).toMatchObject({ sync: { url: `${api.url}/api/v1/sync`, cursor: await now() } })
  const { sync } = body as { sync: { url: string; cursor: string } }
  await say('after')
  const answer = await call(sync.url, 'GET', `?cursor=${sync.cursor}`, { key: tenant.apiKey })
  expect(syncOf(answer).data).toMatchObject([{ data: { content: 'after' } }])
})
