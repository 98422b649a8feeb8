/** A subscriber that does not give up: plain pusher-js, which subscribes again where an authorizer or a log was away. */

import type { Reached } from '../support/api.ts'
import { connectPusher } from '../support/pusher-js.ts'

export type PersistentSubscriber = {
  /** The numbers of the events, in the order in which they came. */
  readonly seqs: number[]
  /** What recoveries said that cannot be made good by asking again. */
  readonly failures: unknown[]
  /** How often it was given what it had missed, and how often it had to ask again. */
  recoveries(): number
  repeats(): number
  leave(): void
}

type Told = { seq?: number; to?: number; recovered?: boolean; reason?: string }

/** How long it waits before it subscribes again, in ms. */
const again = 200

/** Connects and follows a channel from a number on; `headers` are what its authorizer requests carry. */
export const followPersistently = (
  { api, realtimePort }: Reached,
  appKey: string,
  headers: Record<string, string>,
  name: string,
  since: number,
): PersistentSubscriber => {
  let seen = since
  let recoveries = 0
  let repeats = 0
  let isOver = false
  const seqs: number[] = []
  const failures: unknown[] = []
  const client = connectPusher(appKey, realtimePort, {
    endpoint: `${api}/api/v1/realtime/auth`,
    headers,
    paramsProvider: () => ({ [`since[${name}]`]: String(seen) }),
  })

  const follow = (): void => {
    if (isOver) return
    const channel = client.subscribe(name)
    let isAbandoned = false
    // What comes before is of the subscription that was given up: it was on its way already.
    let isAnswered = false
    const repeat = (): void => {
      if (isAbandoned) return
      isAbandoned = true
      repeats += 1
      client.unsubscribe(name)
      setTimeout(follow, again)
    }
    channel.bind('pusher:subscription_succeeded', () => {
      isAnswered = true
    })
    channel.bind('pusher:subscription_error', repeat)
    channel.bind_global((event, data) => {
      const { seq, to, recovered, reason } = asTold(data)
      if (isAbandoned || !isAnswered) return
      if (event === 'hubbub:recovery') {
        if (recovered) recoveries += 1
        else if (reason === 'unavailable') return repeat()
        else failures.push(data)
        if (typeof to === 'number') seen = to
      } else if (!event.startsWith('pusher:') && seq !== undefined) {
        seen = seq
        seqs.push(seq)
      }
    })
  }
  follow()

  return {
    seqs,
    failures,
    recoveries: () => recoveries,
    repeats: () => repeats,
    leave: () => {
      isOver = true
      client.disconnect()
    },
  }
}

const asTold = (data: unknown): Told => (typeof data === 'object' && data !== null ? data : {})
