/** Every code that a socket can be told, provoked on the wire. */

import { afterEach, expect, test } from 'vitest'
import { plainApp } from '../../schema/pusher-apps.ts'
import { error, signed, signin, subscribe } from './pusher-frames.ts'
import { app, type Started, startRealtime } from './start-realtime.ts'

let server: Started | undefined

afterEach(() => server?.stop())

const start = async (options: Parameters<typeof startRealtime>[0] = {}): Promise<Started> => {
  server = await startRealtime(options)
  return server
}

const usual = 'protocol=7&client=js&version=8.6.0&flash=false'
const path = `/app/${app.key}?${usual}`

/** Expects a socket to be greeted by an error and closed with the same code. */
const expectRefusal = async (code: number, at = path, options: Parameters<typeof startRealtime>[0] = {}) => {
  const socket = await (await start(options)).dial(at)
  expect(await socket.next()).toEqual(error(expect.any(String), code))
  expect((await socket.closed).code).toBe(code)
}

test('4000: an app that asks for TLS, without it', () => expectRefusal(4000, path, { settings: { forceTLS: true } }))

test('4001: an app that does not exist', () => expectRefusal(4001, `/app/nobody?${usual}`))

test('4003: an app that is disabled', () => expectRefusal(4003, path, { settings: { enabled: false } }))

test('4004: more sockets than an app may have, until one of them is closed', async () => {
  const { connect, dial } = await start({ settings: { maxConnections: 1 } })
  const first = await connect()
  const second = await dial(path)
  expect(await second.next()).toEqual(error(expect.stringMatching(/as many sockets/), 4004))
  expect((await second.closed).code).toBe(4004)
  first.socket.close()
  await first.socket.closed
  const third = await dial(path)
  expect((await third.next()).event).toBe('pusher:connection_established')
})

test.each([
  [4005, `/apps/${app.key}?${usual}`],
  [4005, `/app?${usual}`],
  [4005, `/app/${app.key}/more?${usual}`],
  [4006, `/app/${app.key}?protocol=7&client=js&version=eight`],
  [4007, `/app/${app.key}?protocol=3&client=js&version=8.6.0`],
  [4007, `/app/${app.key}?protocol=8&client=js&version=8.6.0`],
  [4007, `/app/${app.key}?protocol=seven`],
  [4008, `/app/${app.key}?client=js&version=8.6.0`],
])('%i: %s', expectRefusal)

test('4009: an origin that is not allowed, and one that is', async () => {
  const { port } = await start({ settings: { allowedOrigins: ['https://*.shop.example', 'localhost'] } })
  const { WebSocket } = await import('ws')
  const greetingFrom = (origin: string | undefined) =>
    new Promise<string>((resolve, reject) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, origin === undefined ? {} : { origin })
      socket.on('error', reject)
      socket.once('message', (message) => {
        socket.close()
        resolve(String(message))
      })
    })
  for (const origin of ['https://eu.shop.example', 'http://localhost', 'https://LOCALHOST', 'http://localhost:3000']) {
    expect(await greetingFrom(origin)).toContain('connection_established')
  }
  const refused = [
    undefined,
    'null',
    'https://shop.example',
    'http://eu.shop.example',
    'https://a.shop.example.evil.com',
  ]
  for (const origin of [
    ...refused,
    'https://eu.shop.example:8443',
    'https://evil.com/.shop.example',
    'http://localhost.evil.com',
  ]) {
    expect(await greetingFrom(origin)).toContain('4009')
  }
})

test('4009: a socket that has not shown who it is in time, and none that has', async () => {
  const { connect } = await start({ settings: { authorizationTimeout: 0.3 } })
  const [idle, listening, subscribed, user] = [await connect(), await connect(), await connect(), await connect()]
  listening.socket.send(subscribe('public'))
  subscribed.socket.send(signed(subscribed.id, 'private-room'))
  user.socket.send(signin(user.id, { id: 'ada' }))
  for (const { socket } of [idle, listening]) {
    expect(await socket.waitFor('pusher:error')).toEqual(error('Connection not authorized within timeout', 4009))
    expect((await socket.closed).code).toBe(4009)
  }
  for (const { socket } of [subscribed, user]) {
    expect((await socket.settle()).map(({ event }) => event)).not.toContain('pusher:error')
  }
})

