/** The realtime side as one thing: the apps, their sockets and the Pusher HTTP API of one process. */

import { maxClientFrame } from '../schema/frames.ts'
import type { Operations } from '../schema/health.ts'
import type { Post } from '../schema/outbound.ts'
import type { PusherApp } from '../schema/pusher-apps.ts'
import { pusherCodes } from '../schema/pusher-codes.ts'
import { type AppSide, createAppSide } from './app.ts'
import { type Bus, controlSubject } from './bus/bus.ts'
import { drain } from './drain.ts'
import { createEntrance } from './entrance.ts'
import { createHooks } from './hooks/hooks.ts'
import { createHttpApi } from './http/http-api.ts'
import type { EventLog } from './log.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import type { Roster, RosterListener, RosterPolicy } from './roster/roster.ts'
import { chooseTransport } from './transport/choose.ts'
import type { CreateTransport } from './transport/transport.ts'
import { usualPatience } from './watchman.ts'

export type Realtime = {
  /** Opens the port and returns it; rejects with a StartError. */
  listen(address: { host: string; port: number }): Promise<{ port: number }>
  /** Takes what arrives on the bus; never throws. */
  receive(subject: string, message: string): void
  /** Catches up with what the bus may have lost while it was away. */
  busReturned(): void
  /** Takes what the roster tells. */
  readonly roster: RosterListener
  /** Compares the keys that opened subscriptions with how they stand now. */
  recheckKeys(): void
  /** Returns whether there are sockets. */
  isInUse(): boolean
  /** Lets no sockets in any more and closes all of them in slices over a time, in ms; HTTP is served all the while. */
  drain(time: number): Promise<void>
  /** Stops accepting, closes every socket so that it comes back at once, and ends. */
  close(): Promise<void>
}

/** Bounds of this process, with their defaults. */
export type RealtimeLimits = {
  channelsPerSocket?: number
  /** Bytes that may wait for a slow socket. */
  sendBuffer?: number
  socketsPerIp?: number | undefined
  patience?: Partial<typeof usualPatience>
}

/** How the port is reached: TLS files, whose X-Forwarded-* counts, and what a proxy leaves in front of a path. */
export type RealtimeAccess = {
  tls?: { certFile: string; keyFile: string } | undefined
  trustProxy?: string | undefined
  pathPrefix?: string | undefined
}

/** Returns what a roster does for each of the apps. */
export const policyOf = (apps: readonly PusherApp[]): ((id: string) => RosterPolicy) => {
  const policies = new Map(
    apps.map(({ id, enableSubscriptionCount, webhooks }) => [
      id,
      { tellsCounts: enableSubscriptionCount, hasHooks: webhooks.length > 0 },
    ]),
  )
  return (id) => policies.get(id) ?? silent
}

const silent: RosterPolicy = { tellsCounts: false, hasHooks: false }

/** Makes the realtime side of the chat's app and of others. Without a log (no database) nothing is told again. */
export const createRealtime = ({
  chat,
  apps: others = [],
  bus,
  roster,
  log,
  post,
  operations,
  metrics,
  logger,
  access: { tls, trustProxy, pathPrefix } = {},
  createTransport = chooseTransport(logger),
  limits: { channelsPerSocket = 200, sendBuffer = 1024 * 1024, socketsPerIp, patience } = {},
}: {
  chat: PusherApp
  apps?: readonly PusherApp[]
  bus: Bus
  roster: Roster
  log: EventLog | undefined
  post: Post
  operations: Operations
  metrics: Metrics
  logger: Logger
  access?: RealtimeAccess
  createTransport?: CreateTransport
  limits?: RealtimeLimits
}): Realtime => {
  const apps = [chat, ...others]
  const payload = Math.max(...apps.map(payloadOf))
  const transport = createTransport({
    maxFrame: Math.max(maxClientFrame, 2 * payload),
    maxBody: Math.max(...apps.map((app) => 2 * payloadOf(app) * app.maxEventBatchSize), 1024 * 1024),
    sendBuffer,
    tls,
    trustProxy,
    logger,
  })
  const hooks = new Map(
    apps
      .filter((app) => app.webhooks.length > 0)
      .map((app) => [app.id, createHooks({ app, post, metrics: metrics.hooksOf(app.id), logger })] as const),
  )
  const sides = apps.map((app) =>
    createAppSide({
      app,
      log: app === chat ? (log ?? null) : undefined,
      transport,
      bus,
      roster,
      hooks: hooks.get(app.id),
      metrics,
      logger,
      limits: { channelsPerSocket, sendBuffer, patience: { ...usualPatience, ...patience } },
    }),
  )
  const byId = new Map(sides.map((side) => [side.app.id, side]))
  const entrance = createEntrance({
    apps: new Map(sides.map((side) => [side.app.key, side])),
    pathPrefix,
    maxSocketsPerIp: socketsPerIp,
  })
  const http = createHttpApi({ apps: byId, roster, operations, ...(pathPrefix && { pathPrefix }) })
  const chatSide = byId.get(chat.id)?.chat

  const take = (subject: string, message: string): void => {
    if (subject === controlSubject) chatSide?.receiveNotice(message)
    else if (subject.startsWith('stream:')) chatSide?.receive(subject, message)
    else byId.get(subject.slice(subject.indexOf(':') + 1, subject.indexOf(':', 8)))?.receive(subject, message)
  }

  const reread = (side: AppSide): void => {
    side
      .reread()
      .catch((error) => logger.warn({ err: error, app: side.app.id }, 'what nodes share could not be read again'))
  }

  return {
    listen: async (address) => {
      void bus.subscribe(controlSubject)
      return { port: await transport.listen({ ...entrance, http }, address) }
    },
    receive: (subject, message) => {
      try {
        take(subject, message)
      } catch (error) {
        logger.error({ err: error, subject }, 'a message of the bus could not be taken')
      }
    },
    busReturned: () => {
      chatSide?.busReturned()
      roster.recheck()
    },
    roster: {
      changed: (app, channel, change) => byId.get(app)?.told.changed(app, channel, change),
      turned: (app, user, isOnline) => byId.get(app)?.told.turned(app, user, isOnline),
      counted: (app, channel, subscriptions) => byId.get(app)?.told.counted(app, channel, subscriptions),
      noticed: (app, event) => byId.get(app)?.told.noticed(app, event),
      returned: () => {
        for (const side of sides) reread(side)
      },
    },
    recheckKeys: () => chatSide?.recheckKeys(),
    isInUse: () => sides.some((side) => !side.sockets().next().done),
    drain: async (time) => {
      entrance.shut()
      await drain(
        sides.flatMap((side) => [...side.sockets()]),
        time,
      )
    },
    close: async () => {
      transport.stop()
      for (const side of sides) side.closeAll(pusherCodes.reconnect, 'The server restarts')
      transport.close()
      for (const side of sides) side.close()
      bus.unsubscribe(controlSubject)
      await Promise.all([...hooks.values()].map((one) => one.close()))
    },
  }
}

const payloadOf = ({ maxEventPayloadInKb }: PusherApp): number => Math.ceil(maxEventPayloadInKb * 1024)
