/** How an attempt ended, as the log of a delivery keeps it. */

import { type AttemptFailure, retrySchedule } from '../../schema/muro/webhooks.ts'
import type { PostResult } from '../../schema/outbound.ts'

/**
 * `failure` is null where the receiver took it. `durationMs` is how long the attempt lasted. `wait` is for how many
 * seconds the receiver wants to be left alone; 0 where it has not said so.
 */
export type Outcome = {
  status: number | null
  failure: AttemptFailure | null
  message: string | null
  response: string | null
  durationMs: number
  wait: number
}

/** Nobody is left alone for longer than the plan has it at most. */
const longestWait = Math.max(...retrySchedule)

// The one of the 3xx that leads nowhere.
const notModified = 304

/** Returns what the log keeps of a post. Any 2xx is a success; a redirect is not followed, and is none. */
export const outcomeOf = (result: PostResult, durationMs: number): Outcome => {
  if ('failure' in result) {
    const { failure, message } = result
    return { status: null, failure, message, response: null, durationMs, wait: 0 }
  }
  const { ok, status, body, retryAfter = 0 } = result
  // A strange receiver may answer anything; NUL is what Postgres cannot keep.
  const answered = { status, response: body.replaceAll('\0', '\ufffd'), durationMs, wait: 0 }
  if (ok) return { ...answered, failure: null, message: null }
  if (status >= 300 && status < 400 && status !== notModified) {
    return { ...answered, failure: 'redirect', message: 'redirects are not followed' }
  }
  const wait = Math.min(retryAfter, longestWait)
  const message = wait > 0 ? `answered ${status} and asks to wait ${wait} s` : `answered ${status}`
  return { ...answered, failure: 'status', message, wait }
}
