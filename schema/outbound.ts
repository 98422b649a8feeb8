/** What the program sends to others over HTTP: the one `post`, how it ends, and the private hosts that it may reach. */

import { z } from 'zod'

/** Why there is no answer. `timeout` also stands for an answer that began but did not end in time. */
export const postFailures = [
  'invalid_url',
  'invalid_request',
  'refused_address',
  'unknown_host',
  'unreachable',
  'tls',
  'broken_answer',
  'timeout',
  'closed',
] as const

export type PostFailure = (typeof postFailures)[number]

/**
 * How a post ended. With an answer: its status, the first 4,096 bytes of its body as text, whether the status is a 2xx,
 * and for how many seconds it asks to be left alone (Retry-After); redirects are not followed. Without one: why. A
 * message names the host at most and may be shown to whoever entered the address.
 */
export type PostResult =
  | { ok: boolean; status: number; body: string; retryAfter?: number }
  | { ok: false; failure: PostFailure; message: string }

/** Posts a body and never rejects; after `timeout` ms it has ended, whatever the other side does. */
export type Post = (
  url: string,
  request: { headers: Record<string, string>; body: string | Uint8Array; timeout: number },
) => Promise<PostResult>

/** Hosts that may be reached although they are private: a name, an address or a network; undefined: any port. */
export type PrivateHost = { host: string; port: number | undefined }

/** Reads WEBHOOK_ALLOW_PRIVATE: names, addresses and networks, comma-separated, each with `:port` or without. */
export const privateHosts = z.string().transform((text, context): PrivateHost[] =>
  text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .flatMap((entry) => {
      const host = readPrivateHost(entry)
      if (host) return [host]
      context.addIssue({
        code: 'custom',
        message: `${entry} is not a name, an address or a network, or its port is none`,
      })
      return []
    }),
)

const readPrivateHost = (entry: string): PrivateHost | undefined => {
  // Without brackets every colon of an IPv6 address is its own.
  if (isIpv6(entry)) return { host: entry.toLowerCase(), port: undefined }
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(entry) ?? []
  const port = digits === undefined ? undefined : Number(digits)
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined
  if (bracketed !== undefined) return isIpv6(bracketed) ? { host: bracketed.toLowerCase(), port } : undefined
  if (plain === undefined || !(isIpv4(plain) || isName(plain))) return undefined
  return { host: plain.toLowerCase(), port }
}

const ipv6 = z.union([z.ipv6(), z.cidrv6()])
const ipv4 = z.union([z.ipv4(), z.cidrv4()])

const isIpv6 = (text: string): boolean => ipv6.safeParse(text).success
const isIpv4 = (text: string): boolean => ipv4.safeParse(text).success

// A name that ends in a number is an address in a spelling that URL would rewrite: it could never fit.
const isName = (text: string): boolean => /^([\w-]+\.)*[\w-]*[a-z_-][\w-]*$/i.test(text) && !/^0x[\da-f]*$/i.test(text)
