/** The relay: what is published on a Pusher channel, to the sockets of that channel on every node. */

import { eventFrame } from '../schema/frames.ts'
import { type Bus, channelSubject } from './bus/bus.ts'
import type { Hub } from './hub.ts'
import { createInterests } from './interests.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'

export type Relay = {
  /** Sends an event on a channel, except to one socket. `data` is told as it is, as a string. */
  publish(channel: string, event: string, data: string, exceptSocketId?: string): void
  /** Counts a socket of a channel. Returns a promise while its subject is not listened to yet. */
  hold(channel: string): Promise<void> | undefined
  /** Counts a socket less; the last one ends the interest a little later. */
  release(channel: string): void
  /** Takes a message of a channel's subject. */
  receive(subject: string, message: string): void
  close(): void
}

/** Makes the relay of one app. */
export const createRelay = ({
  appId,
  bus,
  hub,
  metrics,
  logger,
  ...waits
}: {
  appId: string
  bus: Bus
  hub: Pick<Hub, 'publish'>
  metrics: Pick<Metrics, 'lateSubscriptions'>
  logger: Logger
  linger?: number
  wait?: number
}): Relay => {
  const prefix = channelSubject(appId, '')
  const interests = createInterests({
    ...waits,
    start: (channel) => bus.subscribe(channelSubject(appId, channel)),
    stop: (channel) => bus.unsubscribe(channelSubject(appId, channel)),
    late: () => metrics.lateSubscriptions.inc(),
    logger,
  })

  return {
    // One line with the socket to spare, then the frame as the sockets get it: a receiver has nothing to parse.
    publish: (channel, event, data, exceptSocketId = '') =>
      bus.publish(channelSubject(appId, channel), `${exceptSocketId}\n${eventFrame(channel, event, data)}`),
    hold: interests.hold,
    release: interests.release,
    receive: (subject, message) => {
      const line = message.indexOf('\n')
      if (!subject.startsWith(prefix) || line === -1) return
      hub.publish(subject.slice(prefix.length), message.slice(line + 1), message.slice(0, line))
    },
    close: interests.close,
  }
}
