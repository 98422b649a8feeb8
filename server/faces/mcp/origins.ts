/** Which web pages may call: browsers say in `Origin` on which page a request was made. */

import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'

/** Decides whether a request may come from where it says; programs say nothing, and pass. */
export type OriginRule = (request: Pick<FastifyRequest, 'headers' | 'host' | 'hostname'>) => boolean

/**
 * Makes the rule: the origins that are named may call, and pages of the very address that was called. That address has
 * to be an IP address or localhost: a name may be led here by somebody else's DNS (rebinding), so that a page of theirs
 * would be of our host. Who is reached by a name names it: it is the PUBLIC_URL.
 */
export const createOriginRule = (named: readonly string[]): OriginRule => {
  const known = new Set(named.map((origin) => new URL(origin).origin))
  return ({ headers: { origin }, host, hostname }) =>
    origin === undefined || known.has(origin) || (isFixed(hostname) && hostOf(origin) === host)
}

const isFixed = (hostname: string): boolean =>
  isIP(hostname.replace(/^\[(.*)\]$/, '$1')) !== 0 || hostname === 'localhost' || hostname.endsWith('.localhost')

const hostOf = (origin: string): string | undefined => {
  try {
    return new URL(origin).host
  } catch {
    return undefined
  }
}
