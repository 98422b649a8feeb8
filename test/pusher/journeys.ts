/** What users of a Pusher server do, with the official clients; run for each way in which the server can run. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type PusherNodes, type Setting, startPusherNodes } from '../support/pusher-nodes.ts'
import { type Heard, openBrowser } from './clients.ts'

/** Runs the journeys. Where there are two nodes, browsers and servers are at different ones. */
export const pusherJourneys = (name: string, setting: Setting): void => {
  describe(name, () => {
    let nodes: PusherNodes

    beforeAll(async () => {
      nodes = await startPusherNodes(setting)
    }, 120_000)
    afterAll(() => nodes?.stop())

    const browser = (node: number, visitor?: Parameters<typeof openBrowser>[2]) => openBrowser(nodes, node, visitor)

    test('an order that a server triggers is heard on every browser that may, once, and by nobody else', async () => {
      const [one, two] = [await browser(0), await browser(1)]
      const [mine, theirs] = [await one.join('orders'), await two.join('private-orders')]
      await nodes.serverAt(0).trigger(['orders', 'private-orders'], 'placed', { id: 1 })
      // Two nodes are not in any order to each other.
      await expect.poll(() => [mine, theirs].flatMap(({ heard }) => events(heard))).toEqual(['placed', 'placed'])
      await nodes.serverAt(1).triggerBatch([
        { channel: 'orders', name: 'paid', data: { id: 2 } },
        { channel: 'private-orders', name: 'shipped', data: 'a text' },
      ])
      await expect.poll(() => events(mine.heard)).toEqual(['placed', 'paid'])
      await expect
        .poll(() => theirs.heard)
        .toEqual([
          { event: 'placed', data: { id: 1 } },
          { event: 'shipped', data: 'a text' },
        ])
    })

    test('the tab that caused an event is spared, on whatever node it is', async () => {
      const [cause, other] = [await browser(0), await browser(1)]
      const [spared, told] = [await cause.join('carts'), await other.join('carts')]
      for (const node of [0, 1]) {
        await nodes
          .serverAt(node)
          .trigger('carts', 'changed', { node }, { socket_id: cause.pusher.connection.socket_id })
      }
      await nodes.serverAt(0).trigger('carts', 'last', {})
      await expect.poll(() => events(told.heard)).toEqual(['changed', 'changed', 'last'])
      await expect.poll(() => events(spared.heard)).toEqual(['last'])
    })

    test('a room shows who is in it, by user, however many tabs on however many nodes', async () => {
      const ada = await (await browser(0, { id: 'ada', user_info: { name: 'Ada' } })).join('presence-room')
      const tab = await browser(1, { id: 'grace', user_info: { name: 'Grace' } })
      const grace = await tab.join('presence-room')
      expect(grace.channel.members).toMatchObject({
        count: 2,
        members: { ada: { name: 'Ada' }, grace: { name: 'Grace' } },
      })
      expect(grace.channel.members?.me).toEqual({ id: 'grace', info: { name: 'Grace' } })
      const second = await browser(0, { id: 'grace' })
      expect((await second.join('presence-room')).channel.members?.count).toBe(2)
      await expect
        .poll(() => ask(nodes, '/channels/presence-room/users'))
        .toEqual({
          users: expect.arrayContaining([{ id: 'ada' }, { id: 'grace' }]),
        })
      await expect
        .poll(() => ask(nodes, '/channels/presence-room', { info: 'user_count,subscription_count' }))
        .toEqual({ occupied: true, user_count: 2, subscription_count: 3 })
      tab.pusher.disconnect()
      second.pusher.disconnect()
      await expect.poll(() => ada.channel.members?.count).toBe(1)
      expect(ada.heard).toEqual([
        { event: 'pusher:member_added', data: { id: 'grace', info: { name: 'Grace' } } },
        { event: 'pusher:member_removed', data: { id: 'grace', info: { name: 'Grace' } } },
      ])
    })

    test('who types is seen by the others in the room, by name', async () => {
      const [ada, grace] = [await browser(0, { id: 'ada' }), await browser(1, { id: 'grace' })]
      const [mine, theirs] = [await ada.join('presence-desk'), await grace.join('presence-desk')]
      const seen: unknown[] = []
      theirs.channel.bind('client-typing', (...told) => seen.push(told))
      mine.channel.trigger('client-typing', { at: 1 })
      await expect.poll(() => seen).toEqual([[{ at: 1 }, { user_id: 'ada' }]])
      expect(events(mine.heard)).not.toContain('client-typing')
    })

    test('an encrypted channel carries what only its members can read', async () => {
      const { heard } = await (await browser(1)).join('private-encrypted-payments')
      await nodes.serverAt(0).trigger('private-encrypted-payments', 'paid', { amount: 7 })
      await expect.poll(() => heard).toEqual([{ event: 'paid', data: { amount: 7 } }])
    })

    test('who comes later is told what was last, and whether there was anything', async () => {
      const early = await browser(0)
      const missed = await heardFromTheStart(early, 'cache-prices', 'pusher:cache_miss')
      expect(missed).toEqual(['pusher:cache_miss'])
      await nodes.serverAt(0).trigger('cache-prices', 'price', { euro: 3 })
      const late = await browser(1)
      expect(await heardFromTheStart(late, 'cache-prices', 'price')).toEqual(['price'])
      const info = z.object({ occupied: z.boolean(), cache: z.object({ data: z.string(), ttl: z.number() }) })
      expect(info.parse(await ask(nodes, '/channels/cache-prices', { info: 'cache' })).cache.data).toBe('{"euro":3}')
    })

    test('a user is reached on every tab, watched by friends, and sent away', async () => {
      const friend = await browser(0, { id: 'friend', watchlist: ['ada', 'bob'] })
      const seen: unknown[] = []
      for (const event of ['online', 'offline']) {
        friend.pusher.user.watchlist.bind(event, (data) => seen.push(data))
      }
      await friend.signIn()
      await expect.poll(() => seen).toEqual([{ name: 'offline', user_ids: ['ada', 'bob'] }])

      const tabs = [await browser(0, { id: 'ada' }), await browser(1, { id: 'ada' })]
      const told: unknown[] = []
      for (const tab of tabs) {
        await tab.signIn()
        tab.pusher.user.bind('offer', (data) => told.push(data))
      }
      await expect.poll(() => seen.at(-1)).toEqual({ name: 'online', user_ids: ['ada'] })
      await nodes.serverAt(0).sendToUser('ada', 'offer', { percent: 10 })
      await expect.poll(() => told).toEqual([{ percent: 10 }, { percent: 10 }])

      await nodes.serverAt(1).terminateUserConnections('ada')
      for (const tab of tabs) await expect.poll(() => tab.pusher.connection.state).toBe('disconnected')
      await expect.poll(() => seen.at(-1)).toEqual({ name: 'offline', user_ids: ['ada'] })
      expect(seen).toHaveLength(3)
      expect(friend.pusher.connection.state).toBe('connected')
    })

    test('how many are on a channel is told to all who are', async () => {
      const { channel } = await (await browser(0)).join('crowd')
      const second = await browser(1)
      await second.join('crowd')
      await expect.poll(() => channel.subscriptionCount).toBe(2)
      second.pusher.unsubscribe('crowd')
      await expect.poll(() => channel.subscriptionCount).toBe(1)
      expect(await ask(nodes, '/channels', { filter_by_prefix: 'crow' })).toEqual({ channels: { crowd: {} } })
    })

    test('the webhooks of a visit come once, signed, and in the order of a channel', async () => {
      const since = nodes.hooks.requests.length
      const hooksOf = (channel: string) =>
        nodes.hooks.requests.slice(since).flatMap(({ headers, body }) => {
          const hook = nodes.serverAt(0).webhook({ headers, rawBody: body })
          expect(hook.isValid()).toBe(true)
          return hook.getEvents().filter((event) => event.channel === channel)
        })
      const [ada, tab] = [await browser(0, { id: 'ada' }), await browser(1, { id: 'ada' })]
      const first = await ada.join('presence-cache-hall')
      await tab.join('presence-cache-hall')
      first.channel.trigger('client-wave', { n: 1 })
      await expect
        .poll(() =>
          hooksOf('presence-cache-hall')
            .map(({ name }) => name)
            .sort(),
        )
        .toEqual(['cache_miss', 'channel_occupied', 'client_event', 'member_added'])
      tab.pusher.disconnect()
      ada.pusher.disconnect()
      await expect.poll(() => hooksOf('presence-cache-hall').length, { timeout: 8000 }).toBe(6)
      const hooks = hooksOf('presence-cache-hall')
      const channel = 'presence-cache-hall'
      expect(hooks).toEqual(
        expect.arrayContaining([
          { name: 'channel_occupied', channel },
          { name: 'member_added', channel, user_id: 'ada' },
          { name: 'cache_miss', channel },
          {
            name: 'client_event',
            channel,
            event: 'client-wave',
            data: '{"n":1}',
            socket_id: expect.stringMatching(/^\d+\.\d+$/),
            user_id: 'ada',
          },
          { name: 'member_removed', channel, user_id: 'ada' },
          { name: 'channel_vacated', channel },
        ]),
      )
    })

    test('a page that reloads is neither gone nor new to the webhooks', async () => {
      const since = nodes.hooks.requests.length
      const names = () =>
        nodes.hooks.requests
          .slice(since)
          .map(({ body }) => body)
          .filter((body) => body.includes('presence-reload'))
          .flatMap((body) => [...body.matchAll(/"name":"(\w+)"/g)].map(([, one]) => one))
      const before = await browser(0, { id: 'ada' })
      await before.join('presence-reload')
      await expect.poll(() => names().sort()).toEqual(['channel_occupied', 'member_added'])
      before.pusher.disconnect()
      await expect.poll(() => ask(nodes, '/channels/presence-reload')).toEqual({ occupied: false })
      const after = await browser(1, { id: 'ada' })
      await after.join('presence-reload')
      // Longer than a goodbye waits.
      await new Promise((resolve) => setTimeout(resolve, 4000))
      expect(names().sort()).toEqual(['channel_occupied', 'member_added'])
    })
  })
}

const events = (heard: readonly Heard[]): string[] => heard.map(({ event }) => event)

/** Asks the app's server API, with the SDK. */
const ask = async (nodes: PusherNodes, path: string, params: Record<string, string> = {}): Promise<unknown> =>
  await (await nodes.serverAt(1).get({ path, params })).json()

/** Subscribes and returns what is heard until an event has come, the confirmation apart. */
const heardFromTheStart = async (
  { pusher }: Awaited<ReturnType<typeof openBrowser>>,
  name: string,
  until: string,
): Promise<string[]> => {
  const heard: string[] = []
  const channel = pusher.subscribe(name)
  await new Promise<void>((resolve) => {
    channel.bind_global((event) => {
      if (!['pusher:subscription_succeeded', 'pusher:subscription_count'].includes(event)) heard.push(event)
      if (event === until) resolve()
    })
  })
  return heard
}
