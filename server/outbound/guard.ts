/** The guard of what is sent to addresses that strangers enter: it reaches the public internet, not what is near us. */

import { lookup as systemLookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import type { PostFailure, PrivateHost } from '../../schema/outbound.ts'

/** Resolves a name to all its addresses; rejects where it has none. */
export type Lookup = (name: string) => Promise<string[]>

/** What may be dialled for a host, or why nothing may. */
export type Admission = { addresses: string[] } | { failure: PostFailure; message: string }

/** Resolves a host once and returns those of its addresses that may be dialled at this port. */
export type Guard = (host: string, port: number) => Promise<Admission>

/** Makes the guard. `host` is a name or an address, as URL writes it but without brackets. */
export const createGuard = ({
  allowPrivate = [],
  lookup = lookupAll,
}: {
  allowPrivate?: readonly PrivateHost[]
  lookup?: Lookup
}): Guard => {
  const exemptions = allowPrivate.map(compile)

  return async (host, port) => {
    const fitting = exemptions.filter((exemption) => exemption.port === undefined || exemption.port === port)
    const isExempt = fitting.some(({ name }) => name !== undefined && name === withoutRootDot(host))
    const mayDial = (address: string) =>
      isExempt || isPublic(address) || fitting.some(({ network }) => network !== undefined && holds(network, address))

    const all = isIP(host) ? [host] : await lookup(host).catch(() => undefined)
    if (!all || all.length === 0) return { failure: 'unknown_host', message: `${host} has no address` }
    const addresses = all.filter((address) => isIP(address) && mayDial(address))
    if (addresses.length === 0) return { failure: 'refused_address', message: `${host} is not a public address` }
    return { addresses }
  }
}

/** Returns whether an address is one of the public internet and nothing else: no tunnel to, or spelling of, another. */
export const isPublic = (address: string): boolean => {
  const parsed = ipaddr.parse(address)
  // Of IPv6 only 2000::/3 has been given out; ranges such as ::/96 have no name of their own.
  return parsed.range() === 'unicast' && (parsed.kind() === 'ipv4' || parsed.match(globalUnicast))
}

const globalUnicast = ipaddr.parseCIDR('2000::/3')

type Network = ReturnType<typeof ipaddr.parseCIDR>

type Exemption = { name?: string; network?: Network; port: number | undefined }

const compile = ({ host, port }: PrivateHost): Exemption => {
  if (host.includes('/')) return { network: ipaddr.parseCIDR(host), port }
  if (!isIP(host)) return { name: withoutRootDot(host), port }
  const address = ipaddr.parse(host)
  return { network: [address, address.kind() === 'ipv4' ? 32 : 128], port }
}

const withoutRootDot = (name: string): string => name.replace(/\.$/, '')

const holds = (network: Network, address: string): boolean => {
  const parsed = ipaddr.parse(address)
  return parsed.kind() === network[0].kind() && parsed.match(network)
}

const lookupAll: Lookup = async (name) => (await systemLookup(name, { all: true })).map(({ address }) => address)
