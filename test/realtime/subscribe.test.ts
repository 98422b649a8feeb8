import PusherServer from 'pusher'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { signChannel } from '../../auth/channel-signature.ts'
import type { Bus } from '../../realtime/bus/bus.ts'
import { app, grantedSubscribe, operatorSubscribe, type Started, startRealtime } from './start-realtime.ts'

let server: Started

beforeEach(async () => {
  server = await startRealtime({ limits: { channelsPerSocket: 5 } })
})

afterEach(() => server.stop())

const subscribe = (channel: string, more: object = {}) => ({ event: 'pusher:subscribe', data: { channel, ...more } })
const unsubscribe = (channel: string) => ({ event: 'pusher:unsubscribe', data: { channel } })
const succeeded = (channel: string, data = '{}') => ({ event: 'pusher_internal:subscription_succeeded', channel, data })

/** On a chat channel of staff: heard from the beginning of an empty log on. */
const succeededAtZero = (channel: string) =>
  succeeded(channel, channel.startsWith('private-visitor-') ? '{}' : '{"seq":0}')

/** The two frames of a refusal. */
const refused = (channel: string, status: number, error: unknown) => [
  { event: 'pusher:subscription_error', channel, data: { type: 'AuthError', error, status } },
  { event: 'pusher:error', data: { message: error, code: null } },
]

const trigger = (channel: string, event = 'e', data: unknown = 'd') =>
  new PusherServer({
    appId: app.id,
    key: app.key,
    secret: app.secret,
    host: '127.0.0.1',
    port: String(server.port),
  }).trigger(channel, event, data)