test('4009: a signin that is not signed', async () => {
  const { connect } = await start()
  const { socket } = await connect()
  socket.send({ event: 'pusher:signin', data: { auth: `${app.key}:no`, user_data: '{"id":"ada"}' } })
  expect((await socket.closed).code).toBe(4009)
})

test('4100: more sockets of one address than it may have, until one of them is closed', async () => {
  const { connect, dial } = await start({ limits: { socketsPerIp: 2 } })
  const [first] = [await connect(), await connect()]
  const third = await dial(path)
  expect(await third.next()).toEqual(error(expect.stringMatching(/2 sockets at most/), 4100))
  expect((await third.closed).code).toBe(4100)
  first?.socket.close()
  await first?.socket.closed
  expect((await (await dial(path)).next()).event).toBe('pusher:connection_established')
})

test('4100: more sockets of one IPv6 network, which a subscriber has whole', async () => {
  const { dial } = await start({ limits: { socketsPerIp: 2 }, access: { trustProxy: 'loopback' } })
  const from = (address: string) => dial(path, { 'X-Forwarded-For': address })
  for (const address of ['2001:db8:1:2::1', '2001:db8:1:2:aaaa::2', '2001:db8:1:3::1']) {
    expect((await (await from(address)).next()).event).toBe('pusher:connection_established')
  }
  expect(await (await from('2001:db8:1:2::3')).next()).toEqual(error(expect.any(String), 4100))
})

test('4200: a server that ends', async () => {
  const { connect, realtime } = await start()
  const { socket } = await connect()
  await realtime.close()
  expect((await socket.closed).code).toBe(4200)
})

const impatient = { silence: 200, answer: 200, idle: 500, look: 50 }

test('4201: a socket that does not answer a ping, and none that does', async () => {
  const { connect } = await start({ limits: { patience: impatient } })
  const [dead, alive] = [await connect(), await connect()]
  expect(await dead.socket.next()).toEqual({ event: 'pusher:ping', data: {} })
  for (let pings = 0; pings < 3; pings += 1) {
    await alive.socket.waitFor('pusher:ping')
    alive.socket.send({ event: 'pusher:pong', data: {} })
  }
  expect(await dead.socket.waitFor('pusher:error')).toEqual(error('Pong reply not received', 4201))
  expect((await dead.socket.closed).code).toBe(4201)
})

test('4202: a socket of a protocol without pings, after a day without a word', async () => {
  const { dial } = await start({ limits: { patience: impatient } })
  const socket = await dial(`/app/${app.key}?protocol=4`)
  expect((await socket.next()).event).toBe('pusher:connection_established')
  expect(await socket.next()).toEqual(error('Closed after inactivity', 4202))
  expect((await socket.closed).code).toBe(4202)
})

test('4301 and 4302 are said, and the socket stays open', async () => {
  const { connect } = await start({ settings: { maxClientEventsPerSecond: 0 } })
  const { socket, id } = await connect()
  socket.send(signed(id, 'private-room'))
  await socket.next()
  socket.send({ event: 'client-x', channel: 'private-room', data: {} })
  expect(await socket.next()).toEqual(error(expect.any(String), 4301))
  socket.send(signin(id, { id: 'ada', watchlist: Array.from({ length: 101 }, (_, n) => `${n}`) }))
  expect(await socket.waitFor('pusher:error')).toEqual(error(expect.any(String), 4302))
  await socket.settle()
})

test('an app refuses for itself alone', async () => {
  const other = plainApp({ id: '4', key: 'other', secret: 'other-secret' })
  const { connect, dial } = await start({ settings: { enabled: false }, apps: [other] })
  expect((await connect('other')).id).not.toBe('')
  expect(await (await dial(path)).next()).toEqual(error(expect.any(String), 4003))
})
