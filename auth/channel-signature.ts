/** Signatures of subscriptions and signins: who holds an app's secret may let a socket in. */

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
): string => `${key}:${digestOf(secret, signedText(socketId, channel, channelData))}`

/** Returns whether `auth` was made with this app's key and secret for exactly this socket, channel and data. */
export const verifyChannel = (
  app: AppCredentials,
  auth: string | null | undefined,
  socketId: string,
  channel: string,
  channelData?: string | null,
): ChannelSignature => verify(app, auth, signedText(socketId, channel, channelData))

/** Returns whether `auth` was made with this app's key and secret for exactly this socket and user. */
export const verifyUser = (app: AppCredentials, auth: string, socketId: string, userData: string): ChannelSignature =>
  verify(app, auth, `${socketId}::user::${userData}`)

const verify = ({ key, secret }: AppCredentials, auth: string | null | undefined, text: string): ChannelSignature => {
  if (!auth) return 'missing'
  const colon = auth.indexOf(':')
  if (colon === -1 || auth.slice(0, colon) !== key) return 'wrong_key'
  return sameDigest(auth.slice(colon + 1), digestOf(secret, text)) ? 'valid' : 'wrong_signature'
}

const digestOf = (secret: string, text: string): string => createHmac('sha256', secret).update(text).digest('hex')

const signedText = (socketId: string, channel: string, channelData?: string | null): string =>
  channelData === null || channelData === undefined ? `${socketId}:${channel}` : `${socketId}:${channel}:${channelData}`
