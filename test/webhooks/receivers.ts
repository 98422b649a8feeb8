/** How receivers verify a webhook: as the API documents it, and with two libraries of Standard Webhooks. */

import { createHmac, timingSafeEqual } from 'node:crypto'
import { Webhook as Standard } from 'standardwebhooks'
import { Webhook as Svix } from 'svix'
import type { Received } from '../support/receiver.ts'

/** Verifies by the first `v1` over the raw body, as the API documents it. */
export const verifiesAsDocumented = ({ headers, body }: Received, secret: string): boolean => {
  const signature = String(headers['x-muro-signature'])
  const v1 = signature
    .split(',')
    .find((part) => part.startsWith('v1='))
    ?.slice(3)
  const expected = createHmac('sha256', secret).update(body).digest('hex')
  return timingSafeEqual(Buffer.from(v1 ?? ''), Buffer.from(expected))
}

/** Verifies as Standard Webhooks says, by both libraries; fails where they disagree. */
export const verifiesAsStandard = ({ headers, body }: Received, secret: string): boolean => {
  const sent = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
  const verdicts = [new Standard(secret), new Svix(secret)].map((library) => {
    try {
      return JSON.stringify(library.verify(body, sent)) === body
    } catch {
      return false
    }
  })
  if (verdicts[0] !== verdicts[1]) throw new Error('two libraries of Standard Webhooks disagree')
  return verdicts[0] ?? false
}
