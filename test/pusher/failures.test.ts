/** What two nodes over a Redis make of it when one of them dies or hangs, and when Redis loses everything. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { type PusherNodes, startPusherNodes } from '../support/pusher-nodes.ts'
import { askRedis } from '../support/redis.ts'
import { stopProcesses } from '../support/stopped.ts'
import { type Browser, openBrowser } from './clients.ts'

let nodes: PusherNodes

// Each has nodes of its own: what one breaks is not there for the next.
beforeEach(async () => {
  nodes = await startPusherNodes({ nodes: 2, transport: 'uws' })
}, 120_000)
afterEach(() => nodes?.stop())

/** How long it may take until everything is right again, in ms. */
const healed = { timeout: 15_000, interval: 200 }

const ask = async (path: string, params: Record<string, string> = {}): Promise<unknown> =>
  await (await nodes.serverAt(1).get({ path, params })).json()

const users = async (): Promise<string[]> => {
  const answer = z
    .object({ users: z.array(z.object({ id: z.string() })) })
    .parse(await ask('/channels/presence-room/users'))
  return answer.users.map(({ id }) => id).sort()
}

const channels = async (): Promise<string[]> =>
  Object.keys(z.object({ channels: z.record(z.string(), z.unknown()) }).parse(await ask('/channels')).channels).sort()

/** The webhooks of a kind so far, as `name channel user`. */
const hooks = (): string[] =>
  nodes.hooks.requests.flatMap(({ body }) =>
    z
      .object({
        events: z.array(z.looseObject({ name: z.string(), channel: z.string(), user_id: z.string().optional() })),
      })
      .parse(JSON.parse(body))
      .events.filter(({ name }) => name !== 'subscription_count')
      .map(({ name, channel, user_id }) => [name, channel, user_id].filter(Boolean).join(' ')),
  )

const watch = (browser: Browser): string[] => {
  const seen: string[] = []
  for (const event of ['online', 'offline']) {
    browser.pusher.user.watchlist.bind(event, (data) => {
      for (const user of z.object({ user_ids: z.array(z.string()) }).parse(data).user_ids) seen.push(`${event} ${user}`)
    })
  }
  return seen
}

/** Ada at the second node, who watches what becomes of the first, and Grace at that one. */
const meet = async () => {
  const ada = await openBrowser(nodes, 1, { id: 'ada', watchlist: ['grace'] })
  const seen = watch(ada)
  await ada.signIn()
  const room = await ada.join('presence-room')
  await ada.join('shared')
  const grace = await openBrowser(nodes, 0, { id: 'grace' })
  await grace.signIn()
  const theirs = await grace.join('presence-room')
  await grace.join('lonely')
  await grace.join('shared')
  await expect.poll(() => room.channel.members?.count).toBe(2)
  await expect.poll(() => seen).toEqual(['offline grace', 'online grace'])
  await expect.poll(hooks).toHaveLength(5)
  // What is said to Redis at the moment in which it loses everything may be told twice.
  await expect
    .poll(() => ask('/channels/shared', { info: 'subscription_count' }))
    .toEqual({ occupied: true, subscription_count: 2 })
  return { ada, grace, room, theirs, seen }
}

const before = [
  'channel_occupied lonely',
  'channel_occupied presence-room',
  'channel_occupied shared',
  'member_added presence-room ada',
  'member_added presence-room grace',
]

test('a node that is killed leaves no ghosts: members, counts, channels, watchlists and webhooks are right', async () => {
  const { room, seen, grace } = await meet()
  await nodes.programs[0]?.kill()
  grace.pusher.disconnect()
  await expect.poll(() => room.channel.members?.count, healed).toBe(1)
  await expect.poll(users, healed).toEqual(['ada'])
  await expect.poll(channels, healed).toEqual(['presence-room', 'shared'])
  await expect
    .poll(() => ask('/channels/shared', { info: 'subscription_count' }), healed)
    .toEqual({
      occupied: true,
      subscription_count: 1,
    })
  await expect.poll(() => seen, healed).toEqual(['offline grace', 'online grace', 'offline grace'])
  const gone = ['channel_vacated lonely', 'member_removed presence-room grace']
  await expect.poll(() => hooks().sort(), healed).toEqual([...before, ...gone].sort())
  expect(room.heard.map(({ event }) => event)).toEqual(['pusher:member_added', 'pusher:member_removed'])
})

