/** The hub: who is on which channel in this process, and one publish for all of them. */

import type { PusherCode } from '../schema/pusher-codes.ts'
import type { Metrics } from './metrics.ts'
import type { KeyHold, Socket } from './socket.ts'
import type { Transport } from './transport/transport.ts'

export type Hub = {
  add(socket: Socket): void
  /** Forgets a socket that was closed, and all its memberships. */
  remove(socket: Socket): void
  /** Joins a socket to a channel; `workspace` is whose events it hears there, `key` what opened it. */
  join(
    socket: Socket,
    channel: string,
    membership?: { workspace?: string | undefined; key?: KeyHold | undefined },
  ): void
  leave(socket: Socket, channel: string): void
  leaveAll(socket: Socket): void
  /** Returns how many sockets of this process are on a channel. */
  count(channel: string): number
  /** Returns whose events are heard on a channel here; undefined where none are or nobody is on it. */
  workspace(channel: string): string | undefined
  /** Sends a frame to every local socket of a channel, except to one. */
  publish(channel: string, frame: string, exceptSocketId?: string): void
  closeAll(code: PusherCode, message: string): void
}

/** Makes a hub. `left` is told of every membership that ends. */
export const createHub = ({
  transport,
  metrics,
  left,
}: {
  transport: Pick<Transport, 'publish'>
  metrics: Pick<Metrics, 'sockets'>
  left: (membership: {
    socket: Socket
    channel: string
    workspace: string | undefined
    key: KeyHold | undefined
  }) => void
}): Hub => {
  const sockets = new Map<string, Socket>()
  const channels = new Map<string, { count: number; workspace: string | undefined }>()

  const leave = (socket: Socket, channel: string): void => {
    const key = socket.channels.get(channel)
    if (!socket.channels.delete(channel)) return
    socket.wire.unsubscribe(channel)
    const local = channels.get(channel)
    if (!local) return
    local.count -= 1
    if (local.count === 0) channels.delete(channel)
    left({ socket, channel, workspace: local.workspace, key })
  }

  const leaveAll = (socket: Socket): void => {
    for (const channel of socket.channels.keys()) leave(socket, channel)
  }

  return {
    add: (socket) => {
      sockets.set(socket.id, socket)
      metrics.sockets.inc()
    },
    remove: (socket) => {
      if (sockets.delete(socket.id)) metrics.sockets.dec()
      leaveAll(socket)
    },
    join: (socket, channel, { workspace, key } = {}) => {
      if (socket.channels.has(channel)) return
      socket.channels.set(channel, key)
      socket.wire.subscribe(channel)
      const local = channels.get(channel)
      if (local) local.count += 1
      else channels.set(channel, { count: 1, workspace })
    },
    leave,
    leaveAll,
    count: (channel) => channels.get(channel)?.count ?? 0,
    workspace: (channel) => channels.get(channel)?.workspace,
    publish: (channel, frame, exceptSocketId) => {
      if (!channels.has(channel)) return
      const except = exceptSocketId === undefined ? undefined : sockets.get(exceptSocketId)
      transport.publish(channel, frame, except?.wire)
    },
    closeAll: (code, message) => {
      for (const socket of [...sockets.values()]) socket.close(code, message)
    },
  }
}
