/** What each browser of a crowd does, by its number; and what the process that holds it is asked for. */

import type { AppCredentials } from '../../auth/channel-signature.ts'

/** What the process is asked for: that all of its sockets come, that half of them leave and come back, or all are cut. */
export type CrowdQuestion =
  | { come: { port: number; app: AppCredentials; indices: number[] } }
  | { leave: { sentAway: string[] } }
  | { comeBack: true }
  | { cut: true }

/** How many ms the slowest one needed to connect and subscribe, where any did. */
export type CrowdAnswer = { slowest: number }

/** Returns as whom a browser signs in; undefined: it does not. */
export const userOf = (index: number): string | undefined =>
  index % 4 === 3 ? `user-${isRestless(index) ? 'r' : 'q'}-${Math.floor(index / 8) % 50}` : undefined

/** Returns whether a browser leaves by disconnecting; the others only unsubscribe. */
export const isRestless = (index: number): boolean => Math.floor(index / 4) % 2 === 1

/** Returns the channels of a browser: a public one, and one of another kind. */
export const channelsOf = (index: number): string[] => {
  const user = userOf(index)
  const kinds = [`private-orders-${index % 100}`, `presence-room-${roomOf(index)}`, `private-cache-board-${index % 20}`]
  return [
    `news-${index % 50}`,
    kinds[index % 4] ?? `#server-to-user-${user}`,
    ...(index % 8 === 2 ? ['cache-rates'] : []),
  ]
}

const roomOf = (index: number): number => Math.floor(index / 160)

/** Returns what is signed of who a browser is on a presence channel: four users in a room, each with many tabs. */
export const memberOf = (index: number): string =>
  JSON.stringify({ user_id: `u${Math.floor(index / 4) % 4}`, user_info: { name: 'A visitor of this room' } })
