/** Slow sockets: what happens to one whose buffer is full, so that it harms no other and knows to come back. */

import { pusherCodes } from '../schema/pusher-codes.ts'
import type { Hub } from './hub.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import type { Socket } from './socket.ts'
import type { Subscriptions } from './subscribe.ts'

export type SlowSockets = {
  /** Says that a frame did not fit into a socket's buffer: it hears nothing more, and is closed once it reads again. */
  dropped(socket: Socket): void
  /** Says that a socket has read some of what waited for it. */
  drained(socket: Socket): void
  forget(socket: Socket): void
}

/**
 * Makes the rule. `room` is how many bytes may still wait for a socket that is told goodbye, `grace` how long in ms it
 * may take to read that far before it is cut without.
 */
export const createSlowSockets = ({
  hub,
  subscriptions,
  metrics,
  logger,
  room,
  grace = 10_000,
}: {
  hub: Pick<Hub, 'leaveAll'>
  subscriptions: Pick<Subscriptions, 'forget'>
  metrics: Pick<Metrics, 'slowSockets'>
  logger: Logger
  room: number
  grace?: number
}): SlowSockets => {
  const slow = new Map<Socket, NodeJS.Timeout>()

  // Not in the turn of the drop: the transport may be in the middle of publishing to the topics that are left here.
  const silence = (socket: Socket): void => {
    if (socket.closed) return
    subscriptions.forget(socket)
    hub.leaveAll(socket)
  }

  return {
    dropped: (socket) => {
      if (slow.has(socket) || socket.closed) return
      metrics.slowSockets.inc()
      logger.info({ socket: socket.id }, 'a socket does not keep up and is cut')
      slow.set(
        socket,
        setTimeout(() => socket.wire.cut(), grace),
      )
      setImmediate(silence, socket)
    },
    drained: (socket) => {
      if (!slow.has(socket)) return
      // Before anything can be sent after the frame that was lost.
      silence(socket)
      if (socket.wire.buffered() > room) return
      socket.refuse(pusherCodes.overCapacity, 'This socket does not keep up: reconnect and recover')
    },
    forget: (socket) => {
      clearTimeout(slow.get(socket))
      slow.delete(socket)
    },
  }
}
