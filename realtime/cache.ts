/** Cache channels: what was triggered last, told to a new socket before anything else. */

import type { Logger } from './logger.ts'
import type { Roster } from './roster/roster.ts'
import { cacheLifetime } from './roster/roster.ts'

export type Cache = {
  /** Reads what is kept of a channel that this process has begun to listen to. Undefined: it is known. */
  follow(channel: string): Promise<void> | undefined
  /** Returns the frame that a new socket is told first; undefined if nothing is kept. */
  last(channel: string): string | undefined
  /** Takes a triggered event, version 0 if it was not kept; returns whether it is told to the sockets here. */
  isNews(channel: string, version: number, frame: string): boolean
  forget(channel: string): void
  /** Reads all of it again, since the bus was away; `missed` is told what the sockets here have not heard. */
  reread(missed: (channel: string, frame: string) => void): Promise<void>
}

/**
 * What is kept of a channel. Events up to the version `floor` were triggered before anybody here subscribed; two nodes'
 * come in no order, so that an older one may follow. `until` is in ms.
 */
type Kept = {
  ready: Promise<void> | undefined
  floor: number
  version: number
  frame: string | undefined
  until: number
}

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

  /** Reads what is kept; returns whether it is newer than what was known. */
  const read = async (channel: string, kept: Kept): Promise<boolean> => {
    try {
      const recalled = await roster.recall(appId, channel)
      if (!recalled || recalled.version <= kept.version) return false
      Object.assign(kept, { version: recalled.version, frame: recalled.frame, until: now() + recalled.ttl * 1000 })
      return true
    } catch (error) {
      logger.warn({ err: error, channel }, 'a cached event could not be read')
      return false
    } finally {
      kept.ready = undefined
    }
  }

  const begin = async (channel: string, kept: Kept): Promise<void> => {
    await read(channel, kept)
    kept.floor = kept.version
  }

  return {
    follow: (channel) => {
      const known = channels.get(channel)
      if (known) return known.ready
      const kept: Kept = { ready: undefined, floor: 0, version: 0, frame: undefined, until: 0 }
      channels.set(channel, kept)
      kept.ready = begin(channel, kept)
      return kept.ready
    },
    last: (channel) => {
      const kept = channels.get(channel)
      return kept && kept.until > now() ? kept.frame : undefined
    },
    isNews: (channel, version, frame) => {
      const kept = channels.get(channel)
      if (!kept) return true
      if (version !== 0 && version <= kept.floor) return false
      if (version === 0 || version > kept.version) {
        Object.assign(kept, { version: Math.max(version, kept.version), frame, until: now() + cacheLifetime * 1000 })
      }
      return true
    },
    forget: (channel) => {
      channels.delete(channel)
    },
    reread: async (missed) => {
      const all = [...channels]
      await Promise.all(
        all.map(async ([channel, kept]) => {
          const isMissed = (await read(channel, kept)) && channels.get(channel) === kept
          kept.floor = kept.version
          if (isMissed && kept.frame !== undefined) missed(channel, kept.frame)
        }),
      )
    },
  }
}
