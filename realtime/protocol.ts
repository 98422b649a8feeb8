/** The life of a socket in Pusher protocol 7: who may open one, what it may say, and that it says goodbye. */

import type { z } from 'zod'
import type { AppCredentials } from '../auth/channel-signature.ts'
import {
  connectedFrame,
  maxEventName,
  pongFrame,
  readClientFrame,
  subscribeData,
  unsubscribeData,
} from '../schema/frames.ts'
import { type PusherCode, pusherCodes } from '../schema/pusher-codes.ts'
import type { Hub } from './hub.ts'
import type { SlowSockets } from './slow-sockets.ts'
import { Socket } from './socket.ts'
import type { Replays } from './streams/replays.ts'
import type { Subscriptions } from './subscribe.ts'
import type { TransportHandlers, UpgradeRequest } from './transport/transport.ts'

/** After how many seconds of silence a client sends a ping. */
export const activityTimeout = 120

/** Makes the socket's side of the transport's handlers. */
export const createProtocol = ({
  app,
  hub,
  subscriptions,
  replays,
  slowSockets,
}: {
  app: Pick<AppCredentials, 'key'>
  hub: Pick<Hub, 'add' | 'remove'>
  subscriptions: Subscriptions
  replays: Pick<Replays, 'drained'>
  slowSockets: SlowSockets
}): Omit<TransportHandlers<Socket>, 'http'> => ({
  open: (wire, request) => {
    const socket = new Socket(wire)
    const refusal = upgradeRefusal(app.key, request)
    if (refusal) {
      socket.refuse(refusal.code, refusal.message)
      return socket
    }
    hub.add(socket)
    socket.send(connectedFrame(socket.id, activityTimeout))
    return socket
  },

  message: (socket, text) => {
    if (socket.closed) return
    const frame = readClientFrame(text)
    if (!frame) return socket.sendError(notAFrame)
    const { event, data } = frame
    if (event === 'pusher:ping') return socket.send(pongFrame)
    if (event === 'pusher:pong') return
    if (event === 'pusher:subscribe') {
      const request = subscribeData.safeParse(data)
      if (request.success) return subscriptions.subscribe(socket, request.data)
      return socket.sendError(invalidData(event, request.error))
    }
    if (event === 'pusher:unsubscribe') {
      const request = unsubscribeData.safeParse(data)
      if (request.success) return subscriptions.unsubscribe(socket, request.data.channel)
      return socket.sendError(invalidData(event, request.error))
    }
    if (event === 'pusher:signin') return socket.sendError('Signing in (pusher:signin) is not available')
    if (event.startsWith('client-')) return socket.sendError('Client events are not enabled for this app')
    socket.sendError(`Unknown event ${event}: a client may send pusher: and client- events`)
  },

  binary: (socket) => socket.sendError('Binary frames are not supported: send JSON as text'),

  drain: (socket) => {
    slowSockets.drained(socket)
    replays.drained(socket)
  },

  dropped: (socket) => slowSockets.dropped(socket),

  close: (socket) => {
    socket.closed = true
    slowSockets.forget(socket)
    subscriptions.forget(socket)
    hub.remove(socket)
  },
})

const notAFrame = `Not a Pusher frame: send a JSON object whose "event" has 1 to ${maxEventName} characters`

type UpgradeRefusal = { code: PusherCode; message: string }

// The WebSocket is opened all the same: a browser cannot read why an upgrade was refused.
const upgradeRefusal = (appKey: string, { path, query }: UpgradeRequest): UpgradeRefusal | undefined => {
  const key = /^\/app\/([^/]+)$/.exec(path)?.[1]
  if (key === undefined) return { code: pusherCodes.unknownPath, message: 'Path not found: connect to /app/KEY' }
  if (key !== appKey) return { code: pusherCodes.unknownApp, message: 'There is no app with this key' }

  const params = new URLSearchParams(query)
  const protocol = params.get('protocol')
  if (protocol === null) return { code: pusherCodes.missingProtocol, message: 'No protocol version supplied' }
  if (!/^[4-7]$/.test(protocol)) {
    return { code: pusherCodes.unsupportedProtocol, message: 'Unsupported protocol version: 4 to 7 are served' }
  }
  const version = params.get('version')
  if (version !== null && !/^\d+(\.\d+)*([-+.][\w.+-]*)?$/.test(version)) {
    return { code: pusherCodes.invalidVersion, message: 'Invalid version string format' }
  }
  return undefined
}

const invalidData = (event: string, { issues }: z.ZodError): string => {
  const [issue] = issues
  const field = ['data', ...(issue?.path ?? [])].map(String).join('.')
  return `Invalid ${event}: ${field}: ${issue?.message ?? 'is not valid'}`
}
