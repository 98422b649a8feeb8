/** What one node heard over its bus, and a way to wait for more. */

import type { BusListener } from '../../realtime/bus/bus.ts'

export type Heard = { subject: string; message: string }

export type Recorder = {
  listener: BusListener
  /** All that came so far. */
  heard: Heard[]
  /** The messages alone, of one subject or of all. */
  messages(subject?: string): string[]
  /** How often it was told that the bus is back. */
  returns(): number
  /** Resolves once this message has come. */
  hears(message: string): Promise<void>
  /** Resolves once it has been told that the bus is back, this often in all. */
  returned(times: number): Promise<void>
}

const waitLimit = 15_000

/** Makes a recorder; `then` is called with each message, as a receiver. */
export const createRecorder = (then: BusListener['receive'] = () => undefined): Recorder => {
  const heard: Heard[] = []
  const seen = new Set<string>()
  const waiters = new Set<() => void>()
  let returns = 0
  const wake = () => {
    for (const look of waiters) look()
  }

  const until = (what: string, isTrue: () => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiters.delete(look)
        reject(new Error(`not within ${waitLimit} ms: ${what}; ${heard.length} messages came`))
      }, waitLimit)
      const look = () => {
        if (!isTrue()) return
        clearTimeout(timer)
        waiters.delete(look)
        resolve()
      }
      waiters.add(look)
      look()
    })

  return {
    heard,
    listener: {
      receive: (subject, message) => {
        heard.push({ subject, message })
        seen.add(message)
        wake()
        then(subject, message)
      },
      returned: () => {
        returns += 1
        wake()
      },
    },
    messages: (subject) =>
      heard.filter((one) => subject === undefined || one.subject === subject).map(({ message }) => message),
    returns: () => returns,
    hears: (message) => until(`hearing ${message}`, () => seen.has(message)),
    returned: (times) => until(`returned ${times} times`, () => returns >= times),
  }
}
