import PusherServer from 'pusher'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { plainApp } from '../../schema/pusher-apps.ts'
import type { RawSocket } from '../support/raw-socket.ts'
import { app, grantedSubscribe, type Started, startRealtime } from './start-realtime.ts'

const shop = plainApp({ id: '4', key: 'shop-key', secret: 'shop-secret' })

let server: Started

beforeEach(async () => {
  server = await startRealtime({ apps: [shop] })
})

afterEach(() => server.stop())

const sdk = (of: { id: string; key: string; secret: string } = app) =>
  new PusherServer({
    appId: of.id,
    key: of.key,
    secret: of.secret,
    host: '127.0.0.1',
    port: String(server.port),
    useTLS: false,
  })

/** Opens a socket that is on channels; on presence channels as a user. */
const listener = async (
  channels: string[],
  { user = 'ada', of = app }: { user?: string; of?: { id: string; key: string; secret: string } } = {},
): Promise<{ socket: RawSocket; id: string }> => {
  const connected = await server.connect(of.key)
  for (const channel of channels) {
    const isPresence = channel.startsWith('presence-')
    const granted = /^(private|presence)-/.test(channel)
      ? sdk(of).authorizeChannel(connected.id, channel, ...(isPresence ? [{ user_id: user }] : []))
      : {}
    connected.socket.send({ event: 'pusher:subscribe', data: { channel, ...granted } })
    await connected.socket.waitFor('pusher_internal:subscription_succeeded', channel)
  }
  return connected
}

/** Opens a socket that is signed in as a user. */
const signIn = async (user: string): Promise<RawSocket> => {
  const { socket, id } = await server.connect()
  socket.send({ event: 'pusher:signin', data: sdk().authenticateUser(id, { id: user }) })
  await socket.waitFor('pusher:signin_success')
  const channel = `#server-to-user-${user}`
  socket.send({ event: 'pusher:subscribe', data: { channel, auth: '' } })
  await socket.waitFor('pusher_internal:subscription_succeeded', channel)
  return socket
}

const get = async (path: string, params: Record<string, string> = {}): Promise<unknown> =>
  JSON.parse(await (await sdk().get({ path, params })).text())

