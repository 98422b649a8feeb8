/** What went wrong with a post, in words that may be shown to whoever entered the address. */

import type { PostFailure } from '../../schema/outbound.ts'
import { DialError } from './dial.ts'

export type Failed = { ok: false; failure: PostFailure; message: string }

/** Returns a failure as a result. */
export const failed = (failure: PostFailure, message: string): Failed => ({ ok: false, failure, message })

/** Returns what an error of undici, Node or the dialer means. Its own text is not shown: it may hold addresses. */
export const failureOf = (error: unknown, host: string): Failed => {
  if (error instanceof DialError) return failed(error.failure, error.message)
  const code = codeOf(error)
  if (/TIMEOUT|ETIMEDOUT/.test(code)) return failed('timeout', `${host} did not answer in time`)
  if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED') {
    return failed('invalid_request', 'a header of the request cannot be sent')
  }
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED') return failed('closed', 'the program is stopping')
  if (tls.test(code)) return failed('tls', `no TLS connection to ${host} (${code})`)
  if (system.test(code) && !cut.test(code)) return failed('unreachable', `${host} cannot be reached (${code})`)
  return failed('broken_answer', `${host} did not send a whole answer`)
}

// Of OpenSSL, and of what it says of certificates.
const tls = /^(EPROTO$|ERR_SSL|ERR_TLS|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|INVALID_CA)/

// Node's own codes, ERR_…, are of what it makes of an answer.
const system = /^E(?!RR_)/

// By then somebody had answered the call.
const cut = /^(ECONNRESET|EPIPE)$/

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
