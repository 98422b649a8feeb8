/** Draining: all sockets are sent to other nodes, a few at a time, so that nobody is asked by all of them at once. */

import { pusherCodes } from '../schema/pusher-codes.ts'
import type { Socket } from './socket.ts'

/** How often some sockets are closed, in ms. */
const sliceTime = 100

/** Closes sockets in random slices over `time` ms; resolves when all of them are closed. */
export const drain = async (sockets: Iterable<Socket>, time: number): Promise<void> => {
  const waiting = shuffled([...sockets])
  const slices = Math.max(1, Math.floor(time / sliceTime))
  const size = Math.ceil(waiting.length / slices)
  while (waiting.length > 0) {
    for (const socket of waiting.splice(-size)) socket.close(pusherCodes.reconnect, 'This node is about to stop')
    if (waiting.length > 0) await new Promise((resolve) => setTimeout(resolve, sliceTime))
  }
}

/** Returns the same in a random order: who has come together does not leave together. */
const shuffled = <One>(all: One[]): One[] => {
  const keyed = all.map((one) => ({ one, key: Math.random() }))
  return keyed.sort((a, b) => a.key - b.key).map(({ one }) => one)
}
