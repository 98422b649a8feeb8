/** Signatures of requests to the Pusher HTTP API: who holds an app's secret may publish through it. */

import { createHash, createHmac } from 'node:crypto'
import type { AppCredentials } from './channel-signature.ts'
import { sameDigest } from './compare.ts'

/** How far a request's clock may be from ours, in seconds. */
export const requestLifetime = 600

/** A request as it came: the raw path and query, and the bytes of the body. */
export type SignedRequest = { method: string; path: string; query: string; body: Uint8Array }

/** Reads a raw query as SDKs sign it: keys in lower case, values decoded, in the order of the query. */
export const readQuery = (query: string): [key: string, value: string][] =>
  query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=')
      const [key, value] = equals === -1 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
      return [decode(key).toLowerCase(), decode(value)]
    })

/** Returns undefined for a request signed with this app's secret; else what is wrong with it, for its developer. */
export const verifyRequest = (
  { key, secret }: AppCredentials,
  { method, path, query, body }: SignedRequest,
  now: number = Date.now(),
): string | undefined => {
  const params = readQuery(query)
  const param = (name: string): string | undefined => params.find(([key]) => key === name)?.[1]

  if (param('auth_key') !== key) return 'Invalid auth_key: it is missing or not the key of this app'
  if (param('auth_version') !== '1.0') return 'Invalid auth_version: it must be 1.0'

  const timestamp = param('auth_timestamp') ?? ''
  const seconds = Math.floor(now / 1000)
  if (!/^\d{1,15}$/.test(timestamp)) return 'Invalid auth_timestamp: it must be in unix seconds'
  if (Math.abs(seconds - Number(timestamp)) > requestLifetime) {
    return `Timestamp expired: Given timestamp (${timestamp}) not within ${requestLifetime}s of server time (${seconds})`
  }

  const bodyDigest = param('body_md5')
  if (body.length > 0 && bodyDigest === undefined) return 'Missing body_md5: it is required with a body'
  if (bodyDigest !== undefined && !sameDigest(bodyDigest, createHash('md5').update(body).digest('hex'))) {
    return 'Invalid body_md5: it is not the MD5 of the body that arrived'
  }

  const text = signedText(method, path, params)
  const signature = param('auth_signature') ?? ''
  if (sameDigest(signature, createHmac('sha256', secret).update(text).digest('hex'))) return undefined
  return `Invalid signature: you should have sent HmacSHA256Hex(${JSON.stringify(text)}, your_secret_key), but you sent ${JSON.stringify(signature)}`
}

const decode = (text: string): string => {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced // Some SDKs do not escape at all: a lone % is then itself.
  }
}

const signedText = (method: string, path: string, params: [key: string, value: string][]): string => {
  const signed = params.filter(([key]) => key !== 'auth_signature')
  signed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return `${method.toUpperCase()}\n${path}\n${signed.map(([key, value]) => `${key}=${value}`).join('&')}`
}
