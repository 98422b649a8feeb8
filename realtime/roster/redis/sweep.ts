/** The sweep: takes what dead nodes have left out of the roster. Every node sweeps; what one has done is done. */

import type { Redis } from 'ioredis'
import type { Logger } from '../../logger.ts'
import type { RosterPolicy } from '../roster.ts'
import { type RosterKeys, readPlace } from './keys.ts'
import type { Goodbyes } from './notices.ts'
import { type CallChannel, callOf } from './scripts.ts'

/** How many channels are looked at in one turn. */
const atOnce = 200

/** Makes a sweep, which rejects where Redis does not answer. `own` is never swept. */
export const createSweep =
  ({
    client,
    keys,
    own,
    call,
    heard,
    goodbyes,
    policyOf,
    logger,
  }: {
    client: Redis
    keys: RosterKeys
    own: () => string
    call: CallChannel
    /** Takes what a script leaves to do. */
    heard: (app: string, channel: string, todo: unknown) => void
    goodbyes: Pick<Goodbyes, 'isPending'>
    policyOf: (app: string) => RosterPolicy
    logger: Logger
  }) =>
  async (): Promise<void> => {
    const answer = await client.evalsha(...callOf('bury', [keys.leases, keys.dead, keys.sockets]))
    for (const dead of Array.isArray(answer) ? answer.map(String) : []) {
      if (dead === own()) continue
      const channels = (await clear(keys.places(dead), dead)) + (await clear(keys.goodbyes(dead), dead))
      const isLast = (await client.srem(keys.dead, dead)) === 1
      if (isLast && channels > 0) {
        logger.warn({ node: dead, channels }, 'a node was taken for dead, and what it had left out of the roster')
      }
    }

    /** Returns how many places were in the set. */
    async function clear(list: string, dead: string): Promise<number> {
      let cleared = 0
      while (true) {
        const places = await client.srandmember(list, atOnce)
        if (places.length === 0) return cleared
        const pipeline = client.pipeline()
        const channels = places.map(readPlace)
        // A goodbye that is taken over is on the list of its new owner before it is off that of the dead.
        const hooked = places.filter((_, n) => policyOf(channels[n]?.app ?? '').hasHooks)
        if (hooked.length > 0) await client.sadd(keys.goodbyes(own()), ...hooked)
        for (const { app, channel } of channels) pipeline.evalsha(...call('reap', app, channel, dead))
        const results = (await pipeline.exec()) ?? []
        for (const [n, { app, channel }] of channels.entries()) {
          const [error, todo] = results[n] ?? [new Error('no answer')]
          if (error) throw error
          heard(app, channel, todo)
        }
        const silent = hooked
          .map((name) => ({ name, ...readPlace(name) }))
          .filter((place) => !goodbyes.isPending(place.app, place.channel))
        if (silent.length > 0) await client.srem(keys.goodbyes(own()), ...silent.map(({ name }) => name))
        await client.srem(list, ...places)
        cleared += places.length
      }
    }
  }
