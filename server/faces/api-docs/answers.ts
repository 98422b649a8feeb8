/** What all answers share, said once: errors, and the headers around them. */

import { type ErrorCode, errorCodes } from '../../../schema/errors.ts'

const header = (description: string, schema: Record<string, unknown> = { type: 'string' }) => ({ description, schema })

/** The headers of answers. */
export const headers = {
  'X-Request-Id': header('Names the request; quote it when you ask for help. Yours, if you sent one.'),
  'X-RateLimit-Limit': header('Requests a minute.', { type: 'integer' }),
  'X-RateLimit-Remaining': header('Requests that are left in this minute.', { type: 'integer' }),
  'X-RateLimit-Reset': header('When the minute is over, in unix seconds.', { type: 'integer' }),
  'RateLimit-Policy': header('The same limit in the words of the IETF’s draft, such as `"default";q=120;w=60`.'),
  RateLimit: header('And what is left of it, such as `"default";r=87;t=42`.'),
  'Retry-After': header('In so many seconds it may be tried again.', { type: 'integer' }),
  'Idempotent-Replayed': header('`true` where the answer is that of the first request with this Idempotency-Key.', {
    type: 'string',
    const: 'true',
  }),
}

type HeaderName = keyof typeof headers

/** Refers to headers, for an answer that has them. */
export const withHeaders = (...names: HeaderName[]) =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))

/** The headers that answers have where requests are counted. */
export const usualHeaders = [
  'X-Request-Id',
  'X-RateLimit-Limit',
  'X-RateLimit-Remaining',
  'X-RateLimit-Reset',
  'RateLimit-Policy',
  'RateLimit',
] as const

/** What answers say where their contract says nothing. */
export const successes: Record<string, string> = { 200: 'OK.', 201: 'Created.', 202: 'Accepted.', 204: 'Done.' }

/** An error as the document tells of it. */
export type Failure = { name: string; description: string; code: ErrorCode; message: string; param?: string }

/** What an error's status means, and how one looks. */
export const failures: Record<string, Failure> = {
  400: {
    name: 'Invalid',
    description: 'Something in the request is not as it has to be; `param` says what.',
    code: 'invalid',
    message: 'limit: Too big: expected number to be <=100',
    param: 'limit',
  },
  401: {
    name: 'Unauthenticated',
    description: 'The key is missing, not known, revoked or expired.',
    code: 'unauthenticated',
    message: 'This API key is revoked.',
  },
  403: {
    name: 'Forbidden',
    description: 'The key may not do this.',
    code: 'forbidden',
    message: 'This API key lacks the scope write.',
  },
  404: {
    name: 'NotFound',
    description: 'There is no such thing within the reach of the key.',
    code: 'not_found',
    message: 'No such conversation.',
  },
  409: {
    name: 'Conflict',
    description:
      'It contradicts what there is: something else has what may be there once only (`conflict`), or the Idempotency-Key ' +
      'was used with another request (`idempotency_mismatch`) or belongs to one that still runs (`idempotency_in_progress`).',
    code: 'idempotency_mismatch',
    message: 'This Idempotency-Key was used before with a different request.',
    param: 'Idempotency-Key',
  },
  410: {
    name: 'Gone',
    description: 'It is not kept any more.',
    code: 'cursor_expired',
    message: 'The log does not reach back to this cursor: take a snapshot.',
  },
  413: {
    name: 'TooLarge',
    description: 'The body is larger than is read here.',
    code: 'too_large',
    message: 'The body is larger than 1 MiB (1048576 bytes).',
  },
  415: {
    name: 'UnsupportedMediaType',
    description: 'The body is not of a content type that is read here.',
    code: 'unsupported_media_type',
    message: 'Content-Type must be application/json.',
  },
  422: {
    name: 'Unprocessable',
    description: 'What was sent cannot be taken.',
    code: 'unprocessable',
    message: 'Message is required',
  },
  429: {
    name: 'RateLimited',
    description: 'Too many requests; `Retry-After` says when to come back.',
    code: 'rate_limited',
    message: 'More than 120 requests in a minute; try again in 17 s.',
  },
  503: {
    name: 'Unavailable',
    description: 'It cannot be done for now; try again, a write with the same Idempotency-Key.',
    code: 'unavailable',
    message: 'The database cannot be reached for now; try again.',
  },
}

/** Returns an error as the muro face would show it. */
export const failureExample = ({ code, message, param }: Failure) => ({
  error: { type: errorCodes[code].type, message, code, ...(param === undefined ? {} : { param }) },
})
