/** Client events: what one socket says to the others of a channel, without a server in between. */

import { channelKind } from '../schema/channels.ts'
import { type ClientFrame, clientEventFrame } from '../schema/frames.ts'
import { writeJson } from '../schema/json.ts'
import type { PusherApp } from '../schema/pusher-apps.ts'
import { pusherCodes } from '../schema/pusher-codes.ts'
import type { HookEvent } from '../schema/pusher-hooks.ts'
import type { AppMetrics } from './metrics.ts'
import { createRate } from './rate.ts'
import type { Relay } from './relay.ts'
import type { Socket } from './socket.ts'

export type ClientEvents = {
  /** Relays an event or tells its sender why not; the socket stays open. */
  send(socket: Socket, frame: ClientFrame): void
  forget(socket: Socket): void
}

/** Makes the client events of an app. `tell` is told of each for the app's webhooks; undefined where it has none. */
export const createClientEvents = ({
  app,
  relay,
  metrics,
  tell,
  now,
}: {
  app: Pick<
    PusherApp,
    'enableClientMessages' | 'maxClientEventsPerSecond' | 'maxEventNameLength' | 'maxEventPayloadInKb'
  >
  relay: Pick<Relay, 'publish'>
  metrics: Pick<AppMetrics, 'clientEvents' | 'refused'>
  tell: ((event: HookEvent) => void) | undefined
  now?: () => number
}): ClientEvents => {
  const rate = createRate<Socket>({ perSecond: app.maxClientEventsPerSecond, ...(now && { now }) })

  const refusalOf = (socket: Socket, { event, channel }: ClientFrame, data: string | undefined): string | undefined => {
    if (!app.enableClientMessages) return 'Client events are not enabled for this app'
    if (event.length > app.maxEventNameLength) {
      return `Client event rejected - its name has more than ${app.maxEventNameLength} characters`
    }
    const kind = channel === undefined ? undefined : channelKind(channel)
    if (channel === undefined || kind?.access === 'public' || kind?.encrypted) {
      return 'Client event rejected - only supported on private and presence channels, not on encrypted ones'
    }
    if (!socket.channels.has(channel)) {
      return `Cannot broadcast client event (connection not subscribed to channel ${channel})`
    }
    if (socket.channels.get(channel)?.isMute) return `Client event rejected - you may only listen on ${channel}`
    const bytes = data === undefined ? 0 : Buffer.byteLength(data)
    const most = app.maxEventPayloadInKb * 1024
    return bytes > most ? `Client event rejected - its data has ${bytes} bytes, ${most} are allowed` : undefined
  }

  return {
    send: (socket, frame) => {
      const data = frame.data === undefined ? undefined : writeJson(frame.data)
      const isNested = data === undefined && frame.data !== undefined
      const refusal = isNested
        ? 'Client event rejected - its data is nested too deeply'
        : refusalOf(socket, frame, data)
      if (refusal !== undefined || frame.channel === undefined) {
        metrics.refused('client_event')
        socket.sendError(refusal ?? '')
        return
      }
      const { event, channel } = frame
      if (!rate.take(socket)) {
        metrics.refused(`${pusherCodes.clientEventRefused}`)
        socket.sendError(
          `Client event rejected due to rate limit: ${app.maxClientEventsPerSecond} a second are allowed`,
          pusherCodes.clientEventRefused,
        )
        return
      }
      const user_id = socket.channels.get(channel)?.user
      metrics.clientEvents += 1
      relay.publish(channel, clientEventFrame(channel, event, data, user_id), socket.id)
      if (!tell) return
      const said = typeof frame.data === 'string' ? frame.data : (data ?? '')
      const from = user_id === undefined ? {} : { user_id }
      tell({ name: 'client_event', channel, event, data: said, socket_id: socket.id, ...from })
    },
    forget: rate.forget,
  }
}
