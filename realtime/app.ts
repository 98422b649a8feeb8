/** One Pusher app at this node: its sockets and channels, and all that is told on them. */

import { channelKind, channelUser, userChannel } from '../schema/channels.ts'
import { eventFrame, subscriptionCountFrame } from '../schema/frames.ts'
import type { PusherApp } from '../schema/pusher-apps.ts'
import type { PusherCode } from '../schema/pusher-codes.ts'
import { type Bus, channelSubject } from './bus/bus.ts'
import { createCache } from './cache.ts'
import { type Chat, createChat } from './chat.ts'
import { createClientEvents } from './client-events.ts'
import type { Hooks } from './hooks/hooks.ts'
import type { AppApi } from './http/app-api.ts'
import { createHub, type Hub } from './hub.ts'
import type { EventLog } from './log.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import { createPresence } from './presence.ts'
import { createProtocol } from './protocol.ts'
import { createRelay } from './relay.ts'
import { isNews, tellNews } from './roster/news.ts'
import type { Roster, RosterListener } from './roster/roster.ts'
import { createSlowSockets } from './slow-sockets.ts'
import type { Socket, SocketHandlers } from './socket.ts'
import { createSubscriptions } from './subscribe.ts'
import type { Transport } from './transport/transport.ts'
import { createUsers } from './users.ts'
import { createWatchlists } from './watchlists.ts'
import { createWatchman, type Patience } from './watchman.ts'

/** Bounds of a node's sockets: channels of one, bytes that may wait for a slow one, and how long one may be silent. */
export type AppLimits = { channelsPerSocket: number; sendBuffer: number; patience: Omit<Patience, 'authorization'> }

export type AppSide = AppApi & {
  readonly handlers: SocketHandlers
  /** Takes what the roster tells of this app. */
  readonly told: Omit<RosterListener, 'returned'>
  /** The chat's part; undefined for other apps. */
  readonly chat: Chat | undefined
  /** Returns whether there is room for one more socket. */
  hasRoom(): boolean
  /** Takes a socket that was let in. */
  open(socket: Socket): void
  /** Takes a message of a channel's subject. */
  receive(subject: string, message: string): void
  /** Reads again what other nodes may have told while they could not be heard. */
  reread(): Promise<void>
  sockets(): IterableIterator<Socket>
  closeAll(code: PusherCode, message: string): void
  close(): void
}

