import { afterEach, describe, expect, test } from 'vitest'
import type { Health } from '../../schema/health.ts'
import { plainApp } from '../../schema/pusher-apps.ts'
import { app, type StartedHttpApi, signedQuery, startHttpApi, words } from './start-http-api.ts'

let side: StartedHttpApi

afterEach(() => side.stop())

const events = '/apps/3/events'
const event = { name: 'e', channel: 'a', data: '' }
const good = { status: 200, body: '{}', type: 'application/json' }

describe('a path', () => {
  test('has its methods: another is refused with 405 and told which are allowed', async () => {
    side = await startHttpApi()
    for (const [path, allow] of [
      ['/apps/3/events', 'POST'],
      ['/apps/3/batch_events', 'POST'],
      ['/apps/3/channels/a/events', 'POST'],
      ['/apps/3/users/7/terminate_connections', 'POST'],
      ['/apps/3/channels', 'GET, HEAD'],
      ['/apps/3/channels/a', 'GET, HEAD'],
      ['/apps/3/channels/a/users', 'GET, HEAD'],
      ['/apps/3/channels/a/stats', 'GET, HEAD'],
      ['/up', 'GET, HEAD'],
    ]) {
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
        if (allow?.includes(method)) continue
        const response = await fetch(side.url(`${path}`), { method })
        const answer = [path, method, response.status, response.headers.get('allow'), await response.text()]
        expect(answer).toEqual([path, method, 405, allow, method === 'HEAD' ? '' : `Method not allowed: use ${allow}`])
      }
    }
  })

  test('that asks for something may be asked with HEAD', async () => {
    side = await startHttpApi()
    for (const path of ['/apps/3/channels', '/apps/3/channels/a']) {
      expect(await side.send(path, { method: 'HEAD' })).toEqual({ ...good, body: '' })
    }
    expect((await side.send('/apps/3/channels/a/users', { method: 'HEAD' })).status).toBe(400)
  })

  test('that is not one of the API is refused with 404', async () => {
    side = await startHttpApi()
    for (const path of [
      '/',
      '/apps',
      '/apps/3',
      '/apps/3/',
      '/apps/3/events/',
      '/apps/3/eventsx',
      '/x/apps/3/events',
      '/apps/3/channels/',
      '/apps/3/channels/a/',
      '/apps/3/channels/a/constructor',
      '/apps/3/constructor',
      '/apps/3/users/7',
      '/apps//events',
      '/constructor',
      `/app/${app.key}`,
    ]) {
      for (const method of ['GET', 'POST']) {
        const response = await fetch(side.url(path), { method })
        expect([path, response.status]).toEqual([path, 404])
        expect(await response.text()).toBe(`There is no ${path} here: servers ask below /apps/APP_ID/`)
      }
    }
  })
})

