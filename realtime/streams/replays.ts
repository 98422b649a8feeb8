/** Replays: what a subscriber missed, in order, and then, in one turn, the change to what is live. */

import type { ChatChannel } from '../../schema/channels.ts'
import { type StreamEvent, tellingsOf, toStreamEvent } from '../../schema/events.ts'
import { eventFrame } from '../../schema/frames.ts'
import { type Missed, type RecoveryFailure, recoveryFrame, type Since } from '../../schema/recovery.ts'
import type { EventLog } from '../log.ts'
import type { Logger } from '../logger.ts'
import type { Metrics } from '../metrics.ts'
import type { Socket } from '../socket.ts'
import { within } from '../within.ts'
import type { Stream } from './stream.ts'
import { createTurns } from './turns.ts'

/** Who missed what. `isWanted` turns false when the subscriber has gone; `join` makes it hear what is live. */
export type Replay = {
  socket: Socket
  channel: string
  chat: ChatChannel
  workspace: string
  stream: Stream
  since: Since
  isWanted: () => boolean
  join: () => void
}

export type Replays = {
  /** Tells a subscriber what it missed and joins it; resolves when that is done or no longer wanted. Never rejects. */
  run(replay: Replay): Promise<void>
  /** Says that a socket has room again, or is closed. */
  drained(socket: Socket): void
}

/**
 * Makes the replays of a process. `maxBuffered` is how many bytes may wait for a socket before its replay pauses,
 * `patience` how long in ms a subscriber waits for the log.
 */
export const createReplays = ({
  log,
  metrics,
  logger,
  maxBuffered = 64 * 1024,
  patience = 5000,
}: {
  log: Pick<EventLog, 'missed'> | undefined
  metrics: Pick<Metrics, 'replays' | 'replayed'>
  logger: Logger
  maxBuffered?: number
  patience?: number
}): Replays => {
  const reads = createTurns(8)
  const drains = new Map<Socket, Set<() => void>>()

  const catchUp = async (replay: Replay): Promise<void> => {
    const { socket, stream, since, chat } = replay
    if (since === 'invalid') return fail(replay, 'invalid')
    // `told` counts as the channel does, `cursor` in the workspace: on a visitor's channel it is not known at first.
    let told = since
    let cursor = chat.audience === 'visitor' ? undefined : since
    const tell = (events: StreamEvent[]): number => sendSome(replay, events, (number) => (told = number))

    for (;;) {
      if (socket.wire.buffered() > maxBuffered && !(await room(replay))) return
      const held = cursor === undefined ? heldForVisitor(stream, chat, since) : stream.after(cursor)
      if (held) {
        const count = tell(held)
        // Still the turn in which the stream stands where it stood: what comes next is heard live.
        if (count === held.length) return succeed(replay, chat.audience === 'visitor' ? told : stream.position())
        cursor = held[count - 1]?.seq ?? cursor
        if (!(await room(replay))) return
        continue
      }
      const before = stream.position() ?? 0
      const missed = await read(replay, chat.audience === 'visitor' ? told : (cursor ?? told))
      if (!replay.isWanted()) return
      if (missed === undefined) return fail(replay, 'unavailable')
      if ('failure' in missed) return fail(replay, missed.failure, missed.head)
      const events = missed.events.map(toStreamEvent)
      for (let next = 0; next < events.length; next += tell(events.slice(next))) {
        if (!(await room(replay))) return
      }
      // The read saw everything up to the position before it, and every number below the last one it saw.
      cursor = Math.max(before, events.at(-1)?.seq ?? 0, cursor ?? 0)
      stream.reach(cursor)
      await stream.reached(cursor)
      if (!replay.isWanted()) return
    }
  }

  /** Sends what fits into one chunk and returns how many events that were. */
  const sendSome = (
    { socket, channel, chat }: Replay,
    events: StreamEvent[],
    told: (number: number) => void,
  ): number => {
    let count = 0
    let size = 0
    socket.wire.batch(() => {
      for (const event of events) {
        if (size > maxBuffered) return
        count += 1
        const telling = tellingsOf(event).find((one) => one.channel === channel)
        if (!telling) continue
        const frame = eventFrame(channel, event.name, telling.data)
        size += frame.length
        socket.send(frame)
        metrics.replayed.inc()
        const number = chat.audience === 'visitor' ? event.publicSeq : event.seq
        if (number !== null) told(number)
      }
    })
    return count
  }

  const read = async ({ workspace, chat, isWanted }: Replay, since: number): Promise<Missed | undefined> => {
    if (!log) return undefined
    const reading = reads
      .take(workspace, async () => (isWanted() ? await log.missed({ workspace, channel: chat, since }) : undefined))
      .catch((error: unknown) => {
        logger.warn({ err: error, workspace }, 'what a subscriber missed could not be read')
        return undefined
      })
    const missed = await within(reading, patience)
    return missed === 'late' ? undefined : missed
  }

  /** Waits until the socket has room, and lets others have their turn; returns whether the replay is wanted then. */
  const room = async ({ socket, isWanted }: Replay): Promise<boolean> => {
    await new Promise((resolve) => setImmediate(resolve))
    while (isWanted() && socket.wire.buffered() > maxBuffered) {
      await new Promise<void>((resolve) => {
        drains.set(socket, (drains.get(socket) ?? new Set()).add(resolve))
      })
    }
    return isWanted()
  }

  const succeed = (replay: Replay, to: number | undefined): void => finish(replay, { to: to ?? null })

  const fail = (replay: Replay, failure: RecoveryFailure, head?: number): void => {
    const to = replay.chat.audience === 'visitor' ? head : replay.stream.position()
    finish(replay, { failure, to: to ?? null })
  }

  const finish = (
    { socket, channel, chat, since, join }: Replay,
    end: { to: number | null; failure?: RecoveryFailure },
  ) => {
    metrics.replays.inc({ outcome: end.failure ?? 'recovered' })
    socket.send(recoveryFrame(channel, chat, { from: since === 'invalid' ? null : since, ...end }))
    join()
  }

  return {
    run: async (replay) => {
      try {
        await catchUp(replay)
      } catch (error) {
        logger.error({ err: error, channel: replay.channel }, 'a replay failed')
        if (replay.isWanted()) fail(replay, 'unavailable')
      }
    },
    drained: (socket) => {
      const waiting = drains.get(socket)
      drains.delete(socket)
      for (const resolve of waiting ?? []) resolve()
    },
  }
}

/** Returns what a visitor missed if the stream still has all of it; the numbers of a conversation are dense. */
const heldForVisitor = (stream: Stream, { id }: ChatChannel, since: number): StreamEvent[] | undefined => {
  const heard = stream.lately().filter(({ conversation, publicSeq }) => conversation === id && publicSeq !== null)
  const first = heard.at(0)?.publicSeq ?? undefined
  const last = heard.at(-1)?.publicSeq ?? undefined
  if (first === undefined || last === undefined || first > since + 1 || last < since) return undefined
  return heard.filter(({ publicSeq }) => publicSeq !== null && publicSeq > since)
}