describe('public channels', () => {
  test('anybody may subscribe, and hears it confirmed with data that is a string', async () => {
    const { socket } = await server.connect()
    socket.send(subscribe('orders', { auth: '' }))
    expect(await socket.next()).toEqual(succeeded('orders'))
  })

  test('data that a client has encoded twice is understood', async () => {
    const { socket } = await server.connect()
    socket.send({ event: 'pusher:subscribe', data: '{"channel":"orders"}' })
    expect(await socket.next()).toEqual(succeeded('orders'))
  })

  test('subscribing twice is confirmed twice, and heard once', async () => {
    const { socket } = await server.connect()
    socket.send(subscribe('orders'))
    socket.send(subscribe('orders'))
    await socket.waitFor('pusher_internal:subscription_succeeded')
    expect(await socket.waitFor('pusher_internal:subscription_succeeded')).toEqual(succeeded('orders'))
    socket.send(subscribe('orders'))
    expect(await socket.waitFor('pusher_internal:subscription_succeeded')).toEqual(succeeded('orders'))
    await trigger('orders')
    expect(await socket.next()).toEqual({ event: 'e', channel: 'orders', data: 'd' })
    expect(await socket.settle()).toEqual([])

    socket.send(unsubscribe('orders'))
    await socket.settle()
    await trigger('orders')
    expect(await socket.settle()).toEqual([])
  })

  test('who has unsubscribed hears nothing, and may subscribe again', async () => {
    const { socket } = await server.connect()
    socket.send(unsubscribe('never'))
    socket.send(subscribe('orders'))
    expect(await socket.next()).toEqual(succeeded('orders'))
    socket.send(unsubscribe('orders'))
    await socket.settle()
    await trigger('orders')
    expect(await socket.settle()).toEqual([])
    socket.send(subscribe('orders'))
    expect(await socket.next()).toEqual(succeeded('orders'))
  })

  test.each([
    ['', /^A channel name has 1 to 164 characters/],
    ['with space', /^A channel name has 1 to 164 characters/],
    ['a'.repeat(165), /^A channel name has 1 to 164 characters/],
    ['a/b', /^A channel name has 1 to 164 characters/],
    ['#server', /^Names with # are for/],
    ['private-#server-to-user-1', /^A channel name has/],
  ])('%j is refused with 400, and the socket stays open', async (channel, error) => {
    const { socket, id } = await server.connect()
    socket.send(operatorSubscribe(id, channel))
    expect(await socket.settle()).toEqual(refused(channel, 400, expect.stringMatching(error)))
  })

  test('a name may be as long as 164 characters', async () => {
    const { socket } = await server.connect()
    const channel = 'A_-=@,.;9'.padEnd(164, 'z')
    socket.send(subscribe(channel))
    expect(await socket.next()).toEqual(succeeded(channel))
  })

  test('a socket may have so many channels and not one more, until it leaves one', async () => {
    const { socket } = await server.connect()
    for (const channel of ['a', 'b', 'c', 'd', 'e', 'f']) socket.send(subscribe(channel))
    const frames = [...(await socket.settle()), ...(await socket.settle())]
    expect(frames.filter(({ event }) => event === 'pusher_internal:subscription_succeeded')).toEqual(
      ['a', 'b', 'c', 'd', 'e'].map((channel) => succeeded(channel)),
    )
    expect(frames.filter(({ event }) => event !== 'pusher_internal:subscription_succeeded')).toEqual(
      refused('f', 413, 'A socket may be subscribed to 5 channels at most'),
    )
    socket.send(subscribe('a'))
    expect(await socket.next()).toEqual(succeeded('a'))
    socket.send(unsubscribe('b'))
    socket.send(subscribe('f'))
    expect(await socket.next()).toEqual(succeeded('f'))
  })
})

describe('private channels', () => {
  test('whoever has a signature may subscribe, with channel data or without', async () => {
    const { socket, id } = await server.connect()
    for (const channel of ['private-a', 'private-encrypted-b', 'private-org-notanid']) {
      socket.send(operatorSubscribe(id, channel))
      expect(await socket.next()).toEqual(succeeded(channel))
    }
    const channel_data = '{"user_id":"7"}'
    socket.send(subscribe('private-c', { auth: signChannel(app, id, 'private-c', channel_data), channel_data }))
    expect(await socket.next()).toEqual(succeeded('private-c'))
    socket.send(subscribe('private-d', { auth: signChannel(app, id, 'private-d'), channel_data: null }))
    expect(await socket.next()).toEqual(succeeded('private-d'))
  })

  test('a missing, a wrong and a foreign signature are refused with 401', async () => {
    const { socket, id } = await server.connect()
    const unsigned = 'Subscribing to private-a needs a signature (auth)'
    socket.send(subscribe('private-a'))
    expect(await socket.settle()).toEqual(refused('private-a', 401, unsigned))
    socket.send(subscribe('private-a', { auth: '' }))
    expect(await socket.settle()).toEqual(refused('private-a', 401, unsigned))

    const wrong = `Invalid signature: Expected HMAC SHA256 hex digest of ${id}:private-a`
    for (const auth of [`${app.key}:abc`, signChannel(app, '1.2', 'private-a'), signChannel(app, id, 'private-b')]) {
      socket.send(subscribe('private-a', { auth }))
      expect(await socket.settle()).toEqual(refused('private-a', 401, wrong))
    }
    socket.send(subscribe('private-a', { auth: signChannel({ ...app, key: 'other' }, id, 'private-a') }))
    expect(await socket.settle()).toEqual(refused('private-a', 401, 'Invalid key in subscription auth data'))
    await trigger('private-a')
    expect(await socket.settle()).toEqual([])
  })
})

describe('chat channels', () => {
  const now = () => Math.floor(Date.now() / 1000)

  test('a grant of the workspace opens its channel and those of its conversations', async () => {
    const { socket, id } = await server.connect()
    for (const channel of ['private-org-org_1', 'private-conv-cnv_1', 'private-visitor-cnv_1']) {
      socket.send(grantedSubscribe(id, channel, { workspace: 'org_1', exp: now() + 60 }))
      expect(await socket.next()).toEqual(succeededAtZero(channel))
    }
  })

  test('a grant of another workspace does not open the channel of a workspace', async () => {
    const { socket, id } = await server.connect()
    socket.send(grantedSubscribe(id, 'private-org-org_1', { workspace: 'org_2' }))
    expect(await socket.settle()).toEqual(refused('private-org-org_1', 403, 'org_1 is not of this workspace'))
  })

  test('a grant that is too old, from the future, expired or broken is refused with 401', async () => {
    const { socket, id } = await server.connect()
    const channel = 'private-org-org_1'
    const stale = 'The grant in channel_data is not of the last 60 seconds'
    for (const [grant, error] of [
      [{ workspace: 'org_1', iat: now() - 62 }, stale],
      [{ workspace: 'org_1', iat: now() + 62 }, stale],
      [{ workspace: 'org_1', exp: now() - 1 }, 'API key expired'],
    ] as const) {
      socket.send(grantedSubscribe(id, channel, grant))
      expect(await socket.settle()).toEqual(refused(channel, 401, error))
    }
    for (const channel_data of ['{"hubbub":{"workspace":"org_1"}}', '{"hubbub":null}', 'not JSON']) {
      socket.send(subscribe(channel, { auth: signChannel(app, id, channel, channel_data), channel_data }))
      expect(await socket.settle()).toEqual(refused(channel, 401, 'The grant in channel_data is broken'))
    }
  })

  test('a grant that nobody signed is refused with 401', async () => {
    const { socket, id } = await server.connect()
    const frame = grantedSubscribe(id, 'private-org-org_1', { workspace: 'org_1' })
    const { auth } = operatorSubscribe(id, 'private-org-org_1').data
    socket.send({ ...frame, data: { ...frame.data, auth } })
    const error = `Invalid signature: Expected HMAC SHA256 hex digest of ${id}:private-org-org_1:<channel_data>`
    expect(await socket.settle()).toEqual(refused('private-org-org_1', 401, error))
  })

  test('the operator may hear every conversation that there is, and none that there is not', async () => {
    server.log.conversations.set('cnv_1', 'org_1')
    const { socket, id } = await server.connect()
    for (const channel of ['private-org-org_1', 'private-conv-cnv_1', 'private-visitor-cnv_1']) {
      socket.send(operatorSubscribe(id, channel))
      expect(await socket.next()).toEqual(succeededAtZero(channel))
    }
    socket.send(operatorSubscribe(id, 'private-conv-cnv_2'))
    const [first, second] = refused('private-conv-cnv_2', 403, 'There is no cnv_2')
    expect(await socket.next()).toEqual(first)
    expect(await socket.next()).toEqual(second)
  })

  test('a look-up that fails is refused as not available now, and may be tried again', async () => {
    server.log.conversations.set('cnv_1', 'org_1')
    server.log.failures = 1
    const { socket, id } = await server.connect()
    socket.send(operatorSubscribe(id, 'private-conv-cnv_1'))
    const [first, second] = refused('private-conv-cnv_1', 503, 'Not available now, try again')
    expect(await socket.next()).toEqual(first)
    expect(await socket.next()).toEqual(second)
    socket.send(operatorSubscribe(id, 'private-conv-cnv_1'))
    expect(await socket.next()).toEqual(succeededAtZero('private-conv-cnv_1'))
  })
})

test('an event of the operator on a chat channel and one of the stream are both heard by its listeners', async () => {
  const { socket, id } = await server.connect()
  socket.send(grantedSubscribe(id, 'private-org-org_1', { workspace: 'org_1' }))
  await socket.waitFor('pusher_internal:subscription_succeeded')
  await trigger('private-org-org_1', 'operator')
  server.record('org_1')
  expect([(await socket.next()).event, (await socket.next()).event]).toEqual(['operator', 'message.new'])
})

test('a grant of another workspace does not open a conversation that is heard here as one of its own', async () => {
  const mine = await server.connect()
  mine.socket.send(grantedSubscribe(mine.id, 'private-conv-cnv_1', { workspace: 'org_1' }))
  await mine.socket.waitFor('pusher_internal:subscription_succeeded')
  const { socket, id } = await server.connect()
  socket.send(grantedSubscribe(id, 'private-conv-cnv_1', { workspace: 'org_2' }))
  expect(await socket.settle()).toEqual(
    refused('private-conv-cnv_1', 403, 'private-conv-cnv_1 is not of this workspace'),
  )
})

describe('a subject that is slow to confirm', () => {
  let confirm: () => void
  const slow = (bus: Bus): Bus => ({
    ...bus,
    subscribe: async (subject) => {
      await new Promise<void>((resolve) => {
        confirm = resolve
      })
      await bus.subscribe(subject)
    },
  })

  beforeEach(async () => {
    await server.stop()
    server = await startRealtime({ wrapBus: slow })
  })

  test('keeps a subscriber waiting, who may leave meanwhile', async () => {
    const { socket } = await server.connect()
    socket.send(subscribe('orders'))
    expect(await socket.settle()).toEqual([])
    socket.send(unsubscribe('orders'))
    await socket.settle()
    confirm()
    await trigger('orders')
    expect(await socket.settle()).toEqual([])
  })

  test('confirms once it is confirmed', async () => {
    const { socket } = await server.connect()
    socket.send(subscribe('orders'))
    expect(await socket.settle()).toEqual([])
    confirm()
    expect(await socket.next()).toEqual(succeeded('orders'))
    await trigger('orders')
    expect(await socket.next()).toEqual({ event: 'e', channel: 'orders', data: 'd' })
  })

  test('keeps nobody waiting for more than half a second', async () => {
    const { socket } = await server.connect()
    const asked = performance.now()
    socket.send(subscribe('orders'))
    expect(await socket.next()).toEqual(succeeded('orders'))
    expect(performance.now() - asked).toBeGreaterThan(450)
    expect(server.logger.lines.map(({ message }) => message)).toEqual([
      'a subscription went on before its subject was confirmed',
    ])
  })

  test('does not mind that a socket closes while it waits', async () => {
    const { socket } = await server.connect()
    socket.send(subscribe('orders'))
    await socket.settle()
    socket.close()
    await socket.closed
    confirm()
    const { socket: other } = await server.connect()
    expect(await other.settle()).toEqual([])
    expect(server.logger.lines.filter(({ level }) => level === 'error')).toEqual([])
  })
})