describe('an app', () => {
  const other = plainApp({ id: 'shop', key: 'other-key', secret: 'other-secret' })

  test('is served with its own key and secret alone', async () => {
    side = await startHttpApi({ apps: [app, other] })
    await side.sdk().trigger('a', 'e', 'for app 3')
    await side.sdk({ appId: 'shop', key: 'other-key', secret: 'other-secret' }).trigger('a', 'e', 'for the shop')
    expect(side.published).toEqual([['a', 'e', 'for app 3']])
    expect(side.double('shop').published).toEqual([['a', 'e', 'for the shop']])

    await expect(side.sdk({ secret: 'other-secret' }).trigger('a', 'e', '')).rejects.toMatchObject({
      status: 401,
      body: expect.stringMatching(/^Invalid signature: you should have sent HmacSHA256Hex\("POST/),
    })
    for (const options of [{ key: 'other-key', secret: 'other-secret' }, { key: 'unknown' }]) {
      await expect(side.sdk(options).get({ path: '/channels' })).rejects.toMatchObject({
        status: 401,
        body: 'Invalid auth_key: it is missing or not the key of this app',
      })
    }
    await expect(side.sdk({ appId: '4' }).trigger('a', 'e', '')).rejects.toMatchObject({
      status: 404,
      body: 'There is no app 4 here: compare it with the id of your app',
    })
    expect(side.published).toHaveLength(1)
    expect(side.double('shop').published).toHaveLength(1)
    expect(side.refusals).toEqual(['401', '401', '401'])
    expect(side.double('shop').refusals).toEqual([])
  })

  test('is told apart from the others in what it is answered', async () => {
    side = await startHttpApi({ apps: [app, other] })
    side.roster.occupy('shop', 'presence-a', 1)
    expect((await side.send('/apps/3/channels')).body).toBe('{"channels":{}}')
    expect((await side.send('/apps/shop/channels', { as: other })).body).toBe('{"channels":{"presence-a":{}}}')
  })

  test('that is disabled is refused with 403, whoever holds its secret; others with 401', async () => {
    side = await startHttpApi({ apps: [{ ...app, enabled: false }] })
    const disabled = words(403, 'App 3 is disabled: enable it where it is configured')
    expect(await side.post(events, event)).toEqual(disabled)
    expect(await side.send('/apps/3/channels')).toEqual(disabled)
    expect((await side.post(events, event, { as: { key: app.key, secret: 'wrong' } })).status).toBe(401)
    expect(side.published).toEqual([])
    expect(side.refusals).toEqual(['403', '403', '401'])
  })

  test('is asked for before what the request says: what is wrong in several ways is refused for the first', async () => {
    side = await startHttpApi({ apps: [{ ...app, maxBackendEventsPerSecond: 0 }] })
    expect((await fetch(side.url('/apps/4/events'), { method: 'GET' })).status).toBe(405)
    expect((await fetch(side.url('/apps/4/events'), { method: 'POST' })).status).toBe(404)
    expect((await fetch(side.url(events), { method: 'POST', body: 'x' })).status).toBe(401)
    expect((await side.post(events, 'x')).status).toBe(429)
  })
})

describe('a signature', () => {
  test('is asked of every request of the API, and is ten minutes good', async () => {
    side = await startHttpApi()
    for (const [method, path] of [
      ['POST', '/apps/3/events'],
      ['POST', '/apps/3/batch_events'],
      ['POST', '/apps/3/channels/a/events'],
      ['POST', '/apps/3/users/7/terminate_connections'],
      ['GET', '/apps/3/channels'],
      ['GET', '/apps/3/channels/a'],
      ['GET', '/apps/3/channels/presence-a/users'],
      ['GET', '/apps/3/channels/a/stats'],
    ] as const) {
      const response = await fetch(side.url(path), { method })
      expect([path, response.status, await response.text()]).toEqual([
        path,
        401,
        'Invalid auth_key: it is missing or not the key of this app',
      ])
    }
    const timestamp = Math.floor(Date.now() / 1000) - 602
    expect(await side.post(events, event, { timestamp })).toEqual(
      words(401, expect.stringMatching(/^Timestamp expired/)),
    )
    expect(side.published).toEqual([])
    expect(side.terminated).toEqual([])
  })

  test('made by the official SDK for a path of its own is good there, and nowhere else', async () => {
    side = await startHttpApi()
    const body = JSON.stringify(event)
    const query = side.sdk().createSignedQueryString({ method: 'POST', path: events, body })
    const post = (path: string, text = body) =>
      fetch(side.url(`${path}?${query}`), { method: 'POST', body: text }).then(({ status }) => status)
    expect(await post(events)).toBe(200)
    expect(await post('/apps/3/batch_events')).toBe(401)
    expect(await post(events, `${body} `)).toBe(401)
  })

  test('may be made over the path before it was escaped, as the official SDK does', async () => {
    side = await startHttpApi()
    const escaped = {
      path: '/apps/3/users/a%20b/terminate_connections',
      plain: '/apps/3/users/a b/terminate_connections',
    }
    for (const signedPath of [escaped.path, escaped.plain]) {
      expect(await side.send(escaped.path, { method: 'POST', signedPath })).toEqual(good)
    }
    expect(
      (await side.send(escaped.path, { method: 'POST', signedPath: escaped.plain.replace('a b', 'b') })).status,
    ).toBe(401)
    expect(side.terminated).toEqual(['a b', 'a b'])
  })

  test('needs no Content-Type', async () => {
    side = await startHttpApi()
    const body = JSON.stringify(event)
    for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'image/png']) {
      const query = signedQuery(events, { method: 'POST', body })
      const headers = { 'Content-Type': type }
      expect((await fetch(side.url(`${events}?${query}`), { method: 'POST', body, headers })).status).toBe(200)
    }
  })
})

