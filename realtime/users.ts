/** Users: who has signed in on which sockets, what is sent to them, and that they can be sent away. */

import { verifyUser } from '../auth/channel-signature.ts'
import { userChannel } from '../schema/channels.ts'
import { type SigninData, signedInFrame } from '../schema/frames.ts'
import type { PusherApp } from '../schema/pusher-apps.ts'
import { pusherCodes } from '../schema/pusher-codes.ts'
import { maxWatchlist, readUserData, type UserData } from '../schema/users.ts'
import type { AppMetrics } from './metrics.ts'
import type { Relay } from './relay.ts'
import type { Roster } from './roster/roster.ts'
import type { Socket } from './socket.ts'
import type { Watchlists } from './watchlists.ts'

export type Users = {
  /** Signs a socket in, or closes it where it may not be that user. */
  signIn(socket: Socket, request: SigninData): void
  /** Forgets a closed socket. */
  forget(socket: Socket): void
  /** Closes the sockets of a user on this node. */
  close(user: string): void
}

/** Makes the users of an app. `authorized` is told of sockets that have shown who they are. */
export const createUsers = ({
  app,
  relay,
  roster,
  watchlists,
  authorized,
  metrics,
}: {
  app: Pick<PusherApp, 'id' | 'key' | 'secret' | 'enableUserAuthentication'>
  relay: Pick<Relay, 'hold' | 'release'>
  roster: Pick<Roster, 'occupy'>
  watchlists: Pick<Watchlists, 'watch' | 'forget'>
  authorized: (socket: Socket) => void
  metrics: Pick<AppMetrics, 'refused'>
}): Users => {
  const users = new Map<string, Set<Socket>>()

  const refuse = (socket: Socket, message: string): void => {
    metrics.refused(`${pusherCodes.unauthorized}`)
    socket.refuse(pusherCodes.unauthorized, message)
  }

  const add = (socket: Socket, user: UserData): Promise<void> | undefined => {
    socket.user = user
    const sockets = users.get(user.id) ?? new Set()
    users.set(user.id, sockets.add(socket))
    roster.occupy(app.id, userChannel(user.id), sockets.size)
    return relay.hold(userChannel(user.id))
  }

  const confirm = (socket: Socket, user: UserData, userData: string): void => {
    const { length } = user.watchlist
    socket.send(signedInFrame(userData))
    if (length > maxWatchlist) {
      metrics.refused(`${pusherCodes.watchlistTooLong}`)
      socket.sendError(
        `The watchlist has ${length} users: the first ${maxWatchlist} are watched`,
        pusherCodes.watchlistTooLong,
      )
    }
    if (!socket.closed) watchlists.watch(socket, user.watchlist.slice(0, maxWatchlist))
  }

  return {
    signIn: (socket, { auth, user_data }) => {
      if (!app.enableUserAuthentication) return socket.sendError('Signing in is not enabled for this app')
      if (verifyUser(app, auth, socket.id, user_data) !== 'valid') {
        const signed = `${socket.id}::user::<user_data>`
        return refuse(socket, `Invalid signature: Expected KEY: and the HMAC SHA256 hex digest of ${signed}`)
      }
      const user = readUserData(user_data)
      if (typeof user === 'string') return refuse(socket, user)
      if (socket.user && socket.user.id !== user.id) {
        return refuse(socket, 'This socket is signed in as another user: connect again')
      }
      authorized(socket)
      // What is sent to the user comes on the subject that is heard then, and so does what closes the user's sockets.
      const heard = socket.user ? undefined : add(socket, user)
      if (heard) void heard.then(() => confirm(socket, user, user_data))
      else confirm(socket, user, user_data)
    },

    forget: (socket) => {
      const { user } = socket
      const sockets = user && users.get(user.id)
      if (!user || !sockets?.delete(socket)) return
      if (sockets.size === 0) users.delete(user.id)
      roster.occupy(app.id, userChannel(user.id), sockets.size)
      relay.release(userChannel(user.id))
      watchlists.forget(socket)
    },

    close: (user) => {
      for (const socket of [...(users.get(user) ?? [])]) {
        socket.refuse(pusherCodes.unauthorized, 'You got disconnected by the app.')
      }
    },
  }
}
