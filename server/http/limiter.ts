/** The rate limiter: so many requests a minute for each bucket. */

import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'

/** What is left of a bucket; `resetIn` in whole seconds, at least 1. */
export type Allowance = { allowed: boolean; limit: number; remaining: number; resetIn: number }

/** Takes one request out of a bucket. */
export type Limiter = (bucket: string, perMinute: number) => Promise<Allowance>

/** Counts in memory, in windows of a minute that begin with a bucket's first request. */
export const createLimiter = (): Limiter => {
  const limiters = new Map<number, RateLimiterMemory>()
  return async (bucket, perMinute) => {
    const limiter = limiters.get(perMinute) ?? new RateLimiterMemory({ points: perMinute, duration: 60 })
    limiters.set(perMinute, limiter)
    const [allowed, result] = await limiter.consume(bucket).then(
      (passed) => [true, passed] as const,
      (refused: unknown) => {
        if (refused instanceof RateLimiterRes) return [false, refused] as const
        throw refused
      },
    )
    return {
      allowed,
      limit: perMinute,
      remaining: Math.max(0, result.remainingPoints),
      resetIn: Math.max(1, Math.ceil(result.msBeforeNext / 1000)),
    }
  }
}
