import PusherServer from 'pusher'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { signChannel } from '../../auth/channel-signature.ts'
import { writeChannelData } from '../../schema/channel-auth.ts'
import { type ChannelAuthorizer, connectPusher, type PusherChannel, type PusherClient } from '../support/pusher-js.ts'
import { app, freePort, type Started, startRealtime } from './start-realtime.ts'

let server: Started
let client: PusherClient

beforeEach(async () => {
  server = await startRealtime()
  const customHandler: ChannelAuthorizer = ({ socketId, channelName }, done) => {
    if (channelName === 'private-forbidden') return done(null, { auth: `${app.key}:wrong` })
    const channel_data = writeChannelData({ workspace: 'org_1', iat: Math.floor(Date.now() / 1000) })
    done(null, { auth: signChannel(app, socketId, channelName, channel_data), channel_data })
  }
  client = connectPusher(app.key, server.port, { customHandler })
})

afterEach(async () => {
  client.disconnect()
  await server.stop()
})

const heard = (channel: PusherChannel, event: string): Promise<unknown> =>
  new Promise((resolve) => {
    channel.bind(event, resolve)
  })

const connection = (state: string): Promise<unknown> =>
  new Promise((resolve) => {
    client.connection.bind(state, resolve)
  })

const sdk = () =>
  new PusherServer({
    appId: app.id,
    key: app.key,
    secret: app.secret,
    host: '127.0.0.1',
    port: String(server.port),
    useTLS: false,
  })

test('pusher-js hears what the official SDK publishes, on a public and on a private channel', async () => {
  for (const name of ['orders', 'private-orders']) {
    const channel = client.subscribe(name)
    await heard(channel, 'pusher:subscription_succeeded')
    const event = heard(channel, 'order.new')
    await sdk().trigger(name, 'order.new', { id: 1 })
    expect(await event).toEqual({ id: 1 })
  }
})

test('the tab that caused an event is spared by its socket id', async () => {
  const channel = client.subscribe('orders')
  await heard(channel, 'pusher:subscription_succeeded')
  const events: unknown[] = []
  channel.bind('e', (data) => events.push(data))
  await sdk().trigger('orders', 'e', 'own', { socket_id: client.connection.socket_id })
  const foreign = heard(channel, 'e')
  await sdk().trigger('orders', 'e', 'foreign')
  await foreign
  expect(events).toEqual(['foreign'])
})

test('pusher-js hears the events of a workspace, in order', async () => {
  const channel = client.subscribe('private-org-org_1')
  await heard(channel, 'pusher:subscription_succeeded')
  const seqs: unknown[] = []
  const third = new Promise<void>((resolve) => {
    channel.bind('message.new', (data) => {
      if (typeof data === 'object' && data && 'seq' in data) seqs.push(data.seq)
      if (seqs.length === 3) resolve()
    })
  })
  for (let n = 0; n < 3; n++) server.record('org_1')
  await third
  expect(seqs).toEqual([1, 2, 3])
})

test('a refused subscription is told to the channel, and does not end the connection', async () => {
  const channel = client.subscribe('private-forbidden')
  expect(await heard(channel, 'pusher:subscription_error')).toEqual({
    type: 'AuthError',
    status: 401,
    error: expect.stringMatching(/^Invalid signature/),
  })
  expect(client.connection.state).toBe('connected')
})

test('a channel that was left is heard no more, and one that is left while it is asked for neither', async () => {
  const first = client.subscribe('orders')
  await heard(first, 'pusher:subscription_succeeded')
  client.unsubscribe('orders')
  client.subscribe('news')
  client.unsubscribe('news')
  // One confirmation later the server has read that the one before is not wanted.
  await heard(client.subscribe('another'), 'pusher:subscription_succeeded')
  const other = client.subscribe('other')
  await heard(other, 'pusher:subscription_succeeded')
  const events: unknown[] = []
  client.bind_global((event) => events.push(event))
  const last = heard(other, 'e')
  await sdk().trigger(['orders', 'news', 'other'], 'e', '')
  await last
  expect(events).toEqual(['e'])
})

test('pusher-js comes back by itself when the server restarts, with all its channels', async () => {
  client.disconnect()
  await server.stop()
  const port = await freePort()
  server = await startRealtime({ port })
  client = connectPusher(app.key, port)
  const channel = client.subscribe('orders')
  await heard(channel, 'pusher:subscription_succeeded')
  const back = heard(channel, 'pusher:subscription_succeeded')
  await server.stop()
  server = await startRealtime({ port })
  await back
  const event = heard(channel, 'e')
  await sdk().trigger('orders', 'e', 'again')
  expect(await event).toBe('again')
})

test('pusher-js with a key that does not exist gives up, and says why', async () => {
  client.disconnect()
  client = connectPusher('wrong', server.port)
  const failed = new Promise((resolve) => {
    client.connection.bind('error', resolve)
  })
  const gone = connection('disconnected')
  expect(await failed).toMatchObject({ error: { data: { code: 4001, message: 'There is no app with this key' } } })
  await gone
})
