/** What is asked of the roster in Redis, and answered in time or not at all. */

import type { Redis } from 'ioredis'
import { userChannel } from '../../../schema/channels.ts'
import { inTime, within } from '../../within.ts'
import { readMember } from '../news.ts'
import { type CachedEvent, cacheLifetime, missedPause, type Roster } from '../roster.ts'
import { placeName, type RosterKeys, readPlace } from './keys.ts'
import { callOf } from './scripts.ts'

export type Reads = Pick<Roster, 'members' | 'counts' | 'channels' | 'online' | 'remember' | 'recall' | 'missed'>

/** Makes the questions. `settle` returns what has to be waited for so that this process finds what it has said. */
export const createReads = ({
  client,
  keys,
  settle,
  patience,
}: {
  client: Redis
  keys: RosterKeys
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
  const all = async (pipeline: ReturnType<Redis['pipeline']>): Promise<unknown[]> => {
    const results = (await pipeline.exec()) ?? []
    return results.map(([error, result]) => {
      if (error) throw error
      return result
    })
  }

  const places = async (node: string, pattern: string): Promise<string[]> => {
    const found: string[] = []
    let cursor = '0'
    do {
      const [next, names] = await client.sscan(keys.places(node), cursor, 'MATCH', pattern, 'COUNT', 1000)
      found.push(...names)
      cursor = next
    } while (cursor !== '0')
    return found
  }

  return {
    members: (app, channel) =>
      ask(async () => {
        const answer = await client.evalsha(...callOf('members', [keys.roster(app, channel)]))
        const [version = '0', ...texts] = Array.isArray(answer) ? answer.map(String) : []
        return { version: Number(version), members: texts.map(readMember).filter((member) => member !== undefined) }
      }),
    counts: (app, channels) =>
      ask(async () => {
        const pipeline = client.pipeline()
        for (const channel of channels) pipeline.hmget(keys.roster(app, channel), 't', 'n')
        return (await all(pipeline)).map((found) => {
          const [subscriptions, users] = Array.isArray(found) ? found.map(Number) : []
          return { subscriptions: subscriptions ?? 0, users: users ?? 0 }
        })
      }),
    channels: (app, prefix) =>
      ask(async () => {
        const nodes = (await Promise.all([client.zrange(keys.leases, '0', '-1'), client.smembers(keys.dead)])).flat()
        const pattern = `${placeName(app, prefix).replace(/[\\*?[\]]/g, '\\$&')}*`
        const names = (await Promise.all(nodes.map((node) => places(node, pattern)))).flat()
        return [...new Set(names)].map((name) => readPlace(name).channel).filter((channel) => !channel.startsWith('#'))
      }),
    online: (app, users) =>
      ask(async () => {
        const pipeline = client.pipeline()
        for (const user of users) pipeline.hexists(keys.roster(app, userChannel(user)), 't')
        return (await all(pipeline)).map((found) => found === 1)
      }),
    remember: (app, channel, event) =>
      inTime(
        (async () => {
          const pipeline = client.pipeline()
          pipeline.set(keys.cached(app, channel), writeCached(event), 'EX', cacheLifetime)
          pipeline.del(keys.missed(app, channel))
          await all(pipeline)
        })(),
        patience,
      ),
    recall: (app, channel) =>
      inTime(
        (async () => {
          const pipeline = client.pipeline()
          pipeline.get(keys.cached(app, channel))
          pipeline.ttl(keys.cached(app, channel))
          const [text, ttl] = await all(pipeline)
          // It may have ended between the two.
          return typeof text === 'string' && Number(ttl) >= 0 ? { ...readCached(text), ttl: Number(ttl) } : undefined
        })(),
        patience,
      ),
    missed: async (app, channel) => {
      const answer = await inTime(client.set(keys.missed(app, channel), '1', 'EX', missedPause, 'NX'), patience)
      return answer === 'OK'
    },
  }
}

const writeCached = ({ stamp, data, frame }: CachedEvent): string => JSON.stringify([stamp, data, frame])

const readCached = (text: string): CachedEvent => {
  const read: unknown = JSON.parse(text)
  const [stamp = '', data = '', frame = ''] = Array.isArray(read) ? read.map(String) : []
  return { stamp, data, frame }
}
