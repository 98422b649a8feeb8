/** Cache channels: what was triggered last, told to a new socket before anything else. */

import type { Logger } from './logger.ts'
import type { Roster } from './roster/roster.ts'
import { cacheLifetime } from './roster/roster.ts'

export type Cache = {
  /** Reads what is kept of a channel that this process has begun to listen to. Undefined: it is known. */
  follow(channel: string): Promise<void> | undefined
  /** Returns the frame that a new socket is told first; undefined if nothing is kept. */
  last(channel: string): string | undefined
  /** Takes a triggered event; returns whether the sockets here have not been told of it. */
  isNews(channel: string, stamp: string, frame: string): boolean
  forget(channel: string): void
  /** Reads all of it again, since the bus was away; `missed` is told what the sockets here have not heard. */
  reread(missed: (channel: string, frame: string) => void): Promise<void>
}

/** What is kept of a channel; `until` is in ms. */
type Kept = { ready: Promise<void> | undefined; stamp: string | undefined; frame: string; until: number }

/**
 * Makes the cache of an app. Of each channel that is listened to the last event is kept here too: a socket joins between
 * two events, so that it is told each of them once, as the last one or as a live one.
 */
export const createCache = ({
  appId,
  roster,
  logger,
  now = Date.now,
}: {
  appId: string
  roster: Pick<Roster, 'recall'>
  logger: Logger
  now?: () => number
}): Cache => {
  const channels = new Map<string, Kept>()

  const read = async (channel: string, kept: Kept): Promise<boolean> => {
    const before = kept.stamp
    try {
      const recalled = await roster.recall(appId, channel)
      // What arrived meanwhile is newer.
      if (!recalled || kept.stamp !== before || recalled.stamp === before) return false
      kept.stamp = recalled.stamp
      kept.frame = recalled.frame
      kept.until = now() + recalled.ttl * 1000
      return true
    } catch (error) {
      logger.warn({ err: error, channel }, 'a cached event could not be read')
      return false
    } finally {
      kept.ready = undefined
    }
  }

  return {
    follow: (channel) => {
      const known = channels.get(channel)
      if (known) return known.ready
      const kept: Kept = { ready: undefined, stamp: undefined, frame: '', until: 0 }
      channels.set(channel, kept)
      kept.ready = read(channel, kept).then(() => undefined)
      return kept.ready
    },
    last: (channel) => {
      const kept = channels.get(channel)
      return kept?.stamp !== undefined && kept.until > now() ? kept.frame : undefined
    },
    isNews: (channel, stamp, frame) => {
      const kept = channels.get(channel)
      if (!kept) return true
      if (kept.stamp === stamp) return false
      kept.stamp = stamp
      kept.frame = frame
      kept.until = now() + cacheLifetime * 1000
      return true
    },
    forget: (channel) => {
      channels.delete(channel)
    },
    reread: async (missed) => {
      const all = [...channels]
      await Promise.all(
        all.map(async ([channel, kept]) => {
          if ((await read(channel, kept)) && channels.get(channel) === kept) missed(channel, kept.frame)
        }),
      )
    },
  }
}