/** Makes an app's side. `log` is given for the app of the chat alone; `null`: it is that app, without a database. */
export const createAppSide = ({
  app,
  log,
  transport,
  bus,
  roster,
  hooks,
  metrics,
  logger,
  limits: { channelsPerSocket, sendBuffer, patience },
}: {
  app: PusherApp
  log: EventLog | null | undefined
  transport: Pick<Transport, 'publish'>
  bus: Bus
  roster: Roster
  hooks: Pick<Hooks, 'tell'> | undefined
  metrics: Metrics
  logger: Logger
  limits: AppLimits
}): AppSide => {
  const counts = metrics.ofApp(app.id)
  const subject = channelSubject(app.id, '')
  const countSockets = (): void => {
    if (app.maxConnections !== Number.POSITIVE_INFINITY) roster.occupySockets(app.id, hub.size())
  }

  const hub: Hub = createHub({
    appId: app.id,
    transport,
    metrics: counts,
    counted: (channel, sockets) => {
      if (channelUser(channel) === undefined) roster.occupy(app.id, channel, sockets)
    },
    left: ({ socket, channel, membership, workspace }) => {
      relay.release(channel)
      if (workspace !== undefined) chat?.release(workspace)
      if (membership?.key) chat?.releaseKey(socket, membership.key)
      if (membership?.user !== undefined) presence.leave(channel, membership.user)
    },
  })
  const cache = createCache({ appId: app.id, roster, logger })
  const relay = createRelay({ appId: app.id, bus, hub, isNews: cache.isNews, ended: cache.forget, metrics, logger })
  const chat =
    log === undefined ? undefined : createChat({ bus, hub, log: log ?? undefined, metrics, logger, sendBuffer })
  const presence = createPresence({
    appId: app.id,
    maxMembers: app.maxPresenceMembersPerChannel,
    roster,
    hub,
    logger,
  })
  const watchman = createWatchman({
    hub,
    patience: { ...patience, authorization: app.authorizationTimeout * 1000 },
    closing: (code) => counts.refused(`${code}`),
  })
  const subscriptions = createSubscriptions({
    app: { ...app, isChat: chat !== undefined },
    hub,
    relay,
    presence,
    cache,
    chat,
    missed: (channel) => {
      if (hooks) void tellMissed(channel)
    },
    authorized: watchman.authorized,
    refused: (status) => counts.refused(`${status}`),
    maxChannels: channelsPerSocket,
    logger,
  })
  const watchlists = createWatchlists({ appId: app.id, relay, roster, logger })
  const users = createUsers({ app, relay, roster, watchlists, authorized: watchman.authorized, metrics: counts })
  const slowSockets = createSlowSockets({ hub, subscriptions, metrics, logger, room: sendBuffer / 2 })
  const clientEvents = createClientEvents({ app, relay, metrics: counts, tell: hooks?.tell })
  const protocol = createProtocol({
    hub,
    subscriptions,
    clientEvents,
    users,
    slowSockets,
    watchman,
    drained: (socket) => chat?.drained(socket),
    metrics: counts,
  })

  const tellMissed = async (channel: string): Promise<void> => {
    try {
      if (await roster.missed(app.id, channel)) hooks?.tell({ name: 'cache_miss', channel })
    } catch (error) {
      logger.warn({ err: error, channel }, 'a cache_miss could not be told')
    }
  }

  const publishCached = async (
    channel: string,
    data: string,
    frame: string,
    exceptSocketId: string | undefined,
  ): Promise<void> => {
    let version = 0
    try {
      // Kept before it is told: who subscribes in between is then told one or the other.
      version = await roster.remember(app.id, channel, { data, frame })
    } catch (error) {
      logger.warn({ err: error, channel }, 'an event of a cache channel could not be kept')
    }
    relay.publish(channel, frame, exceptSocketId, version)
  }

  const told: AppSide['told'] = {
    changed: (_, channel, change) => presence.changed(channel, change),
    turned: (_, user, isOnline) => watchlists.turned(user, isOnline),
    counted: (_, channel, subscriptions) => hub.publish(channel, subscriptionCountFrame(channel, subscriptions)),
    noticed: (_, event) => hooks?.tell(event),
  }

  return {
    app,
    metrics: counts,
    handlers: {
      ...protocol,
      close: (socket) => {
        protocol.close(socket)
        countSockets()
      },
    },
    chat,
    hasRoom: () => hub.size() + roster.othersSockets(app.id) < app.maxConnections,
    open: (socket) => {
      hub.add(socket)
      watchman.opened(socket)
      countSockets()
    },
    publish: (channel, event, data, exceptSocketId) => {
      const frame = eventFrame(channel, event, data)
      if (channel.includes('cache-') && channelKind(channel).cached)
        return publishCached(channel, data, frame, exceptSocketId)
      relay.publish(channel, frame, exceptSocketId)
    },
    terminate: (user) => bus.publish(channelSubject(app.id, userChannel(user)), terminated),
    receive: (name, message) => {
      const channel = name.slice(subject.length)
      const user = channelUser(channel)
      if (isNews(message)) tellNews(app.id, channel, message, told)
      else if (message === terminated && user !== undefined) users.close(user)
      else relay.receive(channel, message)
    },
    told,
    reread: async () => {
      await Promise.all([presence.reread(), cache.reread(hub.publish), watchlists.reread()])
    },
    sockets: hub.sockets,
    closeAll: hub.closeAll,
    close: () => {
      watchman.close()
      chat?.close()
      relay.close()
    },
  }
}

/** What is said on a user's subject to end all of the user's sockets. */
const terminated = 'x'
