/** Who listens in a journey: a dashboard with an API key, a visitor with their tokens. Each keeps what it hears, in order. */

import type { Reached } from '../support/api.ts'
import { connectPusher, type PusherClient } from '../support/pusher-js.ts'

/** An event as it was heard. */
export type Heard = { channel: string; event: string; data: Record<string, unknown> }

export type Listener = {
  client: PusherClient
  heard: Heard[]
  /** Subscribes and waits for the confirmation; rejects with the refusal. */
  join(channel: string): Promise<void>
  /** Waits until something was heard that fits, and returns it. */
  hears(fits: (heard: Heard) => boolean): Promise<Heard>
  /** Waits until so many events were heard. */
  hearsCount(count: number): Promise<void>
  leave(): void
}

/** Connects the official client; `headers` are what its authorizer request carries. */
export const listener = (program: Reached, appKey: string, headers: Record<string, string>): Listener => {
  const endpoint = `${program.api}/api/v1/realtime/auth`
  const client = connectPusher(appKey, program.realtimePort, { endpoint, headers })
  const heard: Heard[] = []
  const looks = new Set<() => void>()
  const until = <T>(look: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not heard; heard so far: ${JSON.stringify(heard)}`)), 10_000)
      const again = () => {
        const found = look()
        if (found === undefined) return
        clearTimeout(timer)
        looks.delete(again)
        resolve(found)
      }
      looks.add(again)
      again()
    })
  return {
    client,
    heard,
    join: (channel) =>
      new Promise((resolve, reject) => {
        const joined = client.subscribe(channel)
        joined.bind('pusher:subscription_succeeded', () => resolve())
        joined.bind('pusher:subscription_error', (refusal) => reject(new Error(JSON.stringify(refusal))))
        joined.bind_global((event, data) => {
          if (event.startsWith('pusher:') || typeof data !== 'object' || data === null) return
          heard.push({ channel, event, data: { ...data } })
          for (const look of looks) look()
        })
      }),
    hears: (fits) => until(() => heard.find(fits)),
    hearsCount: async (count) => {
      await until(() => (heard.length >= count ? true : undefined))
    },
    leave: () => client.disconnect(),
  }
}
