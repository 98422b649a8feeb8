/** Why a subscription is refused. */

import { type AppCredentials, verifyChannel } from '../auth/channel-signature.ts'
import { type ChannelGrant, grantLifetime } from '../schema/channel-auth.ts'
import { type ChannelKind, type ChatChannel, channelName } from '../schema/channels.ts'
import type { SubscribeData } from '../schema/frames.ts'
import type { Socket } from './socket.ts'

/** 400 name, 401 signature or key, 403 rule, 413 limit, 503 not now. */
export type Refusal = { status: 400 | 401 | 403 | 413 | 503; error: string }

export const unavailable: Refusal = { status: 503, error: 'Not available now, try again' }

export const brokenGrant: Refusal = { status: 401, error: 'The grant in channel_data is broken' }

/** Returns what is wrong with the name of a channel. */
export const nameRefusal = (channel: string, maxLength: number): Refusal | undefined => {
  if (channelName.test(channel) && channel.length <= maxLength) return undefined
  if (channel.startsWith('#')) return { status: 400, error: 'Names with # are for the channels of users who sign in' }
  return { status: 400, error: `A channel name has 1 to ${maxLength} characters of A-Z a-z 0-9 _ - = @ , . ;` }
}

/** Returns what is wrong with the signature on a subscription. */
export const signatureRefusal = (
  app: AppCredentials,
  socket: Socket,
  { channel, auth, channel_data }: SubscribeData,
  { access }: ChannelKind,
): Refusal | undefined => {
  if (access === 'public') return undefined
  const signature = verifyChannel(app, auth, socket.id, channel, channel_data)
  if (signature === 'valid') return undefined
  if (signature === 'missing') return { status: 401, error: `Subscribing to ${channel} needs a signature (auth)` }
  if (signature === 'wrong_key') return { status: 401, error: 'Invalid key in subscription auth data' }
  const signed = typeof channel_data === 'string' ? `${socket.id}:${channel}:<channel_data>` : `${socket.id}:${channel}`
  return { status: 401, error: `Invalid signature: Expected HMAC SHA256 hex digest of ${signed}` }
}

/** Returns whose chat a grant lets hear on a channel, or why it does not. */
export const grantedWorkspace = (
  { audience, id }: ChatChannel,
  grant: ChannelGrant,
  seconds: number,
): string | Refusal => {
  if (Math.abs(seconds - grant.iat) > grantLifetime) {
    return { status: 401, error: `The grant in channel_data is not of the last ${grantLifetime} seconds` }
  }
  if (grant.exp !== undefined && grant.exp <= seconds) return { status: 401, error: 'API key expired' }
  if (audience === 'org' && grant.workspace !== id) return { status: 403, error: `${id} is not of this workspace` }
  return grant.workspace
}
