/** A delivery: one request to a webhook, the same however often it is tried. */

import { signBody } from '../../auth/webhook-signature.ts'
import { hookBody } from '../../schema/pusher-hooks.ts'
import type { Waiting } from './lines.ts'
import { lifetime } from './schedule.ts'

/** `events` and `length` say how much it carries; it is tried until `until`, in ms. */
export type Delivery = {
  body: string
  signature: string
  events: number
  length: number
  until: number
  failures: number
}

/** Makes the delivery of events. It is as old as the oldest: a receiver reads from that how late it was told. */
export const deliveryOf = (events: readonly Waiting[], secret: string): Delivery => {
  const time = Math.min(...events.map((event) => event.time))
  const body = hookBody(
    events.map(({ json }) => json),
    time,
  )
  return {
    body,
    signature: signBody(secret, body),
    events: events.length,
    length: events.reduce((sum, { json }) => sum + json.length, 0),
    until: time + lifetime,
    failures: 0,
  }
}

/** Returns those of a webhook's own headers that replace neither what Pusher says nor what belongs to the connection. */
export const ownHeaders = (headers: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !reserved.test(name)))

const reserved =
  /^(x-pusher-.*|content-type|content-length|host|connection|keep-alive|transfer-encoding|upgrade|expect|te|trailer)$/i
