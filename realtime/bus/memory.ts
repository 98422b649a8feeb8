/** The bus inside one process: what is published is received in the same turn. */

import type { Bus, BusListener } from './bus.ts'

/** Makes a bus for one process. What `receive` throws goes to `onError`, never to the publisher. */
export const createMemoryBus = (
  { receive }: Pick<BusListener, 'receive'>,
  onError: (error: unknown) => void = warn,
): Bus => {
  const subjects = new Set<string>()
  let closed = false

  return {
    publish: (subject, message) => {
      if (!subjects.has(subject)) return
      try {
        receive(subject, message)
      } catch (error) {
        onError(error)
      }
    },
    subscribe: (subject) => {
      if (!closed) subjects.add(subject)
      return undefined
    },
    unsubscribe: (subject) => {
      subjects.delete(subject)
    },
    isUp: () => !closed,
    close: async () => {
      closed = true
      subjects.clear()
    },
  }
}

const warn = (error: unknown): void => process.emitWarning(error instanceof Error ? error : String(error))
