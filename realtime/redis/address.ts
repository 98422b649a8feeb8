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
}

/** Reads a REDIS_URL. */
export const readRedisAddress = (url: string): RedisAddress => {
  const { protocol, hostname, port, pathname, ...parsed } = parse(url)
  const host = hostname.replace(/^\[|\]$/g, '') || 'localhost'
  const username = decode(parsed.username)
  const password = decode(parsed.password)
  return {
    options: {
      host,
      port: Number(port || 6379),
      ...(username && { username }),
      ...(password && { password }),
      db: Number(pathname.slice(1)),
      ...(protocol === 'rediss:' && { tls: isIP(host) ? {} : { servername: host } }),
    },
    reasonOf: (error) => {
      const [line = ''] = describe(error).split('\n')
      return password ? line.replaceAll(password, '***') : line
    },
  }
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
