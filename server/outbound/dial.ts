/** Dialling: a connection goes to an address that the guard has just let through, never to one resolved again. */

import { isIP, type LookupFunction } from 'node:net'
import { buildConnector } from 'undici'
import type { PostFailure } from '../../schema/outbound.ts'
import type { Guard } from './guard.ts'

/** Why nothing was dialled. */
export class DialError extends Error {
  readonly failure: PostFailure

  constructor(failure: PostFailure, message: string) {
    super(message)
    this.name = 'DialError'
    this.failure = failure
  }
}

/** Returns the connector of an undici agent that asks the guard before each connection. */
export const createDialer =
  (admit: Guard): buildConnector.connector =>
  (options, callback) => {
    const port = Number(options.port) || (options.protocol === 'https:' ? 443 : 80)
    const dial = async () => {
      const admission = await admit(options.hostname.replace(/^\[|\]$/g, ''), port)
      if ('failure' in admission) throw new DialError(admission.failure, admission.message)
      // One connector for each connection, since its lookup must answer with what was checked for just this one.
      buildConnector({ lookup: answering(admission.addresses), maxCachedSessions: 0 })(options, callback)
    }
    dial().catch((error: Error) => callback(error, null))
  }

// What stands in for the resolver: an address needs none, and a name has been resolved.
const answering = (addresses: string[]): LookupFunction => {
  const found = addresses.map((address) => ({ address, family: isIP(address) }))
  return (_name, options, callback) => {
    const [first] = found
    if (options.all) callback(null, found)
    else callback(null, first?.address ?? '', first?.family ?? 0)
  }
}
