/** The frames of Pusher protocol 7: how each is written, and how one from a client is read. */

import { z } from 'zod'
import { readJson } from './json.ts'
import type { PusherCode } from './pusher-codes.ts'
import type { MemberData } from './users.ts'

/** Limits of what a client may send, in bytes of a whole frame. */
export const maxClientFrame = 32 * 1024

/** Pusher's limit on an event's name, in characters. */
export const maxEventName = 200

/** Writes an event on a channel. `data` is already JSON text; on the wire it is a JSON string, as Pusher sends it. */
export const eventFrame = (channel: string, event: string, data: string): string =>
  `{"event":${JSON.stringify(event)},"channel":${JSON.stringify(channel)},"data":${JSON.stringify(data)}}`

/** Writes the first frame of a socket, whose id is digits and a dot. `activityTimeout` in seconds. */
export const connectedFrame = (socketId: string, activityTimeout: number): string =>
  `{"event":"pusher:connection_established","data":"{\\"socket_id\\":\\"${socketId}\\",\\"activity_timeout\\":${activityTimeout}}"}`

export const pongFrame = '{"event":"pusher:pong","data":{}}'

/**
 * Writes the confirmation of a subscription. Its data is always a string: several SDKs break without. `seq` is the
 * position from which on a chat channel is heard: the `since` of a client that is cut before it has heard anything.
 */
export const subscribedFrame = (channel: string, seq?: number): string => {
  const data = seq === undefined ? '' : `\\"seq\\":${seq}`
  return `{"event":"pusher_internal:subscription_succeeded","channel":${JSON.stringify(channel)},"data":"{${data}}"}`
}

/** Writes the confirmation of a subscription to a presence channel. */
export const presentFrame = (channel: string, members: readonly MemberData[]): string => {
  // By hand, since a user may be called `__proto__`.
  const hash = members.map(
    ({ user_id, user_info = {} }) => `${JSON.stringify(`${user_id}`)}:${JSON.stringify(user_info)}`,
  )
  const ids = JSON.stringify(members.map(({ user_id }) => user_id))
  const data = `{"presence":{"ids":${ids},"hash":{${hash.join(',')}},"count":${members.length}}}`
  return eventFrame(channel, 'pusher_internal:subscription_succeeded', data)
}

/** Write who has come to a presence channel, and who has left it. */
export const memberAddedFrame = (channel: string, member: MemberData): string =>
  eventFrame(channel, 'pusher_internal:member_added', JSON.stringify(member))
export const memberRemovedFrame = (channel: string, user_id: string | number): string =>
  eventFrame(channel, 'pusher_internal:member_removed', JSON.stringify({ user_id }))

/** Writes that nothing is kept on a cache channel; it has no data. */
export const cacheMissFrame = (channel: string): string => JSON.stringify({ event: 'pusher:cache_miss', channel })

/** Writes how many sockets are on a channel. */
export const subscriptionCountFrame = (channel: string, subscriptions: number): string =>
  eventFrame(channel, 'pusher_internal:subscription_count', JSON.stringify({ subscription_count: subscriptions }))

/** Writes that a user has signed in; its data is an object, as Pusher sends it. */
export const signedInFrame = (userData: string): string =>
  JSON.stringify({ event: 'pusher:signin_success', data: { user_data: userData } })

/** Writes which users of a watchlist have come, and which are gone. */
export const watchlistFrame = (events: readonly { name: 'online' | 'offline'; user_ids: string[] }[]): string =>
  JSON.stringify({ event: 'pusher_internal:watchlist_events', data: JSON.stringify({ events }) })

/** Writes what a client says to the other sockets of a channel; data is what it sent, as JSON. */
export const clientEventFrame = (
  channel: string,
  event: string,
  data: string | undefined,
  user_id: string | number | undefined,
): string => {
  const from = user_id === undefined ? '' : `,"user_id":${JSON.stringify(user_id)}`
  const said = data === undefined ? '' : `,"data":${data}`
  return `{"event":${JSON.stringify(event)},"channel":${JSON.stringify(channel)}${said}${from}}`
}

export const pingFrame = '{"event":"pusher:ping","data":{}}'

/** Writes the refusal of a subscription: 400 name, 401 signature or key, 403 rule, 413 limit. */
export const refusedFrame = (channel: string, error: string, status: number): string =>
  JSON.stringify({ event: 'pusher:subscription_error', channel, data: { type: 'AuthError', error, status } })

/** Writes an error. With code null the socket stays open; else the code is also the one it is closed with. */
export const errorFrame = (message: string, code: PusherCode | null): string =>
  JSON.stringify({ event: 'pusher:error', data: { message, code } })

const clientFrame = z.object({
  event: z.string().min(1).max(maxEventName),
  channel: z.string().optional(),
  data: z.unknown().optional(),
})

export type ClientFrame = z.infer<typeof clientFrame>

/** Reads a frame from a client; undefined if it is not one. Data that is JSON inside a string is unwrapped. */
export const readClientFrame = (text: string): ClientFrame | undefined => {
  const frame = clientFrame.safeParse(readJson(text))
  if (!frame.success) return undefined
  const { data } = frame.data
  if (typeof data !== 'string' || !frame.data.event.startsWith('pusher:')) return frame.data
  return { ...frame.data, data: readJson(data) ?? data }
}

/** The data of `pusher:subscribe` and `pusher:unsubscribe`. */
export const subscribeData = z.object({
  channel: z.string(),
  auth: z.string().nullish(),
  channel_data: z.string().nullish(),
})

export type SubscribeData = z.infer<typeof subscribeData>

export const unsubscribeData = z.object({ channel: z.string() })

/** The data of `pusher:signin`. */
export const signinData = z.object({ auth: z.string(), user_data: z.string() })

export type SigninData = z.infer<typeof signinData>
