/** What proxies in front say of a client, and which of them are believed. */

import { isIP } from 'node:net'
import { compile } from '@fastify/proxy-addr'

/** What came in X-Forwarded-For and X-Forwarded-Proto; empty where nothing did. */
export type Forwarded = { addresses: string; proto: string }

export type Proxies = {
  /** Returns the client's address: the nearest one of those that is no trusted proxy's. `own` is the connection's. */
  addressOf(own: string, forwarded: Forwarded): string
  /** Returns whether the client came over TLS. `isTls` is whether the connection did. */
  isSecure(own: string, forwarded: Forwarded, isTls: boolean): boolean
}

/** How a transport listens: over TLS or not, and behind which proxies. */
export type Listening = { isTls: boolean; proxies: Proxies | undefined }

/** Makes the rule out of TRUST_PROXY: `true`, or addresses and networks with commas between; unset is undefined. */
export const createProxies = (trusted: string | undefined): Proxies | undefined => {
  if (trusted === undefined) return undefined
  const isTrusted = trusted === 'true' ? () => true : compile(trusted.split(',').map((one) => one.trim()))

  return {
    addressOf: (own, { addresses }) => {
      let address = own
      const hops = addresses === '' ? [] : addresses.split(',').reverse()
      for (const [index, hop] of hops.entries()) {
        if (!isTrusted(address, index)) break
        const said = plainAddress(hop.trim())
        // What is no address is nobody's: the last one that is counts.
        if (isIP(said) === 0) break
        address = said
      }
      return address
    },
    isSecure: (own, { proto }, isTls) => {
      // The nearest proxy's word is the last; what is before it may be the client's own.
      const said = proto.slice(proto.lastIndexOf(',') + 1).trim()
      return said !== '' && isTrusted(own, 0) ? /^(https|wss)$/i.test(said) : isTls
    },
  }
}

/** Returns an address without a port, and an IPv4 one that is mapped into IPv6 as itself. */
const plainAddress = (text: string): string =>
  text.replace(/^\[(.+)\](:\d+)?$/, '$1').replace(/^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)(:\d+)?$/i, '$1')
