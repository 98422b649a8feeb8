/** All streams that this hub follows: whose, for how long, and the look at the log once a second. */

import { convChannel, orgChannel, visitorChannel } from '../schema/channels.ts'
import { decodeStreamEvent, type StreamEvent } from '../schema/events.ts'
import { eventFrame } from '../schema/frames.ts'
import { type Bus, streamSubject } from './bus/bus.ts'
import type { Hub } from './hub.ts'
import { createInterests } from './interests.ts'
import type { Logger } from './logger.ts'
import { createStream, type ReadHistory, type Stream } from './stream.ts'
import { within } from './within.ts'

/** How a hub reads the log. A workspace without events may be absent from the heads. */
export type EventLog = {
  heads(workspaces: string[]): Promise<Map<string, number>>
  history: ReadHistory
}

export type Streams = {
  /** Counts a listener of a workspace. Returns a promise while its stream is not followed yet. */
  follow(workspace: string): Promise<void> | undefined
  /** Counts a listener less; the last one ends the stream a little later. */
  release(workspace: string): void
  /** Takes a message of a stream's subject. */
  receive(subject: string, message: string): void
  close(): void
}

/** Makes the streams. `checkEvery` is the time between two looks at the heads, in ms. */
export const createStreams = ({
  bus,
  log,
  hub,
  logger,
  checkEvery = 1000,
  ...waits
}: {
  bus: Bus
  log: EventLog
  hub: Pick<Hub, 'count' | 'publish'>
  logger: Logger
  checkEvery?: number
  linger?: number
  wait?: number
}): Streams => {
  const streams = new Map<string, Stream>()
  let timer: NodeJS.Timeout | undefined
  let checking = false

  const deliver = (event: StreamEvent): void => {
    const { workspace, name, conversation, staff, visitor } = event
    tell(orgChannel(workspace), name, staff)
    if (conversation === null) return
    tell(convChannel(conversation), name, staff)
    if (visitor !== null) tell(visitorChannel(conversation), name, visitor)
  }

  const tell = (channel: string, name: string, data: string): void => {
    if (hub.count(channel) > 0) hub.publish(channel, eventFrame(channel, name, data))
  }

  const start = (workspace: string): Promise<void> => {
    const subject = streamSubject(workspace)
    const stream = createStream({
      workspace,
      // A bus that does not answer delays events, it does not lose them: the log is looked at every second.
      listen: async () => {
        await within(bus.subscribe(subject), listenWait)
      },
      head: async () => (await log.heads([workspace])).get(workspace) ?? 0,
      history: log.history,
      deliver,
      logger,
    })
    streams.set(subject, stream)
    timer ??= setInterval(check, checkEvery)
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
    if (checking) return
    checking = true
    try {
      const heads = await log.heads(interests.names())
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
    late: (workspace) => streams.get(streamSubject(workspace))?.goOn(),
    logger,
  })

  return {
    follow: interests.hold,
    release: interests.release,
    receive: (subject, message) => {
      const stream = streams.get(subject)
      if (!stream) return
      const event = decodeStreamEvent(message)
      if (event && streamSubject(event.workspace) === subject) stream.receive(event)
      else logger.error({ subject }, 'a message on the bus is not an event of its stream')
    },
    close: interests.close,
  }
}

// Below the patience of a subscriber, so that the head is still read within it.
const listenWait = 250
