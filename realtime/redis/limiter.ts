/** Counting requests for all nodes together: one script in Redis, and never a request that waits long for it. */

import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Logger } from '../logger.ts'
import { within } from '../within.ts'
import { readRedisAddresses } from './address.ts'
import { createClusterKeyspace } from './cluster-keyspace.ts'
import { createLinkKeyspace, type Keyspace } from './keyspace.ts'

/** How many were counted in a bucket's window, and for how many ms more it lasts: at least 1. */
export type Counted = { used: number; endsIn: number }

export type RedisCounter = {
  /** Counts one; undefined where Redis does not answer at once: whoever asks counts by himself meanwhile. */
  count(bucket: string): Promise<Counted | undefined>
  close(): void
}

// A window begins with the bucket's first request. It ends by Redis' clock alone, whatever the nodes' clocks say.
const script = `
local used = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return { used, left }`

const sha = createHash('sha1').update(script).digest('hex')

/** How often it is said that Redis does not count, in ms. */
const sayTime = 60_000

/**
 * Connects to a Redis, or a Redis Cluster; throws a StartError where it cannot be used. From then on it never fails.
 * While one answer is late nobody waits for others. Redis is still told of every request: where it is only slow, its
 * counts stay right.
 */
export const createRedisCounter = async ({
  url,
  logger,
  window = 60_000,
  patience = 100,
  prefix = 'hubbub:',
}: {
  url: string
  logger: Logger
  /** How long a window lasts, in ms. */
  window?: number
  /** How long a request waits for Redis, in ms. */
  patience?: number
  prefix?: string
}): Promise<RedisCounter> => {
  const addresses = readRedisAddresses(url)
  const [address] = addresses
  const shared = { name: 'hubbub-limiter', prepare: load, onLost: ignore }
  const keyspace: Keyspace =
    addresses.length > 1
      ? createClusterKeyspace({ ...shared, addresses, onGained: ignore })
      : createLinkKeyspace({ ...shared, address, onReady: () => void keyspace.prepare().catch(ignore) })
  let late = 0
  let saidAt = Number.NEGATIVE_INFINITY

  const ask = async (key: string): Promise<Counted> => {
    const run = () => keyspace.run(key, 'evalsha', sha, 1, key, window)
    const answer = await run().catch(async (error: unknown) => {
      if (!String(error).includes('NOSCRIPT')) throw error
      await keyspace.prepare()
      return await run()
    })
    const [used, endsIn] = Array.isArray(answer) ? answer.map(Number) : []
    if (used === undefined || endsIn === undefined) throw new Error(`Redis counted ${String(answer)}`)
    return { used, endsIn: Math.max(1, endsIn) }
  }

  const say = (reason: string): undefined => {
    if (performance.now() - saidAt < sayTime) return
    saidAt = performance.now()
    logger.warn({ reason }, 'a request was counted by this process alone: Redis did not count it in time')
  }

  const count = async (bucket: string): Promise<Counted | undefined> => {
    const asked = ask(nameOf(prefix, bucket)).catch((error: unknown) => say(address.reasonOf(error)))
    if (late > 0) return undefined
    const counted = await within(asked, patience)
    if (counted !== 'late') return counted
    // Where it was this process that was busy, the answer is here and has yet to be read.
    const read = await Promise.race([asked, nextTurn()])
    if (read) return read
    say(`no answer within ${patience} ms`)
    late += 1
    void asked.then(() => {
      late -= 1
    })
    return undefined
  }

  await keyspace.open()
  return { count, close: keyspace.close }
}

// A bucket may be named after what a client says of itself: neither long nor in braces, which would choose the slot.
const nameOf = (prefix: string, bucket: string): string =>
  `${prefix}limit:${createHash('sha256').update(bucket).digest('base64url').slice(0, 22)}`

const load = async (client: Redis): Promise<void> => {
  await client.script('LOAD', script)
}

const nextTurn = (): Promise<undefined> => new Promise((resolve) => setImmediate(resolve, undefined))

// What fails here fails once more where it is needed.
const ignore = (): void => undefined
