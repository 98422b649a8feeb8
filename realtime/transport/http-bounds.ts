/** What both transports answer to requests that they do not pass on. */

import type { HttpReply } from './transport.ts'

/** How large a body may be, in bytes. */
export const maxHttpBody = 1024 * 1024

const headers = { 'Content-Type': 'text/plain; charset=utf-8' }

export const tooLarge: HttpReply = { status: 413, headers, body: `The body is larger than ${maxHttpBody} bytes` }

export const internalError: HttpReply = { status: 500, headers, body: 'Internal error' }