test('a node that stops for twelve seconds and goes on is right again, and so is what was told of it', async () => {
  const { room, theirs, seen } = await meet()
  const { pid } = nodes.programs[0]?.child ?? {}
  if (pid === undefined) throw new Error('the node has no process')
  const goOn = stopProcesses(pid)
  await new Promise((resolve) => setTimeout(resolve, 12_000))
  goOn()
  await expect.poll(users, healed).toEqual(['ada', 'grace'])
  await expect.poll(() => room.channel.members?.count, healed).toBe(2)
  await expect.poll(() => theirs.channel.members?.count, healed).toBe(2)
  await expect.poll(channels, healed).toEqual(['lonely', 'presence-room', 'shared'])
  await expect.poll(() => seen.at(-1), healed).toBe('online grace')
  await expect
    .poll(() => ask('/channels/shared', { info: 'subscription_count' }), healed)
    .toEqual({
      occupied: true,
      subscription_count: 2,
    })
  // Either she was back before she was missed, or both are told, each once.
  const told = hooks().filter((hook) => !before.includes(hook) || hook.endsWith('grace') || hook.endsWith('lonely'))
  expect(told.length % 2).toBe(0)
  expect(new Set(told).size).toBeGreaterThanOrEqual(2)
  for (const [once, again] of [
    ['member_added presence-room grace', 'member_removed presence-room grace'],
    ['channel_occupied lonely', 'channel_vacated lonely'],
  ] as const) {
    const [came, went] = [told.filter((one) => one === once).length, told.filter((one) => one === again).length]
    expect(came - went).toBe(1)
    expect(went).toBeLessThanOrEqual(1)
  }
  await nodes.serverAt(1).trigger('presence-room', 'awake', {})
  await expect.poll(() => theirs.heard.at(-1)?.event).toBe('awake')
})

test('a Redis that is emptied is filled again by the nodes, and nobody is told anything', async () => {
  const { room, theirs, seen } = await meet()
  const [heardByAda, heardByGrace] = [room.heard.length, theirs.heard.length]
  await askRedis(nodes.redis?.url ?? '', 'FLUSHALL')
  await expect.poll(users, healed).toEqual(['ada', 'grace'])
  await expect.poll(channels, healed).toEqual(['lonely', 'presence-room', 'shared'])
  const late = await openBrowser(nodes, 0, { id: 'late' })
  expect((await late.join('presence-room')).channel.members?.count).toBe(3)
  await expect.poll(() => room.channel.members?.count).toBe(3)
  late.pusher.disconnect()
  await expect.poll(() => room.channel.members?.count).toBe(2)
  await expect.poll(() => hooks().length, healed).toBe(7)
  expect(hooks().sort()).toEqual(
    [...before, 'member_added presence-room late', 'member_removed presence-room late'].sort(),
  )
  expect(room.heard.slice(heardByAda).map(({ event }) => event)).toEqual([
    'pusher:member_added',
    'pusher:member_removed',
  ])
  expect(theirs.heard.length - heardByGrace).toBe(2)
  expect(seen).toHaveLength(2)
})

test('a Redis that is killed and comes back empty: who joined and left meanwhile is known then, the others stay', async () => {
  const { ada, grace, room, theirs, seen } = await meet()
  await nodes.redis?.kill()
  const visitor = await openBrowser(nodes, 0, { id: 'meanwhile' })
  const joined = await visitor.join('presence-room')
  expect(joined.channel.members?.count).toBeGreaterThanOrEqual(2)
  grace.pusher.unsubscribe('lonely')
  await nodes.redis?.start()
  await expect.poll(users, healed).toEqual(['ada', 'grace', 'meanwhile'])
  await expect.poll(() => room.channel.members?.count, healed).toBe(3)
  await expect.poll(() => theirs.channel.members?.count, healed).toBe(3)
  await expect.poll(channels, healed).toEqual(['presence-room', 'shared'])
  await expect
    .poll(async () => {
      await nodes.serverAt(0).trigger('shared', 'back', {})
      return ada.pusher.connection.state
    }, healed)
    .toBe('connected')
  await expect
    .poll(() => hooks().sort(), healed)
    .toEqual([...before, 'member_added presence-room meanwhile', 'channel_vacated lonely'].sort())
  expect(seen).toHaveLength(2)
})
