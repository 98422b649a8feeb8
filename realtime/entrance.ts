/** The entrance: which sockets are let in, for which app, and what the others are told. */

import { networkOf } from '../auth/networks.ts'
import { connectedFrame } from '../schema/frames.ts'
import type { PusherApp } from '../schema/pusher-apps.ts'
import { type PusherCode, pusherCodes } from '../schema/pusher-codes.ts'
import type { AppSide } from './app.ts'
import { Socket, type SocketHandlers } from './socket.ts'
import type { TransportHandlers, UpgradeRequest, Wire } from './transport/transport.ts'
import { activityTimeout } from './watchman.ts'

/** What the entrance needs of an app. */
export type EnteredApp = Pick<AppSide, 'app' | 'handlers' | 'hasRoom' | 'open'> & {
  metrics: Pick<AppSide['metrics'], 'refused'>
}

export type Entrance = Omit<TransportHandlers<Socket>, 'http'> & {
  /** Lets nobody in any more. */
  shut(): void
}

/** Makes the transport's handlers. `apps` are by their key, `pathPrefix` is what a proxy may have left in front. */
export const createEntrance = ({
  apps,
  pathPrefix = '',
  maxSocketsPerIp = Number.POSITIVE_INFINITY,
}: {
  apps: ReadonlyMap<string, EnteredApp>
  pathPrefix?: string | undefined
  maxSocketsPerIp?: number | undefined
}): Entrance => {
  let isShut = false
  // Kept here and not at the socket: most installations have no such limit.
  const addresses = new Map<Socket, string>()
  const perAddress = new Map<string, number>()

  const open = (wire: Wire, request: UpgradeRequest): Socket => {
    const key = keyOf(request.path, pathPrefix)
    const side = key === undefined ? undefined : apps.get(key)
    if (!side) return turnAway(wire, key === undefined ? unknownPath : unknownApp)
    if (isShut) return turnAway(wire, closing)
    const protocol = protocolOf(request.query)
    // Who asks is found out only where it matters.
    const address = maxSocketsPerIp === Number.POSITIVE_INFINITY ? undefined : networkOf(request.address)
    const refusal =
      appRefusal(side, request) ?? (typeof protocol === 'number' ? undefined : protocol) ?? addressRefusal(address)
    if (refusal) {
      side.metrics.refused(`${refusal.code}`)
      return turnAway(wire, refusal)
    }
    const socket = new Socket(wire, side.handlers, { pings: protocol !== 4 })
    if (address !== undefined) {
      addresses.set(socket, address)
      perAddress.set(address, (perAddress.get(address) ?? 0) + 1)
    }
    side.open(socket)
    socket.send(connectedFrame(socket.id, activityTimeout))
    return socket
  }

  const addressRefusal = (address: string | undefined): Refusal | undefined => {
    if (address === undefined || (perAddress.get(address) ?? 0) < maxSocketsPerIp) return undefined
    return { code: pusherCodes.overCapacity, message: `An address may have ${maxSocketsPerIp} sockets at most` }
  }

  const forget = (socket: Socket): void => {
    const address = addresses.get(socket)
    if (address === undefined) return
    addresses.delete(socket)
    const left = (perAddress.get(address) ?? 0) - 1
    if (left > 0) perAddress.set(address, left)
    else perAddress.delete(address)
  }

  return {
    open,
    message: (socket, text) => socket.app.message(socket, text),
    binary: (socket) => socket.app.binary(socket),
    drain: (socket) => socket.app.drain(socket),
    dropped: (socket) => socket.app.dropped(socket),
    close: (socket) => {
      socket.app.close(socket)
      forget(socket)
    },
    shut: () => {
      isShut = true
    },
  }
}

type Refusal = { code: PusherCode; message: string }

const unknownPath: Refusal = { code: pusherCodes.unknownPath, message: 'Path not found: connect to /app/KEY' }
const unknownApp: Refusal = { code: pusherCodes.unknownApp, message: 'There is no app with this key' }

// After a second, since a balancer may take a while to see that this node is not ready.
const closing: Refusal = { code: pusherCodes.overCapacity, message: 'This node is about to stop: connect again' }

// The WebSocket is opened all the same: a browser cannot read why an upgrade was refused.
const turnAway = (wire: Wire, { code, message }: Refusal): Socket => {
  const socket = new Socket(wire, deaf)
  socket.refuse(code, message)
  return socket
}

const nothing = (): void => undefined

const deaf: SocketHandlers = { message: nothing, binary: nothing, drain: nothing, dropped: nothing, close: nothing }

const keyOf = (path: string, pathPrefix: string): string | undefined => {
  const own = pathPrefix !== '' && path.startsWith(`${pathPrefix}/`) ? path.slice(pathPrefix.length) : path
  return /^\/app\/([^/]+)$/.exec(own)?.[1]
}

const appRefusal = ({ app, hasRoom }: EnteredApp, request: UpgradeRequest): Refusal | undefined => {
  if (!app.enabled) return { code: pusherCodes.appDisabled, message: 'This app is disabled' }
  if (app.forceTLS && !request.isSecure)
    return { code: pusherCodes.tlsOnly, message: 'This app only accepts TLS: use wss://' }
  if (app.allowedOrigins && !isAllowed(request.origin, app.allowedOrigins)) {
    return { code: pusherCodes.unauthorized, message: 'Connections from this origin are not allowed' }
  }
  return hasRoom() ? undefined : { code: pusherCodes.overQuota, message: 'This app has as many sockets as it may have' }
}

/**
 * Returns whether an origin is one of those allowed: `*` is any, and stands for any part of a host. What names a host
 * alone, as soketi and Reverb have it, is that host with any scheme and port.
 */
export const isAllowed = (origin: string, allowed: NonNullable<PusherApp['allowedOrigins']>): boolean =>
  allowed.some((one) => {
    if (one === '*') return true
    const pattern = one
      .split('*')
      .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
      .join('[^/:]+')
    const whole = one.includes('://') ? pattern : `[a-z]+://${pattern}${one.includes(':') ? '' : '(?::\\d+)?'}`
    return new RegExp(`^${whole}$`, 'i').test(origin)
  })

// What pusher-js sends, with room for its name and version.
const usualQuery = /^protocol=7&client=[\w.-]+&version=\d+\.\d+\.\d+(?:&flash=false)?$/

/** Returns the version of the protocol that a client speaks, or what is wrong with it. */
const protocolOf = (query: string): number | Refusal => {
  if (usualQuery.test(query)) return 7
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
  return Number(protocol)
}
