/** Webhooks over real HTTP: what Pusher's own library makes of them, and what comes of answers. */

import Pusher from 'pusher'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HookEvent } from '../../schema/pusher-hooks.ts'
import { createPost } from '../../server/outbound/post.ts'
import { type Received, type Receiver, startReceiver } from '../support/receiver.ts'
import { appWith, counted, credentials, occupied, startHooks } from './start-hooks.ts'

let receiver: Receiver
let out: ReturnType<typeof createPost>
let hooks: ReturnType<typeof startHooks>

beforeEach(async () => {
  receiver = await startReceiver()
  out = createPost({ allowPrivate: [{ host: '127.0.0.1', port: receiver.port }] })
})

afterEach(async () => {
  await hooks.close()
  await out.close()
  await receiver.stop()
})

const start = (webhook: object = {}, more: object = {}, limits: Parameters<typeof startHooks>[2] = {}) => {
  hooks = startHooks(appWith([{ url: `${receiver.url}/hooks`, ...webhook }], more), out.post, limits)
}

const read = ({ headers, body }: Received, { key, secret } = credentials) =>
  new Pusher({ appId: '1', key, secret, cluster: '' }).webhook({ headers, rawBody: body })

const events: HookEvent[] = [
  { name: 'channel_occupied', channel: 'news' },
  { name: 'channel_vacated', channel: 'news' },
  { name: 'cache_miss', channel: 'cache-news' },
  { name: 'member_added', channel: 'presence-room', user_id: 'grüße "🙂"' },
  { name: 'member_removed', channel: 'presence-room', user_id: 2 },
  {
    name: 'client_event',
    channel: 'private-room',
    event: 'client-typing',
    data: '{"who":"Zoë"}',
    socket_id: '1.2',
  },
  {
    name: 'client_event',
    channel: 'presence-room',
    event: 'client-typing',
    data: '\ud800 half of a pair',
    socket_id: '1.2',
    user_id: 2,
  },
  { name: 'subscription_count', channel: 'news', subscription_count: 3 },
]

describe("Pusher's library", () => {
  test.each(events)('takes $name', async (event) => {
    start()
    const before = Date.now()
    hooks.tell(event)
    const [received] = await receiver.received(1)
    if (!received) throw new Error('nothing came')
    const webhook = read(received)
    expect(webhook.isValid()).toBe(true)
    expect(webhook.getEvents()).toEqual([event])
    expect(webhook.getTime().getTime()).toBeGreaterThanOrEqual(before)
    expect(webhook.getTime().getTime()).toBeLessThanOrEqual(received.at)
    expect(received.body).toBe(JSON.stringify({ time_ms: webhook.getTime().getTime(), events: [event] }))
  })

  test('does not take it with another secret, another key or another body', async () => {
    start()
    hooks.tell(occupied('news'))
    const [received] = await receiver.received(1)
    if (!received) throw new Error('nothing came')
    expect(read(received, { ...credentials, secret: 'another' }).isValid()).toBe(false)
    expect(read(received, { ...credentials, key: 'another' }).isValid()).toBe(false)
    expect(read({ ...received, body: received.body.replace('news', 'shop') }).isValid()).toBe(false)
  })

  test('takes many in one, where the app asks for it', async () => {
    start({}, { enableWebhookBatching: true })
    for (const event of events) hooks.tell(event)
    const [received] = await receiver.received(1)
    if (!received) throw new Error('nothing came')
    const webhook = read(received)
    expect(webhook.isValid()).toBe(true)
    // Channel by channel, each in its order.
    const byChannel = (list: HookEvent[]) => list.toSorted((a, b) => (a.channel < b.channel ? -1 : 1))
    expect(byChannel(webhook.getEvents() as HookEvent[])).toEqual(byChannel(events))
    await hooks.close()
    expect(receiver.requests).toHaveLength(1)
  })
})

