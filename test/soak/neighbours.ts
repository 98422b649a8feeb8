/** A victim app and its sockets beside the apps of an attacker, in one process: what may and may not be heard and left. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { inspect } from 'node:util'
import type PusherServer from 'pusher'
import { expect } from 'vitest'
import { type PusherApp, plainApp } from '../../schema/pusher-apps.ts'
import { hookTypes } from '../../schema/pusher-hooks.ts'
import { sdk, signed, signin, subscribe } from '../realtime/pusher-frames.ts'
import { app as chat, startRealtime } from '../realtime/start-realtime.ts'
import type { RawSocket } from '../support/raw-socket.ts'

export type Neighbours = Awaited<ReturnType<typeof startNeighbours>>

/** The app whose secret the attacker does not have. */
export const victim: PusherApp = {
  ...plainApp({ id: '9', key: 'victim-key', secret: 'secret-of-the-victim' }),
  enableClientMessages: true,
}

/** The apps whose secrets the attacker has: one like the victim's, and the chat's. */
export const attackers = [
  {
    ...plainApp({ id: '66', key: 'attacker-key', secret: 'secret-of-the-attacker' }),
    enableClientMessages: true,
    enableSubscriptionCount: true,
    webhooks: [
      {
        url: 'http://127.0.0.1:1/hooks',
        event_types: [...hookTypes],
        filter: {},
        headers: {},
      },
    ],
  } satisfies PusherApp,
  { ...plainApp({ ...chat, secret: 'secret-of-the-chat' }), enableClientMessages: true, enableSubscriptionCount: true },
] as const

/** Heard by the victim's sockets alone. */
export const confidential = 'for the eyes of the victim'

const metricsToken = 'secret-of-the-metrics'
const secrets = [victim.secret, ...attackers.map(({ secret }) => secret), metricsToken]

const open = ['news', 'cache-board']
const closed = ['private-desk', 'presence-desk', 'private-cache-board', '#server-to-user-7']

/** Starts them, with the victim's sockets on a channel of each kind. */
export const startNeighbours = async () => {
  const [attacker, { secret: _, ...chatSettings }] = attackers
  const server = await startRealtime({
    settings: { ...chatSettings, secret: attackers[1].secret },
    apps: [attacker, victim],
    metricsToken,
    // A subscription that takes a while: something else may be said, or the socket be gone, before it is there.
    wrapBus: (bus) => ({
      ...bus,
      subscribe: async (subject) => {
        await bus.subscribe(subject)
        await nextTurn()
        await nextTurn()
      },
    }),
  })
  server.log.conversations.set('cnv_1', 'org_1')
  server.log.keys.set('key_1', { version: 1, refusal: undefined, expires: undefined })
  for (let n = 0; n < 3; n += 1) server.log.append('org_1')

  const connect = async (): Promise<{ socket: RawSocket; id: string }> => await server.connect(victim.key)
  const publisher: PusherServer = sdk(server.port, victim)
  const listeners: { channel: string; socket: RawSocket }[] = []
  const listen = async (channel: string, join: (id: string) => object): Promise<void> => {
    const { socket, id } = await connect()
    if (channel.startsWith('#')) {
      socket.send(signin(id, { id: '7', watchlist: ['8'] }, victim))
      await socket.waitFor('pusher:signin_success')
    }
    socket.send(join(id))
    await socket.waitFor('pusher_internal:subscription_succeeded', channel)
    listeners.push({ channel, socket })
  }
  await publisher.trigger('private-cache-board', 'first', confidential)
  for (const channel of open) await listen(channel, () => subscribe(channel))
  await listen('private-desk', (id) => signed(id, 'private-desk', undefined, victim))
  await listen('private-cache-board', (id) => signed(id, 'private-cache-board', undefined, victim))
  await listen('#server-to-user-7', () => subscribe('#server-to-user-7'))
  for (const user_id of ['7', '7', '__proto__']) {
    await listen('presence-desk', (id) => signed(id, 'presence-desk', { user_id }, victim))
  }
  for (const { socket } of listeners) await socket.settle()
  for (const { socket } of listeners) socket.frames.splice(0)

  const countsOf = async ({ id }: Pick<PusherApp, 'id'>) => {
    const channels = (await server.roster.channels(id, '')).sort()
    const counts = await server.roster.counts(id, channels)
    const { sockets, subscriptions } = server.metrics.ofApp(id)
    return { sockets, subscriptions, channels: Object.fromEntries(channels.map((name, n) => [name, counts[n]])) }
  }
  const usual = await countsOf(victim)
  const nobody = { sockets: 0, subscriptions: 0, channels: {} }
  let ticks = 0

  return {
    server,
    /** Says that an answer, or a frame, tells no secret and nothing that was for the victim. */
    expectDiscreet: (text: string): void => {
      for (const secret of [...secrets, confidential]) if (text.includes(secret)) expect.fail(`"${secret}" in ${text}`)
    },
    /** Says that the attackers' sockets have left nothing behind, and the victim's app is as it was. */
    expectTraceless: async (): Promise<void> => {
      for (const app of attackers) await expect.poll(() => countsOf(app), within).toEqual(nobody)
      await expect.poll(() => countsOf(victim), within).toEqual(usual)
      expect('polluted' in {}).toBe(false)
      expect(server.logger.lines.filter(({ level }) => level === 'error')).toEqual([])
      const lines = inspect(server.logger.lines.splice(0), { depth: 8, maxStringLength: null })
      for (const secret of secrets) expect(lines).not.toContain(secret)
    },
    /** Says that the victim's sockets hear what their own server says, and have heard nothing else. */
    expectUnmoved: async (): Promise<void> => {
      ticks += 1
      await publisher.triggerBatch([
        ...open.map((channel) => ({ channel, name: 'tick', data: `${ticks}` })),
        ...closed.map((channel) => ({ channel, name: 'tick', data: `${ticks} ${confidential}` })),
      ])
      for (const { channel, socket } of listeners) {
        const data = closed.includes(channel) ? `${ticks} ${confidential}` : `${ticks}`
        expect(await socket.settle()).toEqual([{ event: 'tick', channel, data }])
      }
    },
    /** Says that whoever comes now is served as ever: in the victim's app, and in the attackers'. */
    expectServing: async (): Promise<void> => {
      for (const app of [victim, ...attackers]) {
        const { socket, id } = await server.connect(app.key)
        socket.send(signed(id, 'presence-late', { user_id: 'late' }, app))
        await socket.waitFor('pusher_internal:subscription_succeeded', 'presence-late')
        await sdk(server.port, app).trigger('presence-late', 'hello', 'there')
        expect(await socket.next()).toEqual({ event: 'hello', channel: 'presence-late', data: 'there' })
        const { users } = JSON.parse(
          await (await sdk(server.port, app).get({ path: '/channels/presence-late/users' })).text(),
        )
        expect(users).toEqual([{ id: 'late' }])
        socket.close()
        await socket.closed
      }
    },
  }
}

// A busy machine may need some time to see that a connection has ended.
const within = { timeout: 10_000, interval: 1 }