describe('a path prefix', () => {
  test('may be in front of the path that arrives and of the path that was signed, or of one of them', async () => {
    side = await startHttpApi({ pathPrefix: '/ws' })
    for (const path of [events, `/ws${events}`]) {
      for (const signedPath of [events, `/ws${events}`]) {
        expect([path, signedPath, await side.post(path, event, { signedPath })]).toEqual([path, signedPath, good])
      }
      for (const signedPath of [`/other${events}`, `/ws/ws${events}`]) {
        expect([signedPath, (await side.post(path, event, { signedPath })).status]).toEqual([signedPath, 401])
      }
    }
    expect(side.published).toHaveLength(4)
    const body = JSON.stringify(event)
    const query = side.sdk().createSignedQueryString({ method: 'POST', path: `/ws${events}`, body })
    expect((await fetch(side.url(`/ws${events}?${query}`), { method: 'POST', body })).status).toBe(200)
  })

  test('is for every path, with escapes too', async () => {
    side = await startHttpApi({ pathPrefix: '/ws' })
    expect((await fetch(side.url('/ws/up'))).status).toBe(200)
    expect((await fetch(side.url('/up'))).status).toBe(200)
    const path = '/ws/apps/3/channels/a%2Cb'
    for (const signedPath of [path, '/ws/apps/3/channels/a,b', '/apps/3/channels/a%2Cb', '/apps/3/channels/a,b']) {
      expect([signedPath, (await side.send(path, { signedPath })).body]).toEqual([signedPath, '{"occupied":false}'])
    }
    for (const path of ['/ws', '/ws/', '/wsx/up', '/ws/ws/up', `/other${events}`]) {
      expect([path, (await fetch(side.url(path))).status]).toEqual([path, 404])
    }
  })

  test('that looks like a path of the API serves both', async () => {
    side = await startHttpApi({ pathPrefix: '/apps' })
    expect(await side.post(events, event)).toEqual(good)
    expect(await side.post(`/apps${events}`, event)).toEqual(good)
  })
})

