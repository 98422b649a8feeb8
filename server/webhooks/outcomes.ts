/** How an attempt ended, as the log of a delivery keeps it. */

import type { AttemptFailure } from '../../schema/muro/webhooks.ts'
import type { PostResult } from '../../schema/outbound.ts'

/** `failure` is null where the receiver took it. `durationMs` is how long the attempt lasted. */
export type Outcome = {
  status: number | null
  failure: AttemptFailure | null
  message: string | null
  response: string | null
  durationMs: number
}

// The one of the 3xx that leads nowhere.
const notModified = 304

/** Returns what the log keeps of a post. Any 2xx is a success; a redirect is not followed, and is none. */
export const outcomeOf = (result: PostResult, durationMs: number): Outcome => {
  if ('failure' in result) {
    const { failure, message } = result
    return { status: null, failure, message, response: null, durationMs }
  }
  const { ok, status, body } = result
  // A strange receiver may answer anything; NUL is what Postgres cannot keep.
  const response = body.replaceAll('\0', '\ufffd')
  if (ok) return { status, failure: null, message: null, response, durationMs }
  if (status >= 300 && status < 400 && status !== notModified) {
    return { status, failure: 'redirect', message: 'redirects are not followed', response, durationMs }
  }
  return { status, failure: 'status', message: `answered ${status}`, response, durationMs }
}
