/** What is asked of the roster in Redis, and answered in time or not at all. */

import { userChannel } from '../../../schema/channels.ts'
import type { Answer, Asked, Keyspace } from '../../redis/keyspace.ts'
import { inTime, within } from '../../within.ts'
import { readMember } from '../news.ts'
import { type CachedEvent, cacheLifetime, missedPause, type Roster } from '../roster.ts'
import { placeName, type RosterKeys, readPlace } from './keys.ts'
import type { Scripts } from './scripts.ts'

export type Reads = Pick<Roster, 'members' | 'counts' | 'channels' | 'online' | 'remember' | 'recall' | 'missed'>

/** Makes the questions. `settle` returns what has to be waited for so that this process finds what it has said. */
export const createReads = ({
  keyspace,
  keys,
  callOf,
  settle,
  patience,
}: {
  keyspace: Pick<Keyspace, 'run' | 'runAll'>
  keys: RosterKeys
  callOf: Scripts['callOf']
  settle: () => Promise<void> | undefined
  patience: number
}): Reads => {
  const ask = <T>(question: () => Promise<T>): Promise<T> => inTime(settledFirst(question), patience)

  const settledFirst = async <T>(question: () => Promise<T>): Promise<T> => {
    const settled = settle()
    // Where very much has to be said first, what is known now will do.
    if (settled) await within(settled, patience / 2)
    return question()
  }

  /** Returns the answers of many commands; throws the first failure. */
  const all = async (asked: Asked[]): Promise<unknown[]> => (await keyspace.runAll(asked)).map(resultOf)

  const places = async (list: string, pattern: string): Promise<string[]> => {
    const found: string[] = []
    let cursor = '0'
    do {
      const answer = await keyspace.run(list, 'sscan', list, cursor, 'MATCH', pattern, 'COUNT', 1000)
      const [next, names] = listOf(answer)
      found.push(...listOf(names).map(String))
      cursor = String(next)
    } while (cursor !== '0')
    return found
  }

  return {
    members: (app, channel) =>
      ask(async () => {
        const key = keys.roster(app, channel)
        const answer = await keyspace.run(key, ...callOf('members', [key]))
        const [version = '0', ...texts] = listOf(answer).map(String)
        return { version: Number(version), members: texts.map(readMember).filter((member) => member !== undefined) }
      }),
    counts: (app, channels) =>
      ask(async () => {
        const asked = channels.map((channel) => about(keys.roster(app, channel), 'hmget', 't', 'n'))
        return (await all(asked)).map((found) => {
          const [subscriptions, users] = listOf(found).map(Number)
          return { subscriptions: subscriptions ?? 0, users: users ?? 0 }
        })
      }),
    channels: (app, prefix) =>
      ask(async () => {
        const known = await all([about(keys.leases, 'zrange', 0, -1), about(keys.dead, 'smembers')])
        const nodes = known.flatMap(listOf).map(String)
        const lists = nodes.flatMap((node) => keys.parts.map((part) => part.places(node)))
        const pattern = `${placeName(app, prefix).replace(/[\\*?[\]]/g, '\\$&')}*`
        const names = (await Promise.all(lists.map((list) => places(list, pattern)))).flat()
        return [...new Set(names)].map((name) => readPlace(name).channel).filter((channel) => !channel.startsWith('#'))
      }),
    online: (app, users) =>
      ask(async () => {
        const asked = users.map((user) => about(keys.roster(app, userChannel(user)), 'hexists', 't'))
        return (await all(asked)).map((found) => found === 1)
      }),
    remember: async (app, channel, { data, frame }) => {
      const key = keys.cached(app, channel)
      const command = callOf('keep', [key], JSON.stringify([data, frame]), cacheLifetime)
      // Two keys in one script would be refused while their slot moves.
      const [version] = await inTime(all([{ key, command }, about(keys.missed(app, channel), 'del')]), patience)
      return Number(version)
    },
    recall: (app, channel) =>
      inTime(
        (async () => {
          const key = keys.cached(app, channel)
          const [text, ttl] = await all([about(key, 'get'), about(key, 'ttl')])
          // It may have ended between the two.
          return typeof text === 'string' && Number(ttl) >= 0 ? { ...readCached(text), ttl: Number(ttl) } : undefined
        })(),
        patience,
      ),
    missed: async (app, channel) => {
      const key = keys.missed(app, channel)
      const answer = await inTime(keyspace.run(key, 'set', key, '1', 'EX', missedPause, 'NX'), patience)
      return answer === 'OK'
    },
  }
}

const about = (key: string, name: string, ...words: (string | number)[]): Asked => ({
  key,
  command: [name, key, ...words],
})

const resultOf = ([error, result]: Answer): unknown => {
  if (error) throw error
  return result
}

const listOf = (answer: unknown): unknown[] => (Array.isArray(answer) ? answer : [])

// The version stands in front, for the script that gives the next one.
const readCached = (text: string): CachedEvent => {
  const json = text.indexOf('[')
  const read: unknown = JSON.parse(text.slice(json))
  const [data = '', frame = ''] = listOf(read).map(String)
  return { version: Number(text.slice(0, json)), data, frame }
}
