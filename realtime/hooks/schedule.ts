/** When a webhook that failed is sent again: soon at first, then ever later, for five minutes. */

/** For how long after it happened an event is told, in ms. */
export const lifetime = 5 * 60_000

const firstDelay = 1000
const longestDelay = 60_000

/**
 * Returns after how many ms a delivery is tried again that has failed `failures` times: about 1 s, 2 s, 4 s and so on,
 * at most about a minute, by a fifth more or less, so that many do not come at once. The last try is when its time
 * is up: `left` ms from now. Returns undefined when it is up.
 */
export const retryDelay = (failures: number, left: number, random: () => number): number | undefined => {
  if (left <= 0) return undefined
  const delay = Math.min(firstDelay * 2 ** (failures - 1), longestDelay)
  return Math.min(delay * (0.8 + 0.4 * random()), left)
}
