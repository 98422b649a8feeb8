/** Pusher protocol 7 on an open socket: what a client may say, and what becomes of it. */

import type { z } from 'zod'
import {
  maxEventName,
  pongFrame,
  readClientFrame,
  signinData,
  subscribeData,
  unsubscribeData,
} from '../schema/frames.ts'
import type { ClientEvents } from './client-events.ts'
import type { Hub } from './hub.ts'
import type { AppMetrics } from './metrics.ts'
import type { SlowSockets } from './slow-sockets.ts'
import type { Socket, SocketHandlers } from './socket.ts'
import type { Subscriptions } from './subscribe.ts'
import type { Users } from './users.ts'
import type { Watchman } from './watchman.ts'

/** Makes an app's side of its sockets. `drained` hears of sockets that have room again. */
export const createProtocol = ({
  hub,
  subscriptions,
  clientEvents,
  users,
  slowSockets,
  watchman,
  drained,
  metrics,
}: {
  hub: Pick<Hub, 'remove'>
  subscriptions: Subscriptions
  clientEvents: ClientEvents
  users: Pick<Users, 'signIn' | 'forget'>
  slowSockets: SlowSockets
  watchman: Pick<Watchman, 'heard' | 'forget'>
  drained: (socket: Socket) => void
  metrics: Pick<AppMetrics, 'received' | 'receivedBytes' | 'refused'>
}): SocketHandlers => {
  const refuse = (socket: Socket, message: string): void => {
    metrics.refused('frame')
    socket.sendError(message)
  }

  const unsubscribe = (socket: Socket, { channel }: { channel: string }): void =>
    subscriptions.unsubscribe(socket, channel)

  /** Hands the data of a frame on where it has the shape of its event. */
  const take = <Data>(
    socket: Socket,
    { event, data }: { event: string; data?: unknown },
    shape: z.ZodType<Data>,
    act: (socket: Socket, data: Data) => void,
  ): void => {
    const read = shape.safeParse(data)
    if (read.success) act(socket, read.data)
    else refuse(socket, invalidData(event, read.error))
  }

  return {
    message: (socket, text) => {
      if (socket.closed) return
      metrics.received += 1
      metrics.receivedBytes += text.length
      watchman.heard(socket)
      const frame = readClientFrame(text)
      if (!frame) return refuse(socket, notAFrame)
      const { event } = frame
      if (event === 'pusher:subscribe') return take(socket, frame, subscribeData, subscriptions.subscribe)
      if (event.startsWith('client-')) return clientEvents.send(socket, frame)
      if (event === 'pusher:ping') return socket.send(pongFrame)
      if (event === 'pusher:pong') return
      if (event === 'pusher:unsubscribe') return take(socket, frame, unsubscribeData, unsubscribe)
      if (event === 'pusher:signin') return take(socket, frame, signinData, users.signIn)
      refuse(socket, `Unknown event ${event}: a client may send pusher: and client- events`)
    },

    binary: (socket) => refuse(socket, 'Binary frames are not supported: send JSON as text'),

    drain: (socket) => {
      slowSockets.drained(socket)
      drained(socket)
    },

    dropped: (socket) => slowSockets.dropped(socket),

    close: (socket) => {
      socket.closed = true
      watchman.forget(socket)
      slowSockets.forget(socket)
      clientEvents.forget(socket)
      subscriptions.forget(socket)
      hub.remove(socket)
      users.forget(socket)
    },
  }
}

const notAFrame = `Not a Pusher frame: send a JSON object whose "event" has 1 to ${maxEventName} characters`

const invalidData = (event: string, { issues }: z.ZodError): string => {
  const [issue] = issues
  const field = ['data', ...(issue?.path ?? [])].map(String).join('.')
  return `Invalid ${event}: ${field}: ${issue?.message ?? 'is not valid'}`
}