describe('an event published with the official SDK', () => {
  test('is heard by every subscriber of the channel', async () => {
    const first = await listener(['orders'])
    const second = await listener(['orders'])
    const response = await sdk().trigger('orders', 'order.new', { id: 1, text: 'ü "quoted"\n' })
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('{}')
    const frame = { event: 'order.new', channel: 'orders', data: '{"id":1,"text":"ü \\"quoted\\"\\n"}' }
    expect(await first.socket.next()).toEqual(frame)
    expect(await second.socket.next()).toEqual(frame)
  })

  test('reaches several channels, each once, and no other', async () => {
    const { socket } = await listener(['a', 'private-b', 'c'])
    await sdk().trigger(['a', 'private-b', 'a'], 'e', 'text')
    expect(await socket.next()).toEqual({ event: 'e', channel: 'a', data: 'text' })
    expect(await socket.next()).toEqual({ event: 'e', channel: 'private-b', data: 'text' })
    expect(await socket.settle()).toEqual([])
  })

  test('is heard in the order of its batch', async () => {
    const { socket } = await listener(['a', 'b'])
    await sdk().triggerBatch([
      { name: 'one', channel: 'a', data: '' },
      { name: 'two', channel: 'b', data: { n: 2 } },
      { name: 'three', channel: 'a', data: '3' },
    ])
    expect(await socket.next()).toEqual({ event: 'one', channel: 'a', data: '' })
    expect(await socket.next()).toEqual({ event: 'two', channel: 'b', data: '{"n":2}' })
    expect(await socket.next()).toEqual({ event: 'three', channel: 'a', data: '3' })
  })

  test('spares the socket that is named, on every channel, and no other', async () => {
    const sender = await listener(['a', 'b'])
    const other = await listener(['a', 'b'])
    await sdk().trigger(['a', 'b'], 'e', 'text', { socket_id: sender.id })
    expect(await other.socket.next()).toEqual({ event: 'e', channel: 'a', data: 'text' })
    expect(await other.socket.next()).toEqual({ event: 'e', channel: 'b', data: 'text' })
    expect(await sender.socket.settle()).toEqual([])

    await sdk().trigger('a', 'e', 'text', { socket_id: '1.1' })
    expect(await sender.socket.settle()).toHaveLength(1)
  })

  test('spares a socket that is not on the channel without forgetting those who are', async () => {
    const outsider = await listener(['a'])
    const { socket } = await listener(['b'])
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

  test('is heard in its own app alone', async () => {
    const ours = await listener(['a'])
    const theirs = await listener(['a'], { of: shop })
    await sdk(shop).trigger('a', 'e', 'for the shop')
    expect(await theirs.socket.next()).toEqual({ event: 'e', channel: 'a', data: 'for the shop' })
    await expect(sdk({ ...shop, id: app.id }).trigger('a', 'e', '')).rejects.toMatchObject({ status: 401 })
    expect(await ours.socket.settle()).toEqual([])
  })
})

describe('a user', () => {
  test('hears what is sent to that user, on every socket; another does not', async () => {
    const [first, second, other] = [await signIn('ada@shop'), await signIn('ada@shop'), await signIn('bob')]
    await sdk().sendToUser('ada@shop', 'e', { a: 1 })
    const frame = { event: 'e', channel: '#server-to-user-ada@shop', data: '{"a":1}' }
    expect(await first.next()).toEqual(frame)
    expect(await second.next()).toEqual(frame)
    expect(await other.settle()).toEqual([])
  })

  test('is cut from every socket when the connections are terminated; another is not', async () => {
    const [first, second, other] = [await signIn('ada@shop'), await signIn('ada@shop'), await signIn('bob')]
    const response = await sdk().terminateUserConnections('ada@shop')
    expect(await response.text()).toBe('{}')
    expect((await first.closed).code).toBe(4009)
    expect((await second.closed).code).toBe(4009)
    await sdk().sendToUser('bob', 'e', '')
    expect(await other.next()).toMatchObject({ event: 'e' })
  })
})

test('the channels, their counts and their users are those of the sockets that are there', async () => {
  await signIn('ada')
  const first = await listener(['presence-a', 'orders'], { user: 'ada' })
  await listener(['presence-a'], { user: 'ada' })
  await listener(['presence-a', 'private-cache-b'], { user: 'bob' })

  expect(await get('/channels')).toEqual({ channels: { 'presence-a': {}, orders: {}, 'private-cache-b': {} } })
  expect(await get('/channels', { filter_by_prefix: 'presence-', info: 'user_count,subscription_count' })).toEqual({
    channels: { 'presence-a': { user_count: 2, subscription_count: 3 } },
  })
  expect(await get('/channels/presence-a', { info: 'user_count,subscription_count' })).toEqual({
    occupied: true,
    user_count: 2,
    subscription_count: 3,
  })
  expect(await get('/channels/presence-a/users')).toEqual({ users: [{ id: 'ada' }, { id: 'bob' }] })
  const answer = await sdk().trigger(['presence-a', 'orders'], 'e', '', { info: 'user_count,subscription_count' })
  expect(JSON.parse(await answer.text())).toEqual({
    channels: { 'presence-a': { user_count: 2, subscription_count: 3 }, orders: { subscription_count: 1 } },
  })

  first.socket.send({ event: 'pusher:unsubscribe', data: { channel: 'orders' } })
  first.socket.send({ event: 'pusher:ping', data: {} })
  await first.socket.waitFor('pusher:pong')
  expect(await get('/channels/orders', { info: 'subscription_count' })).toEqual({
    occupied: false,
    subscription_count: 0,
  })
})

test('what was triggered on a cache channel last is told to who asks, and to who comes later', async () => {
  await listener(['cache-a'])
  expect(await get('/channels/cache-a', { info: 'cache' })).toEqual({ occupied: true, cache: null })
  await sdk().trigger('cache-a', 'e', 'first')
  await sdk().trigger('cache-a', 'e', 'last')
  expect(await get('/channels/cache-a', { info: 'cache' })).toEqual({
    occupied: true,
    cache: { data: 'last', ttl: expect.any(Number) },
  })
  const { socket } = await listener(['cache-a'])
  expect(await socket.next()).toEqual({ event: 'e', channel: 'cache-a', data: 'last' })
})

test('what an app publishes, and is refused, is among the metrics', async () => {
  await sdk().trigger(['a', 'b'], 'e', '')
  await sdk()
    .trigger('a', 'e', 'x'.repeat(10241))
    .catch(() => undefined)
  const metrics = await (await fetch(server.url('/metrics'))).text()
  expect(metrics).toMatch(/^hubbub_sockets\b.* 0$/m)
  expect(metrics).toMatch(/published\w*\{[^}]*app="3"[^}]*\} 2$/m)
  expect(metrics).toMatch(/\{[^}]*app="3"[^}]*"413"[^}]*\} 1$|\{[^}]*"413"[^}]*app="3"[^}]*\} 1$/m)
})
