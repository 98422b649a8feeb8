/** A stream without a log to compare with: events are told as they arrive, and nothing can be told again. */

import type { StreamEvent } from '../../schema/events.ts'
import type { Stream } from './stream.ts'

/** Makes a stream for a process that has no database. */
export const createUnorderedStream = ({
  listen,
  deliver,
}: {
  listen: () => Promise<void>
  deliver: (event: StreamEvent) => void
}): Stream => {
  let stopped = false
  return {
    follow: listen,
    goOn: () => undefined,
    receive: (event) => {
      if (!stopped) deliver(event)
    },
    reach: () => undefined,
    position: () => undefined,
    reached: async () => undefined,
    after: () => undefined,
    lately: () => [],
    forgetBefore: () => undefined,
    stop: () => {
      stopped = true
    },
  }
}
