/** Signatures of subscriptions: who holds an app's secret may let a socket into a channel. */

import { createHmac } from 'node:crypto'
import { sameDigest } from './compare.ts'

/** What signs for an app. The key is public, the secret is not. */
export type AppCredentials = { key: string; secret: string }

/** What the signature on a subscription turned out to be. */
export type ChannelSignature = 'valid' | 'missing' | 'wrong_key' | 'wrong_signature'

/** Returns `auth` for a subscription: `<key>:<hex>`. Channel data is signed with it whenever there is some. */
export const signChannel = (
  { key, secret }: AppCredentials,
  socketId: string,
  channel: string,
  channelData?: string | null,
): string => `${key}:${channelDigest(secret, socketId, channel, channelData)}`

/** Returns whether `auth` was made with this app's key and secret for exactly this socket, channel and data. */
export const verifyChannel = (
  { key, secret }: AppCredentials,
  auth: string | null | undefined,
  socketId: string,
  channel: string,
  channelData?: string | null,
): ChannelSignature => {
  if (!auth) return 'missing'
  const colon = auth.indexOf(':')
  if (colon === -1 || auth.slice(0, colon) !== key) return 'wrong_key'
  const expected = channelDigest(secret, socketId, channel, channelData)
  return sameDigest(auth.slice(colon + 1), expected) ? 'valid' : 'wrong_signature'
}

const channelDigest = (secret: string, socketId: string, channel: string, channelData?: string | null): string =>
  createHmac('sha256', secret)
    .update(signedText(socketId, channel, channelData))
    .digest('hex')

const signedText = (socketId: string, channel: string, channelData?: string | null): string =>
  channelData === null || channelData === undefined ? `${socketId}:${channel}` : `${socketId}:${channel}:${channelData}`
