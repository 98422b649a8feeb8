/** What both transports answer to requests that they do not pass on. */

import type { HttpReply } from './transport.ts'

/** How large a body may be unless something else is said, in bytes. */
export const defaultMaxBody = 1024 * 1024

const headers = { 'Content-Type': 'text/plain; charset=utf-8' }

/** Returns the answer to a body of more bytes than it may have. */
export const tooLarge = (maxBody: number): HttpReply => ({
  status: 413,
  headers,
  body: `The body is larger than ${maxBody} bytes`,
})

export const internalError: HttpReply = { status: 500, headers, body: 'Internal error' }
