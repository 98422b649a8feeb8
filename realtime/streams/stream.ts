/** One workspace's stream at this hub: every logged event once and in order, whatever the bus does to it. */

import { type LoggedEvent, type StreamEvent, toStreamEvent } from '../../schema/events.ts'
import type { ReadHistory } from '../log.ts'
import type { Logger } from '../logger.ts'
import { createPatience } from './patience.ts'
import { createTail } from './tail.ts'

export type Stream = {
  /** Resolves when the stream has a position: every event after it will be delivered. Never rejects. */
  follow(): Promise<void>
  /** Says that somebody listens although there is no position yet: what has arrived so far is then not skipped. */
  goOn(): void
  /** Takes an event from the bus. */
  receive(event: StreamEvent): void
  /** Takes the number of the newest event of the log. */
  reach(head: number): void
  /** Returns the number up to which everything is delivered; undefined while that is not known. */
  position(): number | undefined
  /** Resolves when everything up to a number is delivered, or the stream has stopped. */
  reached(seq: number): Promise<void>
  /** Returns what was delivered after a number; undefined where some of it is not kept any more. */
  after(seq: number): StreamEvent[] | undefined
  /** Returns what was delivered lately, oldest first. */
  lately(): StreamEvent[]
  /** Forgets what was delivered before a time, in ms. */
  forgetBefore(time: number): void
  stop(): void
}

/**
 * Makes a stream. `listen` starts the bus, `head` reads the newest seq of the log.
 * `holeAfter` is how long in ms a missing event may be on its way before the log is read, `pageSize` how much of it at
 * once; at most `maxWaiting` events are kept while one before them is missing, the others are read from the log.
 * `filled` hears of each hole that the log was read for.
 */
export const createStream = ({
  workspace,
  listen,
  head,
  history,
  deliver,
  filled = () => undefined,
  logger,
  holeAfter = 5,
  pageSize = 500,
  maxWaiting = 1000,
  retryAfter = 50,
}: {
  workspace: string
  listen: () => Promise<void>
  head: () => Promise<number>
  history: ReadHistory
  deliver: (event: StreamEvent) => void
  filled?: () => void
  logger: Logger
  holeAfter?: number
  pageSize?: number
  maxWaiting?: number
  retryAfter?: number
}): Stream => {
  const waiting = new Map<number, StreamEvent>()
  const tail = createTail()
  const awaited = new Set<{ seq: number; resolve: () => void }>()
  let position: number | undefined // Everything up to here is delivered, or was there before.
  let known = 0 // The newest event that is known to exist.
  let early = false
  let filling = false
  let stopped = false
  const patience = createPatience({
    first: retryAfter,
    warn: (fields, message) => logger.warn({ ...fields, workspace }, message),
  })

  const follow = async (): Promise<void> => {
    try {
      await listen()
    } catch (error) {
      logger.warn({ err: error, workspace }, 'the bus could not be listened to')
    }
    await patience.retry('the head of the log could not be read', async () => startAt(await head()))
  }

  const receive = (event: StreamEvent): void => {
    if (stopped) return
    if (event.seq === null) {
      tell(event)
      return
    }
    if (event.seq > known) known = event.seq
    take(event.seq, event)
    fillHole()
  }

  const startAt = (newest: number): void => {
    const first = Math.min(...waiting.keys())
    position = early ? Math.min(newest, first - 1) : newest
    known = Math.max(known, newest)
    for (const seq of waiting.keys()) if (seq <= position) waiting.delete(seq)
    tail.startAfter(position)
    drain()
    fillHole()
    wakeAwaited()
  }

  /** Delivers an event if it is the next one, and with it those that waited for it. */
  const take = (seq: number, event: StreamEvent): void => {
    if (position === undefined || seq > position + 1) {
      if (waiting.size < maxWaiting) waiting.set(seq, event)
    } else if (seq === position + 1) {
      position = seq
      tell(event)
      if (waiting.size > 0) drain()
      if (awaited.size > 0) wakeAwaited()
    }
  }

  const wakeAwaited = (): void => {
    for (const one of awaited) {
      if (!stopped && (position === undefined || position < one.seq)) continue
      awaited.delete(one)
      one.resolve()
    }
  }

  const drain = (): void => {
    if (position === undefined) return
    waiting.delete(position)
    for (let next = waiting.get(position + 1); next; next = waiting.get(position + 1)) {
      position += 1
      waiting.delete(position)
      tell(next)
    }
  }

  const tell = (event: StreamEvent): void => {
    if (event.seq !== null) tail.push(event)
    try {
      deliver(event)
    } catch (error) {
      logger.error({ err: error, workspace, seq: event.seq }, 'an event could not be delivered')
    }
  }

  const fillHole = (): void => {
    if (filling || stopped || position === undefined || position >= known) return
    filling = true
    fill().catch((error) => logger.error({ err: error, workspace }, 'a stream could not be filled'))
  }

  const fill = async (): Promise<void> => {
    while (!stopped && position !== undefined && position < known) {
      const hole = position
      await patience.pause(holeAfter)
      // Where the position has moved the hole was filled by the bus; what is missing now is another, younger one.
      if (position !== hole) continue
      filled()
      await readUntil(known)
    }
    filling = false
  }

  /** Reads the log up to `until`. Numbers are given under a lock, so what is not in it by then does not exist. */
  const readUntil = async (until: number): Promise<void> => {
    while (!stopped && position !== undefined && position < until) {
      const after = position
      const whole = await patience.retry('the log could not be read', async () => {
        const rows = await history(workspace, after, pageSize)
        if (stopped) return true
        for (const row of rows) {
          skipTo(row.seq - 1)
          const event = present(row)
          if (event) take(row.seq, event)
          else skipTo(row.seq)
        }
        if (rows.length >= pageSize && position === after) throw new Error('the log gave nothing new')
        return rows.length < pageSize
      })
      if (whole) skipTo(until)
    }
  }

  /** Moves on over events that the log no longer holds, delivering those among them that came by the bus. */
  const skipTo = (seq: number): void => {
    if (position === undefined || position >= seq || stopped) return
    logger.warn({ workspace, after: position, until: seq }, 'events are missing in the log')
    const arrived = [...waiting].filter(([waited]) => waited <= seq).sort(([a], [b]) => a - b)
    for (const [waited, event] of arrived) {
      waiting.delete(waited)
      tell(event)
    }
    position = seq
    tail.startAfter(seq)
    drain()
    wakeAwaited()
  }

  const present = (row: LoggedEvent): StreamEvent | undefined => {
    try {
      return toStreamEvent(row)
    } catch (error) {
      logger.error({ err: error, workspace, seq: row.seq }, 'an event of the log could not be presented')
      return undefined
    }
  }

  return {
    follow,
    goOn: () => {
      early = true
    },
    receive,
    reach: (newest) => {
      if (newest > known) known = newest
      fillHole()
    },
    position: () => position,
    reached: (seq) =>
      new Promise((resolve) => {
        awaited.add({ seq, resolve })
        wakeAwaited()
      }),
    after: (seq) => (position === undefined || seq > position ? undefined : tail.after(seq)),
    lately: tail.all,
    forgetBefore: tail.forgetBefore,
    stop: () => {
      stopped = true
      waiting.clear()
      wakeAwaited()
      patience.end()
    },
  }
}
