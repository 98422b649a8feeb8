/** What is said of the link to Redis: once when it goes away, and once when it is back. */

import type { Logger } from '../../logger.ts'
import type { Metrics } from '../../metrics.ts'

export type Watch = {
  /** Looks whether that has changed. Returns whether it is being watched. */
  look(reason?: string): boolean
  start(): void
  end(): void
}

/** Makes the watch, which begins with `start`. */
export const createWatch = ({
  isUp,
  busUp,
  logger,
}: {
  isUp: () => boolean
  busUp: Metrics['busUp']
  logger: Logger
}): Watch => {
  let isOn = false
  let wasUp = false
  let lostAt = 0

  const look = (reason?: string): boolean => {
    const isNow = isOn && isUp()
    if (isNow === wasUp) return isOn
    wasUp = isNow
    busUp.set(isNow ? 1 : 0)
    if (isNow) {
      logger.info({ awayMs: Date.now() - lostAt }, 'the link to Redis is back')
    } else if (isOn) {
      lostAt = Date.now()
      logger.warn({ reason }, 'the link to Redis is lost')
    }
    return isOn
  }

  return {
    look,
    start: () => {
      isOn = true
      wasUp = true
      busUp.set(1)
      look()
    },
    end: () => {
      isOn = false
      look()
    },
  }
}
