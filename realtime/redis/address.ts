/** What a REDIS_URL says, and how a failure is told without telling its password. */

import { isIP } from 'node:net'
import { StartError } from '../../schema/errors.ts'

export type RedisAddress = {
  options: {
    host: string
    port: number
    username?: string
    password?: string
    db: number
    tls?: { servername?: string }
  }
  /** Returns why something failed, in one line and without the password. */
  reasonOf(error: unknown): string
  /** Returns another node of the same Cluster, which lets in whom this one does. */
  at(host: string, port: number): RedisAddress
}

/** Reads a REDIS_URL: one address, or those of several nodes of a Cluster, which are entered as the first one is. */
export const readRedisAddresses = (url: string): [RedisAddress, ...RedisAddress[]] => {
  // A password may have a comma.
  const [first = '', ...others] = url.split(/,\s*(?=rediss?:\/\/)/)
  const address = readRedisAddress(first)
  if (others.length === 0) return [address]
  const { db, username = '', password = '', tls } = address.options
  if (db !== 0) throw unusable('a Redis Cluster has no database but 0')
  const rest = others.map(readRedisAddress).map(({ options }) => {
    const isSame = (options.username ?? username) === username && (options.password ?? password) === password
    if (!isSame || options.db !== 0 || !options.tls !== !tls) {
      throw unusable('the nodes of a Redis Cluster have one user, one password and one scheme')
    }
    return address.at(options.host, options.port)
  })
  return [address, ...rest]
}

/** Names where an address leads, without what lets in. */
export const placeOfAddress = ({ options: { host, port } }: RedisAddress): string => `${host}:${port}`

/** Reads one address. */
export const readRedisAddress = (url: string): RedisAddress => {
  const { protocol, hostname, port, pathname, ...parsed } = parse(url)
  const host = hostname.replace(/^\[|\]$/g, '') || 'localhost'
  const username = decode(parsed.username)
  const password = decode(parsed.password)
  const at = (host: string, port: number): RedisAddress => ({
    options: {
      host,
      port,
      ...(username && { username }),
      ...(password && { password }),
      db: Number(pathname.slice(1)),
      ...(protocol === 'rediss:' && { tls: isIP(host) ? {} : { servername: host } }),
    },
    reasonOf: (error) => {
      const [line = ''] = describe(error).split('\n')
      return password ? line.replaceAll(password, '***') : line
    },
    at,
  })
  return at(host, Number(port || 6379))
}

/** Returns the one line that a start ends with where Redis cannot be used. */
export const unusable = (reason: string): StartError => new StartError(`REDIS_URL: Redis cannot be used: ${reason}`)

const malformed = () => unusable('its address must look like redis://user:password@host:6379/0, or rediss:// for TLS')

const parse = (url: string) => {
  if (!URL.canParse(url)) throw malformed()
  const { protocol, username, password, hostname, port, pathname } = new URL(url)
  if (!/^rediss?:$/.test(protocol) || !/^(\/\d*)?$/.test(pathname)) throw malformed()
  return { protocol, username, password, hostname, port, pathname }
}

const decode = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    throw malformed()
  }
}

// Where a name has several addresses and none answers, the message is empty and the code is all there is.
const describe = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  return error.message || ('code' in error ? String(error.code) : error.name)
}
