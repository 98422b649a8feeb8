/** Says at once of an address that somebody enters whether it is plainly one that nothing is sent to. */

import type { PrivateHost } from '../../schema/outbound.ts'
import { createGuard } from './guard.ts'

/**
 * Makes the question: it answers why, or undefined where nothing speaks against it. No name is resolved; where one leads
 * is seen when it is dialled, each time.
 */
export const createRefusal = ({
  allowPrivate = [],
}: {
  allowPrivate?: readonly PrivateHost[]
}): ((url: string) => Promise<string | undefined>) => {
  const admit = createGuard({ allowPrivate, lookup: async (name) => [isLocal(name) ? loopback : anyPublic] })
  return async (url) => {
    const { hostname, port, protocol } = new URL(url)
    const host = hostname.replace(/^\[|\]$/g, '')
    const admission = await admit(host, Number(port) || (protocol === 'https:' ? 443 : 80))
    if (!('failure' in admission)) return undefined
    return `${admission.message}; WEBHOOK_ALLOW_PRIVATE names the private hosts that may be reached`
  }
}

// https://www.rfc-editor.org/rfc/rfc6761#section-6.3
const isLocal = (name: string): boolean => /(^|\.)localhost\.?$/i.test(name)

// What stands in for the addresses of a name: the guard judges the one, and lets the other through.
const loopback = '127.0.0.1'
const anyPublic = '1.1.1.1'
