/** What waits to be tried again, by when: one list, so that one timer is enough. */

import type { Delivery } from './delivery.ts'

/** Makes the list. Times are in ms. */
export const createRetries = () => {
  // The soonest is last.
  const waiting: { due: number; delivery: Delivery }[] = []

  return {
    add: (delivery: Delivery, due: number): void => {
      let [low, high] = [0, waiting.length]
      while (low < high) {
        const middle = (low + high) >> 1
        if ((waiting[middle]?.due ?? 0) > due) low = middle + 1
        else high = middle
      }
      waiting.splice(low, 0, { due, delivery })
    },

    /** When the soonest is due. */
    due: (): number | undefined => waiting.at(-1)?.due,

    /** Takes the soonest if it is due. */
    take: (now: number): Delivery | undefined => {
      const soonest = waiting.at(-1)
      if (!soonest || soonest.due > now) return undefined
      waiting.pop()
      return soonest.delivery
    },

    /** Takes all. */
    clear: (): Delivery[] => waiting.splice(0).map(({ delivery }) => delivery),
  }
}