describe('a request', () => {
  test('is a POST with these headers, exactly', async () => {
    start()
    hooks.tell(occupied('news'))
    const [received] = await receiver.received(1)
    expect(received).toMatchObject({ method: 'POST', path: '/hooks' })
    expect(received?.headers).toEqual({
      host: `127.0.0.1:${receiver.port}`,
      connection: 'keep-alive',
      'content-length': String(received?.body.length),
      'content-type': 'application/json',
      'user-agent': 'Hubbub',
      'x-pusher-key': 'app-key',
      'x-pusher-signature': expect.stringMatching(/^[0-9a-f]{64}$/),
    })
  })

  test("carries the webhook's own headers, which do not replace those of Pusher or of the connection", async () => {
    const theirs = {
      Authorization: 'Bearer t',
      'x-pusher-KEY': 'theirs',
      'X-Pusher-Signature': 'theirs',
      'content-TYPE': 'text/plain',
      Host: 'theirs',
      'Content-Length': '1',
      'Transfer-Encoding': 'chunked',
    }
    start({ headers: theirs })
    hooks.tell(occupied('news'))
    const [received] = await receiver.received(1)
    if (!received) throw new Error('nothing came')
    expect(read(received).isValid()).toBe(true)
    expect(received.headers.authorization).toBe('Bearer t')
    expect(JSON.stringify(received.headers)).not.toMatch(/theirs|text\/plain|chunked/)
  })
})

describe('tried again', () => {
  test.each([
    ['500', 500],
    ['404', 404],
    ['302', { status: 302, headers: { Location: '/hooks' } }],
    ['half an answer', 'cut'],
  ] as const)('is what was answered %s: the same bytes, with a signature that still holds', async (_what, reply) => {
    start()
    receiver.answer(() => (receiver.requests.length === 1 ? reply : 200))
    hooks.tell(occupied('news'))
    const [first, second] = await receiver.received(2)
    if (!first || !second) throw new Error('nothing came')
    expect(second.body).toBe(first.body)
    expect(second.headers['x-pusher-signature']).toBe(first.headers['x-pusher-signature'])
    expect(read(second).isValid()).toBe(true)
    expect(second.at - first.at).toBeGreaterThan(900)
    await hooks.close()
    expect(hooks.counts).toMatchObject({ told: 1, failed: 1, stopped: 0 })
  })

  test('is what was not answered in time', async () => {
    start({}, {}, { limits: { timeout: 200 } })
    receiver.answer(() => (receiver.requests.length === 1 ? 'hang' : 200))
    hooks.tell(occupied('news'))
    await receiver.received(2)
    await hooks.close()
    expect(hooks.counts).toMatchObject({ told: 1, failed: 1 })
  })

  test('is not what was answered 2xx', async () => {
    start()
    receiver.answer(204)
    hooks.tell(occupied('news'))
    await receiver.received(1)
    await hooks.close()
    expect(hooks.counts).toEqual({ told: 1, failed: 0, expired: 0, full: 0, stopped: 0 })
    expect(hooks.lines).toEqual([])
  })
})

test('a private receiver that the operator did not allow hears nothing', async () => {
  await out.close()
  out = createPost()
  hooks = startHooks(appWith([{ url: receiver.url }]), out.post)
  hooks.tell(occupied('news'))
  await expect.poll(() => hooks.counts.failed).toBe(1)
  expect(receiver.connections()).toBe(0)
})

test('two webhooks hear each what they ask for, and one that hangs does not hold up the other', async () => {
  receiver.answer(({ path }) => (path === '/hangs' ? 'hang' : 200))
  const app = appWith([
    { url: `${receiver.url}/hangs` },
    { url: `${receiver.url}/counts`, event_types: ['subscription_count'] },
    { url: `${receiver.url}/shop`, filter: { channel_name_starts_with: 'shop' } },
  ])
  hooks = startHooks(app, out.post, { grace: 0 })
  hooks.tell(occupied('news'))
  hooks.tell(counted('news', 1))
  hooks.tell(counted('shop-1', 1))
  const requests = await receiver.received(5)
  const heard = (path: string) =>
    requests
      .filter((one) => one.path === path)
      .flatMap((one) =>
        read(one)
          .getEvents()
          .map(({ name, channel }) => `${name} ${channel}`),
      )
  expect(heard('/hangs').toSorted()).toEqual(['channel_occupied news', 'subscription_count shop-1'])
  expect(heard('/counts').toSorted()).toEqual(['subscription_count news', 'subscription_count shop-1'])
  expect(heard('/shop')).toEqual(['subscription_count shop-1'])
})
