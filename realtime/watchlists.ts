/** Watchlists: which of the users that a socket watches are online, told when it signs in and when that changes. */

import { userChannel } from '../schema/channels.ts'
import { watchlistFrame } from '../schema/frames.ts'
import type { Logger } from './logger.ts'
import type { Relay } from './relay.ts'
import type { Roster } from './roster/roster.ts'
import type { Socket } from './socket.ts'

export type Watchlists = {
  /** Tells a socket of these users from now on. */
  watch(socket: Socket, users: readonly string[]): void
  forget(socket: Socket): void
  /** Takes that a user has come, or is gone. */
  turned(user: string, isOnline: boolean): void
  /** Reads everybody who is watched again, since something may have been missed. */
  reread(): Promise<void>
}

/** A user who is watched: by which sockets, and what they were told. `isOnline` is undefined until that is known. */
type Watched = { holders: number; sockets: Set<Socket>; isOnline: boolean | undefined }

/** Makes the watchlists of an app. */
export const createWatchlists = ({
  appId,
  relay,
  roster,
  logger,
}: {
  appId: string
  relay: Pick<Relay, 'hold' | 'release'>
  roster: Pick<Roster, 'online'>
  logger: Logger
}): Watchlists => {
  const watched = new Map<string, Watched>()
  const lists = new Map<Socket, readonly string[]>()

  const begin = async (socket: Socket, users: readonly string[]): Promise<void> => {
    await Promise.all(users.map((user) => relay.hold(userChannel(user))))
    if (lists.get(socket) !== users) return
    const unknown = users.filter((user) => watched.get(user)?.isOnline === undefined)
    // Where they cannot be read now, all that is not known is told once it is.
    if (unknown.length > 0) await learn(unknown).catch(warn)
    if (lists.get(socket) !== users) return
    tell(
      [socket],
      users.map((user) => ({ user, isOnline: watched.get(user)?.isOnline })),
    )
    for (const user of users) watched.get(user)?.sockets.add(socket)
  }

  const warn = (error: unknown): void => logger.warn({ err: error }, 'who is online could not be read')

  /** Reads how users are, and returns those of whom that is not what was known. */
  const learn = async (users: readonly string[]): Promise<string[]> => {
    const before = users.map((user) => watched.get(user)?.isOnline)
    const online = await roster.online(appId, users)
    return users.filter((user, at) => {
      const one = watched.get(user)
      // What was told meanwhile is newer.
      if (!one || one.isOnline !== before[at] || one.isOnline === online[at]) return false
      one.isOnline = online[at]
      return true
    })
  }

  const tell = (sockets: Iterable<Socket>, users: { user: string; isOnline: boolean | undefined }[]): void => {
    const idsOf = (isOnline: boolean) => users.filter((one) => one.isOnline === isOnline).map(({ user }) => user)
    const events = [
      { name: 'online' as const, user_ids: idsOf(true) },
      { name: 'offline' as const, user_ids: idsOf(false) },
    ].filter(({ user_ids }) => user_ids.length > 0)
    if (events.length === 0) return
    const frame = watchlistFrame(events)
    for (const socket of sockets) socket.send(frame)
  }

  const hold = (user: string): void => {
    const one = watched.get(user)
    if (one) one.holders += 1
    else watched.set(user, { holders: 1, sockets: new Set(), isOnline: undefined })
  }

  const release = (socket: Socket, user: string): void => {
    relay.release(userChannel(user))
    const one = watched.get(user)
    if (!one) return
    one.sockets.delete(socket)
    one.holders -= 1
    if (one.holders === 0) watched.delete(user)
  }

  return {
    watch: (socket, users) => {
      // A socket has the list that it signed in with first.
      if (users.length === 0 || lists.has(socket)) return
      lists.set(socket, users)
      for (const user of users) hold(user)
      begin(socket, users).catch(warn)
    },
    forget: (socket) => {
      const users = lists.get(socket)
      if (!users) return
      lists.delete(socket)
      for (const user of users) release(socket, user)
    },
    turned: (user, isOnline) => {
      const one = watched.get(user)
      if (!one || one.isOnline === isOnline) return
      one.isOnline = isOnline
      tell(one.sockets, [{ user, isOnline }])
    },
    reread: async () => {
      const users = [...watched.keys()]
      if (users.length === 0) return
      for (const user of await learn(users)) {
        const one = watched.get(user)
        if (one?.isOnline !== undefined) tell(one.sockets, [{ user, isOnline: one.isOnline }])
      }
    },
  }
}
