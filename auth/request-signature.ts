/** Signatures of requests to the Pusher HTTP API: who holds an app's secret may publish through it. */

import { createHmac, hash } from 'node:crypto'
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

/**
 * Returns undefined for a request signed with this app's secret; else what is wrong with it, for its developer.
 * `otherPaths` says what else the client may have signed for the path that arrived; it is asked only where that differs.
 */
export const verifyRequest = (
  { key, secret }: AppCredentials,
  { method, path, query, body }: SignedRequest,
  now: number = Date.now(),
  otherPaths: () => readonly string[] = () => [],
): string | undefined => {
  const claim = readClaim(query)

  if (claim.key !== key) return 'Invalid auth_key: it is missing or not the key of this app'
  if (claim.version !== '1.0') return 'Invalid auth_version: it must be 1.0'

  const seconds = Math.floor(now / 1000)
  if (!/^\d{1,15}$/.test(claim.timestamp)) return 'Invalid auth_timestamp: it must be in unix seconds'
  if (Math.abs(seconds - Number(claim.timestamp)) > requestLifetime) {
    return `Timestamp expired: Given timestamp (${claim.timestamp}) not within ${requestLifetime}s of server time (${seconds})`
  }

  if (body.length > 0 && claim.bodyDigest === undefined) return 'Missing body_md5: it is required with a body'
  if (claim.bodyDigest !== undefined && !sameDigest(claim.bodyDigest, hash('md5', body))) {
    return 'Invalid body_md5: it is not the MD5 of the body that arrived'
  }

  const textFor = (path: string): string => `${method.toUpperCase()}\n${path}\n${claim.params}`
  const isSigned = (text: string): boolean =>
    sameDigest(claim.signature, createHmac('sha256', secret).update(text).digest('hex'))
  if (isSigned(textFor(path))) return undefined
  if (otherPaths().some((other) => isSigned(textFor(other)))) return undefined
  return `Invalid signature: you should have sent HmacSHA256Hex(${JSON.stringify(textFor(path))}, your_secret_key), but you sent ${JSON.stringify(claim.signature)}`
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

/** What a query says of its signature. `params` is the part of the signed text that comes from the query. */
type Claim = {
  key: string | undefined
  version: string | undefined
  timestamp: string
  bodyDigest: string | undefined
  signature: string
  params: string
}

const readClaim = (query: string): Claim => {
  const plain = plainQuery.exec(query)
  if (plain) {
    const [, params = '', key, timestamp = '', version, bodyDigest, signature = ''] = plain
    return { key, version, timestamp, bodyDigest, signature, params }
  }
  const pairs = readQuery(query)
  const param = (name: string): string | undefined => pairs.find(([key]) => key === name)?.[1]
  return {
    key: param('auth_key'),
    version: param('auth_version'),
    timestamp: param('auth_timestamp') ?? '',
    bodyDigest: param('body_md5'),
    signature: param('auth_signature') ?? '',
    params: signedParams(pairs),
  }
}

// Nearly every request has a query like this, which is already as it was signed: nothing to decode, and in order.
const plainQuery =
  /^(auth_key=([\w-]+)&auth_timestamp=(\d{1,15})&auth_version=(1\.0)(?:&body_md5=([\da-f]{32}))?)&auth_signature=([\da-f]{64})$/

const signedParams = (pairs: [key: string, value: string][]): string => {
  const signed = pairs.filter(([key]) => key !== 'auth_signature')
  signed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return signed.map(([key, value]) => `${key}=${value}`).join('&')
}
