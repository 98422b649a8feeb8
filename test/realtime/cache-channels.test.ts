import { afterEach, beforeEach, expect, test } from 'vitest'
import { error, sdk, signed, subscribe, succeeded } from './pusher-frames.ts'
import { type Started, startRealtime } from './start-realtime.ts'

let server: Started

beforeEach(async () => {
  server = await startRealtime()
})

afterEach(() => server.stop())

const miss = (channel: string) => ({ event: 'pusher:cache_miss', channel })

test.each(['cache-news', 'private-cache-news', 'private-encrypted-cache-news'])(
  'a new socket of %s is told what was triggered last, first, and a socket before it hears it live',
  async (channel) => {
    const first = await server.connect()
    first.socket.send(channel.startsWith('private-') ? signed(first.id, channel) : subscribe(channel))
    expect(await first.socket.next()).toEqual(succeeded(channel))
    const missed = await first.socket.next()
    expect(missed).toEqual(miss(channel))
    expect('data' in missed).toBe(false)

    await sdk(server.port).trigger(channel, 'old', 'old')
    await sdk(server.port).trigger(channel, 'new', 'new')
    expect((await first.socket.next()).event).toBe('old')
    const live = await first.socket.next()

    const second = await server.connect()
    second.socket.send(channel.startsWith('private-') ? signed(second.id, channel) : subscribe(channel))
    expect(await second.socket.next()).toEqual(succeeded(channel))
    expect(await second.socket.next()).toEqual(live)
    expect([...(await second.socket.settle()), ...(await first.socket.settle())]).toEqual([])
  },
)

test('a presence cache channel names its members first', async () => {
  const { socket, id } = await server.connect()
  await sdk(server.port).trigger('presence-cache-room', 'e', 'kept')
  socket.send(signed(id, 'presence-cache-room', { user_id: 'ada' }))
  expect(await socket.next()).toEqual(
    succeeded('presence-cache-room', { presence: { ids: ['ada'], hash: { ada: {} }, count: 1 } }),
  )
  expect(await socket.next()).toEqual({ event: 'e', channel: 'presence-cache-room', data: 'kept' })
})

test('what was kept outlives its last socket', async () => {
  await sdk(server.port).trigger('cache-news', 'e', 'kept')
  for (let round = 0; round < 2; round += 1) {
    const { socket } = await server.connect()
    socket.send(subscribe('cache-news'))
    expect(await socket.waitFor('e')).toEqual({ event: 'e', channel: 'cache-news', data: 'kept' })
    socket.close()
    await socket.closed
  }
})

test('the socket that caused an event is spared, and would be told it when it comes anew', async () => {
  const { socket, id } = await server.connect()
  socket.send(subscribe('cache-news'))
  await socket.waitFor('pusher:cache_miss')
  await sdk(server.port).trigger('cache-news', 'e', 'mine', { socket_id: id })
  expect(await socket.settle()).toEqual([])
  const other = await server.connect()
  other.socket.send(subscribe('cache-news'))
  expect((await other.socket.waitFor('e')).data).toBe('mine')
})

test('client events are not kept', async () => {
  const [one, other] = [await server.connect(), await server.connect()]
  for (const { socket, id } of [one, other]) {
    socket.send(signed(id, 'private-cache-room'))
    await socket.waitFor('pusher:cache_miss')
  }
  one.socket.send({ event: 'client-x', channel: 'private-cache-room', data: 1 })
  await other.socket.waitFor('client-x')
  const late = await server.connect()
  late.socket.send(signed(late.id, 'private-cache-room'))
  await late.socket.waitFor('pusher:cache_miss')
})

test('cache- counts at the beginning of a name alone', async () => {
  await sdk(server.port).trigger('my-cache-news', 'e', 'not kept')
  const { socket } = await server.connect()
  socket.send(subscribe('my-cache-news'))
  expect(await socket.next()).toEqual(succeeded('my-cache-news'))
  expect(await socket.settle()).toEqual([])
  socket.send({ event: 'client-x', channel: 'my-cache-news', data: 1 })
  expect(await socket.next()).toEqual(error(expect.any(String)))
})

test('a storm of triggers is told once each to sockets that come in its middle: the last one or live', async () => {
  const triggers = (async () => {
    for (let n = 0; n < 60; n += 1) await sdk(server.port).trigger('cache-storm', 'n', `${n}`)
  })()
  const sockets = await Promise.all(
    Array.from({ length: 10 }, async (_, n) => {
      const { socket } = await server.connect()
      for (let waited = 0; waited < n; waited += 1) await socket.settle()
      socket.send(subscribe('cache-storm'))
      return socket
    }),
  )
  await triggers
  for (const socket of sockets) {
    const heard = (await socket.settle()).filter(({ event }) => event === 'n').map(({ data }) => Number(data))
    const first = heard[0] ?? 0
    expect(heard).toEqual(Array.from({ length: 60 - first }, (_, n) => first + n))
  }
})
