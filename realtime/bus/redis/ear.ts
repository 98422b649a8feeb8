/** Takes what comes from Redis to the listener: what is wanted, and what this process did not say itself. */

import type { Logger } from '../../logger.ts'
import type { Metrics } from '../../metrics.ts'
import type { BusListener } from '../bus.ts'
import { type LagWatch, probeSign } from './lag.ts'
import { type Names, signLength } from './names.ts'

export type Ear = {
  /** Takes a message as it came. */
  take(name: Buffer, message: Buffer): void
  /** Gives a message to the listener, if its subject is wanted. */
  receive(subject: string, message: string): void
  /** Tells the listener that messages may have been lost. */
  returned(): void
}

/** Makes the ear of a process with this sign. */
export const createEar = ({
  listener,
  logger,
  metrics: { busReceived, busReturns },
  sign,
  names,
  has,
  lag,
}: {
  listener: BusListener
  logger: Logger
  metrics: Pick<Metrics, 'busReceived' | 'busReturns'>
  sign: string
  names: Names
  has: (subject: string) => boolean
  lag: Pick<LagWatch, 'returned'>
}): Ear => {
  const guard = (act: () => void, subject?: string): void => {
    try {
      act()
    } catch (error) {
      logger.error({ err: error, subject }, 'what came over the bus could not be taken')
    }
  }
  const receive = (subject: string, message: string): void => {
    if (has(subject)) guard(() => listener.receive(subject, message), subject)
  }

  return {
    take: (name, message) => {
      // What this process sent was received when it was published.
      const signed = message.toString('latin1', 0, signLength)
      if (signed === sign) return
      if (signed === probeSign) return lag.returned(message)
      busReceived.inc()
      receive(names.subjectOf(name), message.toString('utf8', signLength))
    },
    receive,
    returned: () => {
      busReturns.inc()
      guard(listener.returned)
    },
  }
}
