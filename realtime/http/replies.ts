/** What the HTTP API answers with. */

import type { HttpReply } from '../transport/transport.ts'

/** The answer to what is done and has nothing to tell. Exactly this: official SDKs are tested against it. */
export const done: HttpReply = { status: 200, headers: { 'Content-Type': 'application/json' }, body: '{}' }

/** Returns an answer in JSON; `body` is its text. */
export const json = (status: number, body: string): HttpReply => ({ status, headers: done.headers, body })

/** Returns a refusal, or another answer, in words. */
export const text = (status: number, body: string, headers: Record<string, string> = {}): HttpReply => ({
  status,
  headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers },
  body,
})

/** Returns the answer to a method that a path does not have. */
export const methodNotAllowed = (allow: string): HttpReply =>
  text(405, `Method not allowed: use ${allow}`, { Allow: allow })

/** Returns the refusal of a request that another try may get through. */
export const tryLater = (body: string): HttpReply => text(503, body, { 'Retry-After': '1' })
