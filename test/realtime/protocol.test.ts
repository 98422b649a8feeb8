import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { app, type Started, startRealtime } from './start-realtime.ts'

let server: Started

beforeEach(async () => {
  server = await startRealtime()
})

afterEach(() => server.stop())

const error = (message: string, code: number | null = null) => ({ event: 'pusher:error', data: { message, code } })

describe('opening a socket', () => {
  test('a client with the key of the app is greeted first, with a socket id and 120 seconds', async () => {
    const socket = await server.dial(`/app/${app.key}?protocol=7&client=js&version=8.6.0&flash=false&new=1`)
    const { event, channel, data } = await socket.next()
    expect({ event, channel }).toEqual({ event: 'pusher:connection_established', channel: undefined })
    expect(data).toMatch(/^\{"socket_id":"\d+\.\d+","activity_timeout":120\}$/)
    expect(await socket.settle()).toEqual([])
  })

  test('protocols 4 to 7 are served, with any sensible version or none', async () => {
    for (const query of [
      'protocol=4',
      'protocol=5&version=1.0',
      'protocol=6&version=2.0.5-SNAPSHOT',
      'protocol=7&version=10',
    ]) {
      const socket = await server.dial(`/app/${app.key}?${query}`)
      expect((await socket.next()).event).toBe('pusher:connection_established')
    }
  })

  test('two sockets have two ids', async () => {
    expect((await server.connect()).id).not.toBe((await server.connect()).id)
  })

  test.each([
    ['/somewhere', 4005, 'Path not found: connect to /app/KEY'],
    ['/app', 4005, 'Path not found: connect to /app/KEY'],
    [`/app/${app.key}/more?protocol=7`, 4005, 'Path not found: connect to /app/KEY'],
    ['/app/another?protocol=7', 4001, 'There is no app with this key'],
    [`/app/${app.key}`, 4008, 'No protocol version supplied'],
    [`/app/${app.key}?protocol=3`, 4007, 'Unsupported protocol version: 4 to 7 are served'],
    [`/app/${app.key}?protocol=8`, 4007, 'Unsupported protocol version: 4 to 7 are served'],
    [`/app/${app.key}?protocol=7.5`, 4007, 'Unsupported protocol version: 4 to 7 are served'],
    [`/app/${app.key}?protocol=seven`, 4007, 'Unsupported protocol version: 4 to 7 are served'],
    [`/app/${app.key}?protocol=7&version=latest`, 4006, 'Invalid version string format'],
    [`/app/${app.key}?protocol=7&version=`, 4006, 'Invalid version string format'],
  ])('a client at %s is told %i in a frame, and closed with it', async (path, code, message) => {
    const socket = await server.dial(path)
    expect(await socket.next()).toEqual(error(message, code))
    expect(await socket.closed).toEqual({ code, reason: message })
    expect(socket.frames).toEqual([])
  })
})

describe('what a client says', () => {
  test('a ping is answered with a pong', async () => {
    const { socket } = await server.connect()
    socket.send({ event: 'pusher:ping', data: {} })
    expect(await socket.next()).toEqual({ event: 'pusher:pong', data: {} })
  })

  test('a pong is taken without a word', async () => {
    const { socket } = await server.connect()
    socket.send({ event: 'pusher:pong', data: {} })
    expect(await socket.settle()).toEqual([])
  })

  test.each([
    ['not JSON', '{"event":', /^Not a Pusher frame/],
    ['no object', '[]', /^Not a Pusher frame/],
    ['no event', '{}', /^Not a Pusher frame/],
    ['too long an event', JSON.stringify({ event: 'e'.repeat(201) }), /^Not a Pusher frame/],
    ['an unknown event', '{"event":"hello"}', /^Unknown event hello/],
    ['an internal event', '{"event":"pusher_internal:subscription_succeeded","channel":"a"}', /^Unknown event/],
    ['a subscription without a channel', '{"event":"pusher:subscribe","data":{}}', /data\.channel: /],
    ['a subscription without data', '{"event":"pusher:subscribe"}', /^Invalid pusher:subscribe: data: /],
    ['a subscription to a number', '{"event":"pusher:subscribe","data":{"channel":7}}', /data\.channel: /],
    ['an unsubscription of nothing', '{"event":"pusher:unsubscribe","data":{}}', /^Invalid pusher:unsubscribe/],
    [
      'a sign-in without a user',
      '{"event":"pusher:signin","data":{"auth":"a"}}',
      /^Invalid pusher:signin: data\.user_data/,
    ],
    ['a client event where nobody listens', '{"event":"client-x","channel":"private-a"}', /not subscribed to channel/],
  ])('%s gets a clear error, and the socket stays open', async (_, text, message) => {
    const { socket } = await server.connect()
    socket.sendRaw(text)
    const [frame, ...more] = await socket.settle()
    expect(frame).toEqual(error(expect.stringMatching(message)))
    expect(more).toEqual([])
  })

  test('a binary frame gets a clear error, and the socket stays open', async () => {
    const { socket } = await server.connect()
    socket.sendRaw(Buffer.from('{"event":"pusher:ping"}'))
    expect(await socket.settle()).toEqual([error('Binary frames are not supported: send JSON as text')])
  })

  test('a frame of more than 32 KiB ends its socket, and no other', async () => {
    const { socket } = await server.connect()
    const { socket: other } = await server.connect()
    socket.sendRaw('x'.repeat(32 * 1024 + 1))
    // uWS cuts it, ws says why.
    expect([1006, 1009]).toContain((await socket.closed).code)
    expect(await other.settle()).toEqual([])
  })
})
