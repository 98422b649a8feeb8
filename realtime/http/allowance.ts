/** Rates: how much an app may ask of one node in a second, and what it is told when that is used up. */

import { createRate } from '../rate.ts'
import type { HttpReply } from '../transport/transport.ts'
import { text } from './replies.ts'

/** Takes an amount; returns the refusal if there is less left in this second, of which nothing is taken then. */
export type Allowance = (amount: number) => HttpReply | undefined

/** Makes an allowance of `limit` a second; `what` is counted. Infinity is no limit. */
export const createAllowance = ({
  limit,
  what,
  now,
}: {
  limit: number
  what: string
  now: () => number
}): Allowance => {
  const rate = createRate<'app'>({ perSecond: limit, now })

  return (amount) => {
    if (rate.take('app', amount)) return undefined
    // What is more than a whole second's allowance would be refused in every other second too.
    const advice = amount > limit ? `${amount} at once are too many: send fewer` : 'try again in a second'
    return text(429, `Too many ${what}: this app may have ${limit} a second; ${advice}`, {
      'Retry-After': '1',
      'X-RateLimit-Limit': String(limit),
      'X-RateLimit-Remaining': String(rate.left('app')),
    })
  }
}
