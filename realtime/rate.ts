/** A rate: so many a second of each, in windows that begin with the first. */

export type Rate<Who> = {
  /** Takes one, or several at once; returns whether there was room for all of them. */
  take(who: Who, count?: number): boolean
  /** Returns how many more there is room for in this second. */
  left(who: Who): number
  forget(who: Who): void
}

/** Makes a rate. Who has taken nothing costs nothing. */
export const createRate = <Who>({
  perSecond,
  now = Date.now,
}: {
  perSecond: number
  now?: () => number
}): Rate<Who> => {
  const windows = new Map<Who, { until: number; taken: number }>()

  const takenOf = (who: Who): number => {
    const window = windows.get(who)
    return window && window.until > now() ? window.taken : 0
  }

  return {
    take: (who, count = 1) => {
      if (perSecond === Number.POSITIVE_INFINITY) return true
      let window = windows.get(who)
      if (!window || window.until <= now()) {
        window = { until: now() + 1000, taken: 0 }
        windows.set(who, window)
      }
      if (window.taken + count > perSecond) return false
      window.taken += count
      return true
    },
    left: (who) => Math.max(0, perSecond - takenOf(who)),
    forget: (who) => {
      windows.delete(who)
    },
  }
}
