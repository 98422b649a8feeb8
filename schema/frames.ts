/** The frames of Pusher protocol 7: how each is written, and how one from a client is read. */

import { z } from 'zod'
import type { PusherCode } from './pusher-codes.ts'

/** Limits of what a client may send, in bytes of a whole frame. */
export const maxClientFrame = 32 * 1024

/** Pusher's limit on an event's name, in characters. */
export const maxEventName = 200

/** Writes an event on a channel. `data` is already JSON text; on the wire it is a JSON string, as Pusher sends it. */
export const eventFrame = (channel: string, event: string, data: string): string =>
  `{"event":${JSON.stringify(event)},"channel":${JSON.stringify(channel)},"data":${JSON.stringify(data)}}`

/** Writes the first frame of a socket. `activityTimeout` in seconds. */
export const connectedFrame = (socketId: string, activityTimeout: number): string =>
  JSON.stringify({
    event: 'pusher:connection_established',
    data: JSON.stringify({ socket_id: socketId, activity_timeout: activityTimeout }),
  })

export const pongFrame = '{"event":"pusher:pong","data":{}}'

/**
 * Writes the confirmation of a subscription. Its data is always a string: several SDKs break without. `seq` is the
 * position from which on a chat channel is heard: the `since` of a client that is cut before it has heard anything.
 */
export const subscribedFrame = (channel: string, seq?: number): string =>
  eventFrame(channel, 'pusher_internal:subscription_succeeded', JSON.stringify({ seq }))

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
  const frame = clientFrame.safeParse(parseJson(text))
  if (!frame.success) return undefined
  const { data } = frame.data
  if (typeof data !== 'string' || !frame.data.event.startsWith('pusher:')) return frame.data
  return { ...frame.data, data: parseJson(data) ?? data }
}

/** The data of `pusher:subscribe` and `pusher:unsubscribe`. */
export const subscribeData = z.object({
  channel: z.string(),
  auth: z.string().nullish(),
  channel_data: z.string().nullish(),
})

export type SubscribeData = z.infer<typeof subscribeData>

export const unsubscribeData = z.object({ channel: z.string() })

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
