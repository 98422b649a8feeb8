import { createHash, createHmac } from 'node:crypto'
import PusherServer from 'pusher'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Health } from '../../schema/health.ts'
import type { RawSocket } from '../support/raw-socket.ts'
import { app, grantedSubscribe, type Started, startRealtime } from './start-realtime.ts'

let server: Started
let health: Health

beforeEach(async () => {
  health = { isReady: true, database: 'up', bus: 'up' }
  server = await startRealtime({ health: async () => health, metricsToken: 'a-token-for-metrics' })
})

afterEach(() => server.stop())

const sdk = (options: { key?: string; secret?: string; appId?: string } = {}) =>
  new PusherServer({
    appId: app.id,
    key: app.key,
    secret: app.secret,
    host: '127.0.0.1',
    port: String(server.port),
    useTLS: false,
    ...options,
  })

/** Sends a signed request as curl users do; returns status, body and content type. */
const send = async (
  body: string | Uint8Array,
  { params = [], path = '/apps/3/events', method = 'POST', timestamp = Math.floor(Date.now() / 1000) } = {} as {
    params?: [string, string][]
    path?: string
    method?: string
    timestamp?: number
  },
) => {
  const bytes = Buffer.from(body)
  const signed: [string, string][] = [
    ['auth_key', app.key],
    ['auth_timestamp', String(timestamp)],
    ['auth_version', '1.0'],
    ...params,
  ]
  if (bytes.length > 0) signed.push(['body_md5', createHash('md5').update(bytes).digest('hex')])
  signed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  const text = `${method}\n${path}\n${signed.map((pair) => pair.join('=')).join('&')}`
  const signature = createHmac('sha256', app.secret).update(text).digest('hex')
  const query = [...signed, ['auth_signature', signature]]
    .map((pair) => pair.map(encodeURIComponent).join('='))
    .join('&')
  const response = await fetch(server.url(`${path}?${query}`), { method, ...(bytes.length > 0 && { body: bytes }) })
  return { status: response.status, body: await response.text(), type: response.headers.get('content-type') }
}

const plain = (status: number, body: unknown) => ({ status, body, type: 'text/plain; charset=utf-8' })
const good = { status: 200, body: '{}', type: 'application/json' }

const listener = async (...channels: string[]): Promise<{ socket: RawSocket; id: string }> => {
  const connected = await server.connect()
  for (const channel of channels) {
    connected.socket.send({ event: 'pusher:subscribe', data: { channel } })
    await connected.socket.waitFor('pusher_internal:subscription_succeeded', channel)
  }
  return connected
}

