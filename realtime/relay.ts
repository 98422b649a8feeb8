/** The relay: what is published on a Pusher channel, to the sockets of that channel on every node. */

import { type Bus, channelSubject } from './bus/bus.ts'
import type { Hub } from './hub.ts'
import { createInterests } from './interests.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'

export type Relay = {
  /** Sends a frame to a channel, except to one socket. `version` is that of what a cache channel keeps. */
  publish(channel: string, frame: string, exceptSocketId?: string, version?: number): void
  /** Counts a socket of a channel. Returns a promise while its subject is not listened to yet. */
  hold(channel: string): Promise<void> | undefined
  /** Counts a socket less; the last one ends the interest a little later. */
  release(channel: string): void
  /** Takes a frame that was published on a channel. */
  receive(channel: string, message: string): void
  close(): void
}

/**
 * Makes the relay of one app. `isNews` returns whether what a cache channel keeps is not known here yet, `ended` is told of the
 * channels that are listened to no longer.
 */
export const createRelay = ({
  appId,
  bus,
  hub,
  isNews,
  ended,
  metrics,
  logger,
  ...waits
}: {
  appId: string
  bus: Bus
  hub: Pick<Hub, 'publish'>
  isNews: (channel: string, version: number, frame: string) => boolean
  ended: (channel: string) => void
  metrics: Pick<Metrics, 'lateSubscriptions'>
  logger: Logger
  linger?: number
  wait?: number
}): Relay => {
  const interests = createInterests({
    ...waits,
    start: (channel) => bus.subscribe(channelSubject(appId, channel)),
    stop: (channel) => {
      bus.unsubscribe(channelSubject(appId, channel))
      ended(channel)
    },
    late: () => metrics.lateSubscriptions.inc(),
    logger,
  })

  return {
    // One line with the socket to spare, then the frame as the sockets get it: a receiver has nothing to parse.
    publish: (channel, frame, exceptSocketId = '', version) => {
      const line = version === undefined ? exceptSocketId : `${exceptSocketId} ${version}`
      bus.publish(channelSubject(appId, channel), `${line}\n${frame}`)
    },
    hold: interests.hold,
    release: interests.release,
    receive: (channel, message) => {
      const end = message.indexOf('\n')
      if (end === -1) return
      const line = message.slice(0, end)
      const frame = message.slice(end + 1)
      const space = line.indexOf(' ')
      if (space === -1) hub.publish(channel, frame, line)
      else if (isNews(channel, Number(line.slice(space + 1)), frame)) hub.publish(channel, frame, line.slice(0, space))
    },
    close: interests.close,
  }
}
