/** What a test of the realtime side says and expects on the wire, signed as an app's server would. */

import PusherServer from 'pusher'
import { signChannel } from '../../auth/channel-signature.ts'
import { app } from './start-realtime.ts'

type Credentials = { id: string; key: string; secret: string }

export const subscribe = (channel: string, more: object = {}) => ({
  event: 'pusher:subscribe',
  data: { channel, ...more },
})

export const unsubscribe = (channel: string) => ({ event: 'pusher:unsubscribe', data: { channel } })

/** A subscription that is signed, with channel data if there is some. */
export const signed = (socketId: string, channel: string, channelData?: unknown, by: Credentials = app) => {
  const channel_data = channelData === undefined ? undefined : JSON.stringify(channelData)
  return subscribe(channel, { auth: signChannel(by, socketId, channel, channel_data), channel_data })
}

/** A signin as the official SDK signs it. */
export const signin = (socketId: string, user: object, by: Credentials = app) => ({
  event: 'pusher:signin',
  data: new PusherServer({ appId: by.id, key: by.key, secret: by.secret, host: '127.0.0.1' }).authenticateUser(
    socketId,
    user as { id: string },
  ),
})

export const succeeded = (channel: string, data: unknown = {}) => ({
  event: 'pusher_internal:subscription_succeeded',
  channel,
  data: JSON.stringify(data),
})

/** The confirmation of a presence channel with these users. */
export const present = (channel: string, users: Record<string, unknown>, ids: unknown[] = Object.keys(users)) =>
  succeeded(channel, { presence: { ids, hash: users, count: ids.length } })

export const added = (channel: string, member: { user_id: unknown; user_info?: unknown }) => ({
  event: 'pusher_internal:member_added',
  channel,
  data: JSON.stringify(member),
})

export const removed = (channel: string, user_id: unknown) => ({
  event: 'pusher_internal:member_removed',
  channel,
  data: JSON.stringify({ user_id }),
})

/** An error after which the socket stays open, or that it is closed with. */
export const error = (message: unknown, code: number | null = null) => ({
  event: 'pusher:error',
  data: { message, code },
})

/** The two frames of a refusal. */
export const refused = (channel: string, status: number, message: unknown) => [
  { event: 'pusher:subscription_error', channel, data: { type: 'AuthError', error: message, status } },
  error(message),
]

/** The official server SDK, for the app of the tests or another one. */
export const sdk = (port: number, { id: appId, key, secret }: Credentials = app): PusherServer =>
  new PusherServer({ appId, key, secret, host: '127.0.0.1', port: `${port}`, encryptionMasterKeyBase64 })

const encryptionMasterKeyBase64 = Buffer.alloc(32, 'a key of the tests').toString('base64')