describe('publishing with the official SDK', () => {
  test('is answered with exactly {}, and heard by every subscriber of the channel', async () => {
    const first = await listener('orders')
    const second = await listener('orders')
    const response = await sdk().trigger('orders', 'order.new', { id: 1, text: 'ü "quoted"\n' })
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('{}')
    const frame = { event: 'order.new', channel: 'orders', data: '{"id":1,"text":"ü \\"quoted\\"\\n"}' }
    expect(await first.socket.next()).toEqual(frame)
    expect(await second.socket.next()).toEqual(frame)
  })

  test('reaches several channels, each once, and no other', async () => {
    const { socket } = await listener('a', 'b', 'c')
    await sdk().trigger(['a', 'b', 'a'], 'e', 'text')
    expect(await socket.next()).toEqual({ event: 'e', channel: 'a', data: 'text' })
    expect(await socket.next()).toEqual({ event: 'e', channel: 'b', data: 'text' })
    expect(await socket.settle()).toEqual([])
  })

  test('spares the socket that is named, on every channel, and no other', async () => {
    const sender = await listener('a', 'b')
    const other = await listener('a', 'b')
    await sdk().trigger(['a', 'b'], 'e', 'text', { socket_id: sender.id })
    expect(await other.socket.next()).toEqual({ event: 'e', channel: 'a', data: 'text' })
    expect(await other.socket.next()).toEqual({ event: 'e', channel: 'b', data: 'text' })
    expect(await sender.socket.settle()).toEqual([])

    await sdk().trigger('a', 'e', 'text', { socket_id: '1.1' })
    expect(await sender.socket.settle()).toHaveLength(1)
  })

  test('spares a socket that is not on the channel without forgetting those who are', async () => {
    const outsider = await listener('a')
    const { socket } = await listener('b')
    await sdk().trigger('b', 'e', 'text', { socket_id: outsider.id })
    expect(await socket.next()).toEqual({ event: 'e', channel: 'b', data: 'text' })
  })

  test('may speak on a chat channel, since it is the operator', async () => {
    const { socket, id } = await server.connect()
    socket.send(grantedSubscribe(id, 'private-conv-cnv_1', { workspace: 'org_1' }))
    await socket.waitFor('pusher_internal:subscription_succeeded')
    await sdk().trigger('private-conv-cnv_1', 'custom', {})
    expect(await socket.next()).toEqual({ event: 'custom', channel: 'private-conv-cnv_1', data: '{}' })
  })

  test('is refused with another secret, another key or for another app', async () => {
    const { socket } = await listener('a')
    await expect(sdk({ secret: 'wrong' }).trigger('a', 'e', '')).rejects.toMatchObject({
      status: 401,
      body: expect.stringMatching(/^Invalid signature/),
    })
    await expect(sdk({ key: 'wrong' }).trigger('a', 'e', '')).rejects.toMatchObject({ status: 401 })
    await expect(sdk({ appId: '4' }).trigger('a', 'e', '')).rejects.toMatchObject({
      status: 404,
      body: 'There is no app 4',
    })
    expect(await socket.settle()).toEqual([])
  })
})

describe('publishing by hand', () => {
  test('data is relayed as the string it is; what is no string is written as JSON once', async () => {
    const { socket } = await listener('a')
    for (const [data, heard] of [
      ['', ''],
      ['{"a": 1}', '{"a": 1}'],
      [{ a: 1 }, '{"a":1}'],
      [0, '0'],
      [null, 'null'],
    ]) {
      expect(await send(JSON.stringify({ name: 'e', channel: 'a', data }))).toEqual(good)
      expect(await socket.next()).toEqual({ event: 'e', channel: 'a', data: heard })
    }
  })

  test('everything may be said in the query', async () => {
    const a = await listener('a')
    const b = await listener('b')
    const params: [string, string][] = [
      ['channels[]', 'b'],
      ['channels[]', 'a'],
      ['data', '{"a": "ü+&="}'],
      ['name', 'e f'],
      ['socket_id', a.id],
    ]
    expect(await send('', { params })).toEqual(good)
    expect(await b.socket.next()).toEqual({ event: 'e f', channel: 'b', data: '{"a": "ü+&="}' })
    expect(await a.socket.settle()).toEqual([])
    expect(
      await send('', {
        params: [
          ['channel', 'a'],
          ['data', 'd'],
          ['name', 'e'],
        ],
      }),
    ).toEqual(good)
    expect(await a.socket.next()).toEqual({ event: 'e', channel: 'a', data: 'd' })
  })

  test.each([
    ['not JSON', 'The body is not a JSON object'],
    ['[]', 'The body is not a JSON object'],
    ['null', 'The body is not a JSON object'],
    [Buffer.from([0xff, 0xfe]), 'The body is not a JSON object'],
    ['{"channel":"a","data":""}', 'name: must be a string'],
    ['{"name":"","channel":"a","data":""}', 'name: must not be empty'],
    [JSON.stringify({ name: 'e'.repeat(201), channel: 'a', data: '' }), 'name: must have at most 200 characters'],
    ['{"name":"e","channel":"a"}', 'data: is required'],
    ['{"name":"e","data":""}', 'channels: at least one is required'],
    ['{"name":"e","data":"","channels":[]}', 'channels: at least one is required'],
    ['{"name":"e","data":"","channels":"a"}', 'channels: must be an array of channel names'],
    ['{"name":"e","data":"","channels":["a b"]}', 'channels.0: is not a channel name'],
    ['{"name":"e","data":"","channel":7}', 'channel: must be a string'],
    ['{"name":"e","data":"","channel":"a","socket_id":"me"}', 'socket_id: must look like 123.456'],
    [
      JSON.stringify({ name: 'e', data: '', channels: Array.from({ length: 101 }, (_, n) => `c${n}`) }),
      'channels: has more than 100 channels',
    ],
  ])('%s is refused with 400 and a text that names the field', async (body, text) => {
    expect(await send(body)).toEqual(plain(400, text))
  })

  test('data of 10 kB is taken, a byte more is refused with 413', async () => {
    const event = (data: string) => JSON.stringify({ name: 'e', channel: 'a', data })
    expect(await send(event('x'.repeat(10240)))).toEqual(good)
    expect(await send(event('x'.repeat(10241)))).toEqual(plain(413, 'data: has 10241 bytes, 10240 are allowed'))
    expect(await send(event('ü'.repeat(5121)))).toEqual(plain(413, 'data: has 10242 bytes, 10240 are allowed'))
  })

  test('a body of more than 1 MiB is refused with 413', async () => {
    expect(await send('x'.repeat(1024 * 1024 + 1))).toEqual(plain(413, 'The body is larger than 1048576 bytes'))
    expect((await send('x'.repeat(4 * 1024 * 1024))).status).toBe(413)
    expect((await send('x'.repeat(1024 * 1024))).status).toBe(400)
  })

  test('a request without a signature, and one that is ten minutes old, are refused with 401', async () => {
    const unsigned = await fetch(server.url('/apps/3/events'), { method: 'POST', body: '{}' })
    expect(unsigned.status).toBe(401)
    expect(await unsigned.text()).toBe('Invalid auth_key: it is missing or not the key of this app')
    const timestamp = Math.floor(Date.now() / 1000) - 602
    expect(await send('{}', { timestamp })).toEqual(plain(401, expect.stringMatching(/^Timestamp expired/)))
  })

  test('another method is refused with 405 and the one that is allowed, another route with 404', async () => {
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS']) {
      const response = await fetch(server.url('/apps/3/events'), { method })
      expect([method, response.status, response.headers.get('allow')]).toEqual([method, 405, 'POST'])
    }
    for (const path of ['/', '/apps', '/apps/3', '/apps/3/events/', '/apps/3/eventsx', `/app/${app.key}`]) {
      expect([path, (await fetch(server.url(path))).status]).toEqual([path, 404])
    }
  })
})

