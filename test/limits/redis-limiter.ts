/** A limiter over Redis as a node has it, with what it logged. */

import { randomBytes } from 'node:crypto'
import { createRedisCounter } from '../../realtime/redis/limiter.ts'
import { createLimiter } from '../../server/http/limiter.ts'
import { createLog } from '../bus/redis-node.ts'
import type { MadeLimiter } from './contract.ts'

/** Makes one. With `patience` it waits that long for Redis, in ms: where Redis is not to be slow, longer than any test. */
export const makeRedisLimiter = async ({
  url,
  window = 60_000,
  patience = 20_000,
  prefix = 'hubbub:',
}: {
  url: string
  window?: number
  patience?: number
  prefix?: string
}): Promise<MadeLimiter & { lines: string[] }> => {
  const { lines, logger } = createLog()
  const { count, close } = await createRedisCounter({ url, logger, window, patience, prefix })
  return { limiter: createLimiter({ shared: count, window }), close, lines }
}

/** Returns a name that no other test counts. */
export const freshBucket = (): string => `bucket ${randomBytes(9).toString('hex')}`
