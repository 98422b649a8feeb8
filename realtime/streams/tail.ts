/** The tail: the newest events of a stream, kept a little while for subscribers that were away a little while. */

import { isErasure, type StreamEvent } from '../../schema/events.ts'
import { maxReplay } from '../../schema/recovery.ts'

export type Tail = {
  /** Says that what follows comes after this number, and forgets what came before. */
  startAfter(seq: number): void
  /** Keeps the next event. */
  push(event: StreamEvent): void
  /** Returns the events after a number, oldest first; undefined where some of them are not kept any more. */
  after(seq: number): StreamEvent[] | undefined
  /** Returns every event that is kept, oldest first. */
  all(): StreamEvent[]
  /** Forgets what was kept before a time, in ms. */
  forgetBefore(time: number): void
}

/** Makes a tail of at most as many events and characters as one replay may have. */
export const createTail = ({ events: maxEvents, bytes: maxSize } = maxReplay, now = Date.now): Tail => {
  const kept: { event: StreamEvent; at: number }[] = []
  let before = 0 // The number of the event before the first that is kept.
  let size = 0

  const shift = (): void => {
    const oldest = kept.shift()
    if (!oldest) return
    before += 1
    size -= sizeOf(oldest.event)
  }

  return {
    startAfter: (seq) => {
      kept.length = 0
      size = 0
      before = seq
    },
    push: (event) => {
      // What was erased is not told again, so what was kept is read anew, as the log tells it now.
      if (isErasure(event)) while (kept.length > 0) shift()
      kept.push({ event, at: now() })
      size += sizeOf(event)
      while (kept.length > maxEvents || size > maxSize) shift()
    },
    // The numbers are dense, so a number is a place.
    after: (seq) => (seq < before ? undefined : kept.slice(seq - before).map(({ event }) => event)),
    all: () => kept.map(({ event }) => event),
    forgetBefore: (time) => {
      while (kept[0] && kept[0].at < time) shift()
    },
  }
}

const sizeOf = ({ staff, visitor }: StreamEvent): number => staff.length + (visitor?.length ?? 0)