describe('the probes', () => {
  const get = async (path: string, method = 'GET') => {
    const response = await fetch(server.url(path), { method })
    return { status: response.status, body: await response.text(), type: response.headers.get('content-type') }
  }

  test('the process is up', async () => {
    expect(await get('/up')).toEqual({ status: 200, body: '{"status":"up"}', type: 'application/json' })
    expect((await get('/up', 'HEAD')).status).toBe(200)
    expect((await get('/up', 'POST')).status).toBe(405)
  })

  test('it is ready when it says so, not when it says no, and tells how its parts are', async () => {
    const type = 'application/json'
    const ready = '{"status":"ready","database":"up","bus":"up"}'
    expect(await get('/ready')).toEqual({ status: 200, body: ready, type })
    health = { isReady: true, database: 'up', bus: 'down' }
    expect(await get('/ready')).toEqual({ status: 200, body: '{"status":"ready","database":"up","bus":"down"}', type })
    health = { isReady: false, bus: 'down' }
    expect(await get('/ready')).toEqual({ status: 503, body: '{"status":"not ready","bus":"down"}', type })
  })

  test('this machine reads the metrics; who asks through a proxy needs the token', async () => {
    const read = (headers: Record<string, string>) => fetch(server.url('/metrics'), { headers })
    expect(await (await read({})).text()).toMatch(/^hubbub_sockets 0$/m)
    const forwarded = { 'X-Forwarded-For': '203.0.113.9' }
    expect((await read(forwarded)).status).toBe(404)
    expect((await read({ ...forwarded, Authorization: 'Bearer another-token' })).status).toBe(404)
    expect((await read({ ...forwarded, Authorization: 'Bearer a-token-for-metrics' })).status).toBe(200)
  })
})
