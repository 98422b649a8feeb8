/** The sweep: takes what dead nodes have left out of the roster. Every node sweeps; what one has done is done. */

import type { Logger } from '../../logger.ts'
import type { Keyspace } from '../../redis/keyspace.ts'
import type { RosterPolicy } from '../roster.ts'
import { type RosterKeys, type RosterPart, readPlace } from './keys.ts'
import type { Goodbyes } from './notices.ts'
import type { CallChannel, Scripts } from './scripts.ts'

/** How many channels are looked at in one turn. */
const atOnce = 200

/** Makes a sweep, which rejects where Redis does not answer. `own` is never swept. */
export const createSweep =
  ({
    keyspace,
    keys,
    own,
    call,
    callOf,
    heard,
    goodbyes,
    policyOf,
    logger,
  }: {
    keyspace: Pick<Keyspace, 'run' | 'runAll'>
    keys: RosterKeys
    own: () => string
    call: CallChannel
    callOf: Scripts['callOf']
    /** Takes what a script leaves to do. */
    heard: (app: string, channel: string, todo: unknown) => void
    goodbyes: Pick<Goodbyes, 'isPending'>
    policyOf: (app: string) => RosterPolicy
    logger: Logger
  }) =>
  async (): Promise<void> => {
    const names = [keys.leases, keys.dead, keys.sockets]
    const answer = await keyspace.run(keys.leases, ...callOf('bury', names, ...(await strays())))
    let failure: unknown
    for (const dead of listOf(answer)) {
      if (dead === own()) continue
      let [channels, isWhole] = [0, true]
      for (const part of keys.parts) {
        try {
          channels += await clearPart(part, dead)
        } catch (error) {
          // What is elsewhere does not have to wait for this part.
          failure = error
          isWhole = false
        }
      }
      if (!isWhole) continue
      await run('srem', keys.dead, dead)
      // Where several sweep at once, each tells what it has done of it.
      if (channels > 0) {
        logger.warn({ node: dead, channels }, 'a node was taken for dead, and what it had left out of the roster')
      }
    }
    if (failure) throw failure

    /** Returns the nodes that are in a part but have no lease: it was lost with its shard, and they died meanwhile. */
    async function strays(): Promise<string[]> {
      if (keys.parts.length === 1) return []
      const lists = keys.partNames.map((key) => ({ key, command: ['smembers', key] as const }))
      const found = (await keyspace.runAll(lists)).flatMap(([, nodes]) => listOf(nodes))
      const alive = new Set(listOf(await run('zrange', keys.leases, 0, -1)))
      return [...new Set(found)].filter((node) => !alive.has(node) && node !== own())
    }

    async function clearPart(part: RosterPart, dead: string): Promise<number> {
      const cleared = (await clear(part, part.places(dead), dead)) + (await clear(part, part.goodbyes(dead), dead))
      if (keys.parts.length > 1) await run('srem', part.nodes, dead)
      return cleared
    }

    /** Returns how many places of the set it was that took them out. */
    async function clear(part: RosterPart, list: string, dead: string): Promise<number> {
      const ownGoodbyes = part.goodbyes(own())
      let cleared = 0
      while (true) {
        const places = listOf(await run('srandmember', list, atOnce))
        if (places.length === 0) return cleared
        const channels = places.map(readPlace)
        // A goodbye that is taken over is on the list of its new owner before it is off that of the dead.
        const hooked = places.filter((_, n) => policyOf(channels[n]?.app ?? '').hasHooks)
        if (hooked.length > 0) await run('sadd', ownGoodbyes, ...hooked)
        const results = await keyspace.runAll(channels.map(({ app, channel }) => call('reap', app, channel, dead)))
        for (const [n, { app, channel }] of channels.entries()) {
          const [error, todo] = results[n] ?? [new Error('no answer')]
          if (error) throw error
          heard(app, channel, todo)
        }
        const silent = hooked
          .map((name) => ({ name, ...readPlace(name) }))
          .filter((place) => !goodbyes.isPending(place.app, place.channel))
        if (silent.length > 0) await run('srem', ownGoodbyes, ...silent.map(({ name }) => name))
        cleared += Number(await run('srem', list, ...places))
      }
    }

    function run(name: string, key: string, ...words: (string | number)[]): Promise<unknown> {
      return keyspace.run(key, name, key, ...words)
    }
  }

const listOf = (answer: unknown): string[] => (Array.isArray(answer) ? answer.map(String) : [])