describe('the rate of an app', () => {
  test('bounds its events of a second, each of a batch counted; the next second is a new one', async () => {
    let clock = Date.now()
    side = await startHttpApi({ apps: [{ ...app, maxBackendEventsPerSecond: 3 }], now: () => clock })
    const batch = (size: number) =>
      side.post('/apps/3/batch_events', { batch: Array.from({ length: size }, () => event) })
    const timestamp = Math.floor(clock / 1000)
    expect(await side.post(events, { ...event, channel: undefined, channels: ['a', 'b', 'c', 'd'] })).toEqual(good)
    expect(await batch(2)).toEqual(good)

    const body = JSON.stringify(event)
    const query = signedQuery(events, { method: 'POST', body, timestamp })
    const refused = await fetch(side.url(`${events}?${query}`), { method: 'POST', body })
    expect([refused.status, await refused.text()]).toEqual([
      429,
      'Too many events: this app may have 3 a second; try again in a second',
    ])
    expect(
      ['retry-after', 'x-ratelimit-limit', 'x-ratelimit-remaining'].map((name) => refused.headers.get(name)),
    ).toEqual(['1', '3', '0'])
    expect((await side.send('/apps/3/channels/a/events', { method: 'POST' })).status).toBe(429)
    expect((await side.send('/apps/3/users/7/terminate_connections', { method: 'POST' })).status).toBe(429)
    expect((await side.send('/apps/3/channels')).status).toBe(200)
    expect(side.published).toHaveLength(6)
    expect(side.refusals).toEqual(['429', '429', '429'])

    clock += 1000
    expect(await side.post(events, event)).toEqual(good)
    expect(await batch(3)).toMatchObject({ status: 429 })
    expect(await batch(2)).toEqual(good)
    clock += 1000
    expect(await batch(4)).toEqual(
      words(429, 'Too many events: this app may have 3 a second; 4 at once are too many: send fewer'),
    )
    expect(side.published).toHaveLength(9)
  })

  test('bounds its questions of a second, and not those of another app', async () => {
    let clock = Date.now()
    const other = plainApp({ id: '4', key: 'other-key', secret: 'other-secret' })
    side = await startHttpApi({
      apps: [
        { ...app, maxReadRequestsPerSecond: 2 },
        { ...other, maxReadRequestsPerSecond: 2 },
      ],
      now: () => clock,
    })
    expect((await side.send('/apps/3/channels')).status).toBe(200)
    expect((await side.send('/apps/3/channels/a', { method: 'HEAD' })).status).toBe(200)
    for (const path of ['', '/a', '/presence-a/users', '/a/stats']) {
      expect(await side.send(`/apps/3/channels${path}`)).toEqual(
        words(429, 'Too many questions: this app may have 2 a second; try again in a second'),
      )
    }
    expect((await side.send('/apps/4/channels', { as: other })).status).toBe(200)
    expect(await side.post(events, event)).toEqual(good)
    expect(side.side.reads).toBe(3)
    clock += 1000
    expect((await side.send('/apps/3/channels')).status).toBe(200)
  })

  test('is without bound where none is given', async () => {
    side = await startHttpApi()
    const answers = await Promise.all(Array.from({ length: 200 }, () => side.post(events, event)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(side.metrics.published).toBe(200)
  })
})

describe('the probes', () => {
  let health: Health

  const start = async () => {
    health = { isReady: true, database: 'up', bus: 'up' }
    side = await startHttpApi({ health: async () => health, metricsToken: 'a-token-for-metrics' })
  }

  const get = async (path: string, method = 'GET') => {
    const response = await fetch(side.url(path), { method })
    return { status: response.status, body: await response.text(), type: response.headers.get('content-type') }
  }

  test('the process is up', async () => {
    await start()
    expect(await get('/up')).toEqual({ status: 200, body: '{"status":"up"}', type: 'application/json' })
    expect((await get('/up', 'HEAD')).status).toBe(200)
    expect((await get('/up', 'POST')).status).toBe(405)
  })

  test('it is ready when it says so, not when it says no, and tells how its parts are', async () => {
    await start()
    const type = 'application/json'
    const ready = '{"status":"ready","database":"up","bus":"up"}'
    expect(await get('/ready')).toEqual({ status: 200, body: ready, type })
    health = { isReady: true, database: 'up', bus: 'down' }
    expect(await get('/ready')).toEqual({ status: 200, body: '{"status":"ready","database":"up","bus":"down"}', type })
    health = { isReady: false, bus: 'down' }
    expect(await get('/ready')).toEqual({ status: 503, body: '{"status":"not ready","bus":"down"}', type })
  })

  test('this machine reads the metrics; who asks through a proxy needs the token', async () => {
    await start()
    const read = (headers: Record<string, string>) => fetch(side.url('/metrics'), { headers })
    expect(await (await read({})).text()).toMatch(/^hubbub_sockets 0$/m)
    const forwarded = { 'X-Forwarded-For': '203.0.113.9' }
    expect((await read(forwarded)).status).toBe(404)
    expect((await read({ ...forwarded, Authorization: 'Bearer another-token' })).status).toBe(404)
    expect((await read({ ...forwarded, Authorization: 'Bearer a-token-for-metrics' })).status).toBe(200)
  })
})
