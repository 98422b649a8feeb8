/** Interests: what this process listens to, for as long as someone here wants it and a little longer. */

import type { Logger } from './logger.ts'
import { within } from './within.ts'

export type Interests = {
  /** Counts one more who wants it. Returns a promise to wait for, undefined if there is nothing to wait for. */
  hold(name: string): Promise<void> | undefined
  /** Counts one less; the last one ends it after the linger. */
  release(name: string): void
  /** Returns the names that are listened to now. */
  names(): string[]
  close(): void
}

type Interest = { holders: number; ready: Promise<void> | undefined; linger: NodeJS.Timeout | undefined }

/** How long an interest outlives its last holder, in ms: a page that reloads does not cost a round trip. */
export const lingerTime = 5000

/** How long a subscriber may be kept waiting, in ms. */
export const patience = 500

/** Makes a set of interests. `late` is told of one that has not started in time; its holders then go on without. */
export const createInterests = ({
  start,
  stop,
  late,
  logger,
  linger = lingerTime,
  wait = patience,
}: {
  start: (name: string) => Promise<void> | undefined
  stop: (name: string) => void
  late?: (name: string) => void
  logger: Logger
  linger?: number
  wait?: number
}): Interests => {
  const interests = new Map<string, Interest>()

  const begin = async (name: string, interest: Interest, started: Promise<void>): Promise<void> => {
    try {
      if ((await within(started, wait)) === 'late') {
        logger.warn({ name, waited: wait }, 'a subscription went on before its subject was confirmed')
        late?.(name)
      }
    } catch (error) {
      logger.error({ err: error, name }, 'a subject could not be listened to')
      late?.(name)
    }
    interest.ready = undefined
  }

  const end = (name: string): void => {
    interests.delete(name)
    stop(name)
  }

  return {
    hold: (name) => {
      const held = interests.get(name)
      if (held) {
        clearTimeout(held.linger)
        held.holders += 1
        return held.ready
      }
      const interest: Interest = { holders: 1, ready: undefined, linger: undefined }
      interests.set(name, interest)
      const started = start(name)
      if (started) interest.ready = begin(name, interest, started)
      return interest.ready
    },
    release: (name) => {
      const held = interests.get(name)
      if (!held) return
      held.holders -= 1
      if (held.holders === 0) held.linger = setTimeout(end, linger, name)
    },
    names: () => [...interests.keys()],
    close: () => {
      for (const [name, { linger }] of interests) {
        clearTimeout(linger)
        end(name)
      }
    },
  }
}
