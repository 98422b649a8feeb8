/** Publishes over a link to Redis: never waits, and never holds more than a bound while Redis does not answer. */

import type { Metrics } from '../../metrics.ts'
import type { RedisLink } from '../../redis/link.ts'

export type RedisSender = {
  /** Sends a message, or drops it where it cannot be sent now. */
  send(name: string, message: string): void
  /** Resolves when Redis has answered to all that was sent, or the link is lost. */
  settle(): Promise<void>
}

/** What a Redis that does not answer may cost until that is noticed: messages, and bytes that the network did not take. */
const bounds = { messages: 50_000, bytes: 32 * 1024 * 1024 }

const nothing = (): void => undefined

/** Makes a sender. In a Cluster `publish` is `spublish`; `onRefused` is called where one was not taken. */
export const createRedisSender = (
  { client, isReady }: RedisLink,
  { busPublished, busDropped }: Pick<Metrics, 'busPublished' | 'busDropped'>,
  publish: 'publish' | 'spublish' = 'publish',
  onRefused: () => void = nothing,
): RedisSender => {
  let inFlight = 0
  let corked: typeof client.stream | undefined

  // All that is published in one turn of the loop is written at once: a third of the work in a burst.
  const cork = (): void => {
    corked = client.stream
    corked.cork()
    setImmediate(uncork)
  }
  const uncork = (): void => {
    corked?.uncork()
    corked = undefined
  }

  const onSent = (): void => {
    inFlight -= 1
    busPublished.inc()
  }
  const onLost = (): void => {
    inFlight -= 1
    busDropped.inc()
    onRefused()
  }

  return {
    send: (name, message) => {
      if (!isReady() || inFlight === bounds.messages || client.stream.writableLength > bounds.bytes) {
        busDropped.inc()
        return
      }
      if (!corked) cork()
      inFlight += 1
      client[publish](name, message).then(onSent, onLost)
    },
    settle: async () => {
      if (isReady()) await client.ping().then(nothing, nothing)
    },
  }
}
