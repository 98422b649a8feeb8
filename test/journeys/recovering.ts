/** A subscriber that recovers with plain pusher-js, as docs/recovery.md says; it keeps every number that it is told. */

import type { Reached } from '../support/api.ts'
import { connectPusher, type PusherClient } from '../support/pusher-js.ts'

export type RecoveringSubscriber = {
  client: PusherClient
  /** The numbers of the events of each channel, in the order in which they came. */
  seqs: Map<string, number[]>
  /** What the recoveries said that did not succeed. */
  failures: unknown[]
  /** How often it came back to a channel and was given what it missed. */
  recoveries(): number
  /** Subscribes and waits for the confirmation. `since` is where to begin, for who knows. */
  join(channel: string, since?: number): Promise<void>
  leave(): void
}

type Told = { seq?: number; to?: number; recovered?: boolean }

/** Connects; `headers` are what its authorizer request carries. */
export const recoveringSubscriber = (
  { api, realtimePort }: Reached,
  appKey: string,
  headers: Record<string, string>,
): RecoveringSubscriber => {
  const seen = new Map<string, number>()
  const client = connectPusher(appKey, realtimePort, {
    endpoint: `${api}/api/v1/realtime/auth`,
    headers,
    paramsProvider: () => Object.fromEntries([...seen].map(([channel, seq]) => [`since[${channel}]`, String(seq)])),
  })
  const seqs = new Map<string, number[]>()
  const failures: unknown[] = []
  let recoveries = 0

  return {
    client,
    seqs,
    failures,
    recoveries: () => recoveries,
    join: (channel, since) =>
      new Promise((resolve, reject) => {
        const heard: number[] = []
        seqs.set(channel, heard)
        if (since !== undefined) seen.set(channel, since)
        const joined = client.subscribe(channel)
        joined.bind('pusher:subscription_succeeded', (data) => {
          const { seq } = asTold(data)
          if (seq !== undefined) seen.set(channel, seq)
          resolve()
        })
        joined.bind('pusher:subscription_error', (refusal) => reject(new Error(JSON.stringify(refusal))))
        joined.bind_global((event, data) => {
          const { seq, to, recovered } = asTold(data)
          if (event === 'hubbub:recovery') {
            if (recovered) recoveries += 1
            else failures.push(data)
            if (typeof to === 'number') seen.set(channel, to)
          } else if (!event.startsWith('pusher:') && seq !== undefined) {
            seen.set(channel, seq)
            heard.push(seq)
          }
        })
      }),
    leave: () => client.disconnect(),
  }
}

const asTold = (data: unknown): Told => (typeof data === 'object' && data !== null ? data : {})
