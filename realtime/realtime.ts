/** The realtime side as one thing: sockets, streams and the Pusher HTTP API of one process. */

import { maxClientFrame } from '../schema/frames.ts'
import type { Operations } from '../schema/health.ts'
import { pusherCodes } from '../schema/pusher-codes.ts'
import { type Bus, controlSubject } from './bus/bus.ts'
import { type App, createHttpApi } from './http-api.ts'
import { createHub } from './hub.ts'
import { createKeyWatch } from './key-watch.ts'
import type { EventLog } from './log.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import { createProtocol } from './protocol.ts'
import { createRelay } from './relay.ts'
import { createSlowSockets } from './slow-sockets.ts'
import { createReplays } from './streams/replays.ts'
import { createStreams } from './streams/streams.ts'
import { createSubscriptions } from './subscribe.ts'
import { chooseTransport } from './transport/choose.ts'
import type { CreateTransport } from './transport/transport.ts'

export type Realtime = {
  /** Opens the port and returns it; rejects with a StartError. */
  listen(address: { host: string; port: number }): Promise<{ port: number }>
  /** Takes what arrives on the bus; never throws. */
  receive(subject: string, message: string): void
  /** Catches up with what the bus may have lost while it was away. */
  busReturned(): void
  /** Compares the keys that opened subscriptions with how they stand now. */
  recheckKeys(): void
  /** Stops accepting, closes every socket so that it comes back at once, and ends. */
  close(): Promise<void>
}

/** Bounds, with their defaults: channels of a socket, bytes that may wait for a slow one. */
export type RealtimeLimits = { channelsPerSocket?: number; sendBuffer?: number }

/** Makes the realtime side. Without a log (no database) events are told as they arrive and nothing is told again. */
export const createRealtime = ({
  app,
  bus,
  log,
  operations,
  metrics,
  logger,
  createTransport = chooseTransport(logger),
  limits: { channelsPerSocket = 200, sendBuffer = 1024 * 1024 } = {},
}: {
  app: App
  bus: Bus
  log: EventLog | undefined
  operations: Operations
  metrics: Metrics
  logger: Logger
  createTransport?: CreateTransport
  limits?: RealtimeLimits
}): Realtime => {
  const transport = createTransport({ maxFrame: maxClientFrame, sendBuffer, logger })
  const hub = createHub({
    transport,
    metrics,
    left: ({ socket, channel, workspace, key }) => {
      relay.release(channel)
      if (workspace !== undefined) streams.release(workspace)
      if (key !== undefined) keys.release(socket, key)
    },
  })
  const relay = createRelay({ appId: app.id, bus, hub, metrics, logger })
  const streams = createStreams({ bus, log, hub, metrics, logger })
  const keys = createKeyWatch({ hub, keyStates: log?.keyStates, metrics, logger })
  const replays = createReplays({ log, metrics, logger, maxBuffered: Math.min(64 * 1024, sendBuffer / 4) })
  const subscriptions = createSubscriptions({
    app,
    hub,
    relay,
    streams,
    replays,
    keys,
    workspaceOf: log?.workspaceOf,
    maxChannels: channelsPerSocket,
    logger,
  })
  const slowSockets = createSlowSockets({ hub, subscriptions, metrics, logger, room: sendBuffer / 2 })
  const protocol = createProtocol({ app, hub, subscriptions, replays, slowSockets })
  const http = createHttpApi({ app, relay, operations })

  const receive = (subject: string, message: string): void => {
    try {
      if (subject === controlSubject) keys.receive(message)
      else if (subject.startsWith('stream:')) streams.receive(subject, message)
      else relay.receive(subject, message)
    } catch (error) {
      logger.error({ err: error, subject }, 'a message of the bus could not be taken')
    }
  }

  const recheckKeys = (): void => {
    keys.recheck().catch((error) => logger.warn({ err: error }, 'the keys could not be compared'))
  }

  return {
    listen: async (address) => {
      void bus.subscribe(controlSubject)
      return { port: await transport.listen({ ...protocol, http }, address) }
    },
    receive,
    busReturned: () => {
      void streams.check()
      recheckKeys()
    },
    recheckKeys,
    close: async () => {
      transport.stop()
      hub.closeAll(pusherCodes.reconnect, 'The server restarts')
      transport.close()
      keys.close()
      streams.close()
      relay.close()
      bus.unsubscribe(controlSubject)
    },
  }
}
