/** The rate limiter: so many requests a minute for each bucket. */

import { RateLimiterMemory } from 'rate-limiter-flexible'

/** What is left of a bucket; `resetIn` is when it is full again, in ms. */
export type Allowance = { allowed: boolean; limit: number; remaining: number; resetIn: number }

/** What requests are counted in: the first word says whose it is. */
export type Bucket = `${'key' | 'address' | 'visitor'} ${string}`

/** Takes one request out of a bucket. */
export type Limiter = (bucket: string, perMinute: number) => Promise<Allowance>

/** Counts a request with those of all nodes; undefined where that cannot be done now. */
export type SharedCount = (bucket: string) => Promise<{ used: number; endsIn: number } | undefined>

/**
 * Counts in windows of a minute that begin with a bucket's first request: by `shared` for all nodes together, else in
 * memory. While the shared count is away or slow no request fails for it: each process goes on from what it heard last and
 * counts its own requests, so that a bucket may be used up at each of them.
 */
export const createLimiter = ({
  shared = async () => undefined,
  window = 60_000,
}: {
  shared?: SharedCount
  /** How long a window lasts, in ms. */
  window?: number
} = {}): Limiter => {
  const memory = new RateLimiterMemory({ points: Number.MAX_SAFE_INTEGER, duration: window / 1000 })
  const countHere = async (bucket: string) => {
    const { consumedPoints, msBeforeNext } = await memory.consume(bucket)
    return { used: consumedPoints, endsIn: msBeforeNext }
  }
  return async (bucket, perMinute) => {
    const counted = await shared(bucket)
    if (counted) await memory.set(bucket, counted.used, counted.endsIn / 1000)
    const { used, endsIn } = counted ?? (await countHere(bucket))
    return { allowed: used <= perMinute, limit: perMinute, remaining: Math.max(0, perMinute - used), resetIn: endsIn }
  }
}
