/** The hub: which sockets of an app are on which channel in this process, and one publish for all of them. */

import type { PusherCode } from '../schema/pusher-codes.ts'
import type { AppMetrics } from './metrics.ts'
import type { Membership, Socket } from './socket.ts'
import type { Transport } from './transport/transport.ts'

export type Hub = {
  add(socket: Socket): void
  /** Forgets a socket that was closed, and all its memberships. */
  remove(socket: Socket): void
  /** Joins a socket to a channel; `workspace` is whose events are heard there. */
  join(socket: Socket, channel: string, membership?: Membership, workspace?: string): void
  leave(socket: Socket, channel: string): void
  leaveAll(socket: Socket): void
  /** Returns the sockets that are open. */
  sockets(): IterableIterator<Socket>
  size(): number
  /** Returns how many sockets of this process are on a channel. */
  count(channel: string): number
  /** Returns whose events are heard on a channel here; undefined where none are or nobody is on it. */
  workspace(channel: string): string | undefined
  /** Sends a frame to every local socket of a channel, except to one. */
  publish(channel: string, frame: string, exceptSocketId?: string): void
  closeAll(code: PusherCode, message: string): void
}

/** A membership that ended. */
export type Left = {
  socket: Socket
  channel: string
  membership: Membership | undefined
  workspace: string | undefined
}

/** Makes the hub of an app. `counted` is told how many are on a channel now, `left` of every membership that ends. */
export const createHub = ({
  appId,
  transport,
  metrics,
  counted,
  left,
}: {
  appId: string
  transport: Pick<Transport, 'publish'>
  metrics: Pick<AppMetrics, 'sockets' | 'subscriptions' | 'sent' | 'sentBytes'>
  counted: (channel: string, sockets: number) => void
  left: (left: Left) => void
}): Hub => {
  const sockets = new Map<string, Socket>()
  const channels = new Map<string, { count: number; workspace: string | undefined }>()
  // Apps share the transport: what is one's topic is no other's.
  const topicOf = (channel: string): string => `${appId}:${channel}`

  const leave = (socket: Socket, channel: string): void => {
    const membership = socket.channels.get(channel)
    if (!socket.channels.delete(channel)) return
    socket.wire.unsubscribe(topicOf(channel))
    const local = channels.get(channel)
    if (!local) return
    local.count -= 1
    metrics.subscriptions -= 1
    if (local.count === 0) channels.delete(channel)
    counted(channel, local.count)
    left({ socket, channel, membership, workspace: local.workspace })
  }

  const leaveAll = (socket: Socket): void => {
    for (const channel of socket.channels.keys()) leave(socket, channel)
  }

  return {
    add: (socket) => {
      sockets.set(socket.id, socket)
      metrics.sockets += 1
    },
    remove: (socket) => {
      if (sockets.delete(socket.id)) metrics.sockets -= 1
      leaveAll(socket)
    },
    join: (socket, channel, membership, workspace) => {
      if (socket.channels.has(channel)) return
      socket.channels.set(channel, membership)
      socket.wire.subscribe(topicOf(channel))
      metrics.subscriptions += 1
      const local = channels.get(channel)
      if (local) local.count += 1
      else channels.set(channel, { count: 1, workspace })
      counted(channel, local?.count ?? 1)
    },
    leave,
    leaveAll,
    sockets: () => sockets.values(),
    size: () => sockets.size,
    count: (channel) => channels.get(channel)?.count ?? 0,
    workspace: (channel) => channels.get(channel)?.workspace,
    publish: (channel, frame, exceptSocketId) => {
      const local = channels.get(channel)
      if (!local) return
      metrics.sent += local.count
      metrics.sentBytes += local.count * frame.length
      const except = exceptSocketId ? sockets.get(exceptSocketId) : undefined
      transport.publish(topicOf(channel), frame, except?.wire)
    },
    closeAll: (code, message) => {
      for (const socket of [...sockets.values()]) socket.close(code, message)
    },
  }
}
