/** All streams that this hub follows: whose, for how long, and the look at the log once a second. */

import { decodeStreamEvent, type StreamEvent, tellingsOf } from '../../schema/events.ts'
import { eventFrame } from '../../schema/frames.ts'
import { type Bus, streamSubject } from '../bus/bus.ts'
import type { Hub } from '../hub.ts'
import { createInterests } from '../interests.ts'
import type { EventLog } from '../log.ts'
import type { Logger } from '../logger.ts'
import type { Metrics } from '../metrics.ts'
import { inTime, within } from '../within.ts'
import { createStream, type Stream } from './stream.ts'
import { createUnorderedStream } from './unordered.ts'

export type Streams = {
  /** Counts a listener of a workspace. Returns a promise while its stream is not followed yet. */
  follow(workspace: string): Promise<void> | undefined
  /** Counts a listener less; the last one ends the stream a little later. */
  release(workspace: string): void
  /** Returns the stream of a workspace that is followed. */
  of(workspace: string): Stream | undefined
  /** Takes a message of a stream's subject. */
  receive(subject: string, message: string): void
  /** Compares every stream with the log: once a second by itself, and when the bus was away. */
  check(): Promise<void>
  close(): void
}

/** How long a stream keeps what it has told, in ms. */
const keepFor = 30_000

/** Makes the streams. `checkEvery` is the time between two looks at the heads, in ms. */
export const createStreams = ({
  bus,
  log,
  hub,
  metrics,
  logger,
  checkEvery = 1000,
  ...waits
}: {
  bus: Bus
  log: Pick<EventLog, 'heads' | 'history'> | undefined
  hub: Pick<Hub, 'count' | 'publish'>
  metrics: Pick<Metrics, 'holes' | 'lateSubscriptions'>
  logger: Logger
  checkEvery?: number
  linger?: number
  wait?: number
}): Streams => {
  const streams = new Map<string, Stream>()
  let timer: NodeJS.Timeout | undefined
  let checking = false

  const deliver = (event: StreamEvent): void => {
    for (const { channel, data } of tellingsOf(event)) {
      if (hub.count(channel) > 0) hub.publish(channel, eventFrame(channel, event.name, data))
    }
  }

  const start = (workspace: string): Promise<void> => {
    const subject = streamSubject(workspace)
    // A bus that does not answer delays events, it does not lose them: the log is looked at every second.
    const listen = async (): Promise<void> => {
      await within(bus.subscribe(subject) ?? Promise.resolve(), listenWait)
    }
    const stream = log
      ? createStream({
          workspace,
          listen,
          head: async () => (await inTime(log.heads([workspace]), readWait)).get(workspace) ?? 0,
          history: (...asked) => inTime(log.history(...asked), readWait),
          deliver,
          filled: () => metrics.holes.inc(),
          logger,
        })
      : createUnorderedStream({ listen, deliver })
    streams.set(subject, stream)
    timer ??= setInterval(() => void check(), checkEvery)
    return stream.follow()
  }

  const stop = (workspace: string): void => {
    const subject = streamSubject(workspace)
    streams.get(subject)?.stop()
    streams.delete(subject)
    bus.unsubscribe(subject)
    if (streams.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  const check = async (): Promise<void> => {
    const before = Date.now() - keepFor
    for (const stream of streams.values()) stream.forgetBefore(before)
    if (checking || !log || streams.size === 0) return
    checking = true
    try {
      const heads = await inTime(log.heads(interests.names()), readWait)
      for (const [workspace, head] of heads) streams.get(streamSubject(workspace))?.reach(head)
    } catch (error) {
      logger.warn({ err: error }, 'the heads of the log could not be read')
    }
    checking = false
  }

  const interests = createInterests({
    ...waits,
    start,
    stop,
    late: (workspace) => {
      metrics.lateSubscriptions.inc()
      streams.get(streamSubject(workspace))?.goOn()
    },
    logger,
  })

  return {
    follow: interests.hold,
    release: interests.release,
    of: (workspace) => streams.get(streamSubject(workspace)),
    receive: (subject, message) => {
      const stream = streams.get(subject)
      if (!stream) return
      const event = decodeStreamEvent(message)
      if (event && streamSubject(event.workspace) === subject) stream.receive(event)
      else logger.error({ subject }, 'a message on the bus is not an event of its stream')
    },
    check,
    close: interests.close,
  }
}

// A connection may hang for minutes where its machine is gone; another one is tried then.
const readWait = 5000

// Below the patience of a subscriber, so that the head is still read within it.
const listenWait = 250
