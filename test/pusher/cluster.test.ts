import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type PusherNodes, shop, startPusherNodes } from '../support/pusher-nodes.ts'
import { type Browser, openBrowser } from './clients.ts'
import { pusherJourneys } from './journeys.ts'

const setting = { nodes: 2, transport: 'uws', isCluster: true } as const

pusherJourneys('two nodes and a Redis Cluster', setting)

describe('a Redis Cluster of three, one of which is killed and comes back empty', () => {
  let nodes: PusherNodes
  beforeAll(async () => {
    nodes = await startPusherNodes(setting)
  }, 120_000)
  afterAll(() => nodes?.stop())

  /** How long it may take until everything is right again, in ms. */
  const healed = { timeout: 15_000, interval: 200 }

  /** Returns a channel at each of the three. */
  const oneOfEach = (start: string): string[] =>
    [0, 1, 2].map((master) => {
      let n = 0
      while (nodes.cluster?.masterOf(`{${shop.id}:${start}-${n}}`) !== master) n += 1
      return `${start}-${n}`
    })

  const ask = async (node: number, path: string, params: Record<string, string> = {}): Promise<unknown> =>
    await (await nodes.serverAt(node).get({ path, params })).json()

  const users = async (node: number, channel: string): Promise<string[]> => {
    const answer = await ask(node, `/channels/${channel}/users`)
    const { users } = z.object({ users: z.array(z.object({ id: z.string() })) }).parse(answer)
    return users.map(({ id }) => id).sort()
  }

  const joinAll = (browser: Browser, channels: string[]) =>
    Promise.all(channels.map((channel) => browser.join(channel)))

  test('events, members and counts of the others go on, and those of its channels are right soon after', async () => {
    const [rooms, orders] = [oneOfEach('presence-room'), oneOfEach('orders')]
    const [ada, grace] = [await openBrowser(nodes, 0, { id: 'ada' }), await openBrowser(nodes, 1, { id: 'grace' })]
    const [adas, graces] = [await joinAll(ada, rooms), await joinAll(grace, rooms)]
    const heard = (await joinAll(ada, orders)).map(({ heard }) => heard)
    const theirs = (await joinAll(grace, orders)).map(({ heard }) => heard)
    for (const { channel } of adas) await expect.poll(() => channel.members?.count).toBe(2)
    const before = [...adas, ...graces].map(({ heard }) => heard.length)

    await nodes.cluster?.kill(0)
    const reaches = async (channel: string, places: { event: string }[][], event: string) => {
      await expect
        .poll(async () => {
          for (const node of [0, 1]) await nodes.serverAt(node).trigger(channel, `${event}-${node}`, {})
          const isThere = (place: { event: string }[], node: number) =>
            place.some((one) => one.event === `${event}-${node}`)
          return places.every((place) => isThere(place, 0) && isThere(place, 1))
        }, healed)
        .toBe(true)
    }
    for (const master of [1, 2])
      await reaches(orders[master] ?? '', [heard[master] ?? [], theirs[master] ?? []], 'meanwhile')
    const late = await openBrowser(nodes, 0, { id: 'late' })
    await late.join(rooms[1] ?? '')
    await expect.poll(() => graces[1]?.channel.members?.count, healed).toBe(3)
    expect(await users(1, rooms[1] ?? '')).toEqual(['ada', 'grace', 'late'])
    late.pusher.disconnect()
    await expect.poll(() => graces[1]?.channel.members?.count, healed).toBe(2)
    // What nobody can be told of now is told later.
    grace.pusher.unsubscribe(rooms[0] ?? '')

    await nodes.cluster?.restart(0)
    for (const [master, channel] of orders.entries())
      await reaches(channel, [heard[master] ?? [], theirs[master] ?? []], 'back')
    await expect.poll(() => adas[0]?.channel.members?.count, healed).toBe(1)
    for (const node of [0, 1]) {
      await expect.poll(() => users(node, rooms[0] ?? '').catch(() => undefined), healed).toEqual(['ada'])
      for (const room of rooms.slice(1)) expect(await users(node, room)).toEqual(['ada', 'grace'])
      for (const channel of orders) {
        await expect
          .poll(() => ask(node, `/channels/${channel}`, { info: 'subscription_count' }), healed)
          .toEqual({ occupied: true, subscription_count: 2 })
      }
      const { channels } = z.object({ channels: z.record(z.string(), z.unknown()) }).parse(await ask(node, '/channels'))
      expect(Object.keys(channels).sort()).toEqual([...rooms, ...orders].sort())
    }
    // Nobody was told that anybody came or went who had not.
    expect([...adas, ...graces].map(({ heard }) => heard.length)).toEqual(
      before.map((count, n) => count + ([1, 2, 0, 0, 2, 0][n] ?? 0)),
    )
  })
})
