/** The realtime side as one thing: sockets, streams and the Pusher HTTP API of one process. */

import { maxClientFrame } from '../schema/frames.ts'
import { pusherCodes } from '../schema/pusher-codes.ts'
import type { Bus } from './bus/bus.ts'
import { type App, createHttpApi } from './http-api.ts'
import { createHub } from './hub.ts'
import type { Logger } from './logger.ts'
import { createProtocol } from './protocol.ts'
import { createRelay } from './relay.ts'
import { createStreams, type EventLog } from './streams.ts'
import { createSubscriptions } from './subscribe.ts'
import { createUwsTransport } from './transport/uws.ts'

export type Realtime = {
  /** Opens the port and returns it; rejects with a StartError. */
  listen(address: { host: string; port: number }): Promise<{ port: number }>
  /** Takes what arrives on the bus; never throws. */
  receive(subject: string, message: string): void
  /** Stops accepting, closes every socket so that it comes back at once, and ends. */
  close(): Promise<void>
}

/** Bounds, with their defaults: channels of a socket, bytes that may wait for a slow one. */
export type RealtimeLimits = { channelsPerSocket?: number; sendBuffer?: number }

/** Makes the realtime side. `log.workspaceOf` tells whose a conversation is; `ready` whether the process can work. */
export const createRealtime = ({
  app,
  bus,
  log,
  ready,
  logger,
  limits: { channelsPerSocket = 200, sendBuffer = 1024 * 1024 } = {},
}: {
  app: App
  bus: Bus
  log: EventLog & { workspaceOf(conversationId: string): Promise<string | undefined> }
  ready: () => Promise<boolean>
  logger: Logger
  limits?: RealtimeLimits
}): Realtime => {
  const transport = createUwsTransport({ maxFrame: maxClientFrame, sendBuffer, logger })
  const hub = createHub({
    transport,
    left: (channel, workspace) => {
      relay.release(channel)
      if (workspace !== undefined) streams.release(workspace)
    },
  })
  const relay = createRelay({ appId: app.id, bus, hub, logger })
  const streams = createStreams({ bus, log, hub, logger })
  const subscriptions = createSubscriptions({
    app,
    hub,
    relay,
    streams,
    workspaceOf: log.workspaceOf,
    maxChannels: channelsPerSocket,
    logger,
  })
  const protocol = createProtocol({ app, hub, subscriptions, logger })
  const http = createHttpApi({ app, relay, ready, logger })

  return {
    listen: async (address) => ({ port: await transport.listen({ ...protocol, http }, address) }),
    receive: (subject, message) => {
      try {
        if (subject.startsWith('stream:')) streams.receive(subject, message)
        else relay.receive(subject, message)
      } catch (error) {
        logger.error({ err: error, subject }, 'a message of the bus could not be taken')
      }
    },
    close: async () => {
      transport.stop()
      hub.closeAll(pusherCodes.reconnect, 'The server restarts')
      transport.close()
      streams.close()
      relay.close()
    },
  }
}
