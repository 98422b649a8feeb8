/** The headers of a webhook: what it is, and signatures in two schemes, so that receivers of either can verify it. */

import { signBody, signMessage } from '../../auth/webhook-signature.ts'

/** What is sent; `secrets` are all that sign, the current one first. */
export type Signed = { eventId: string; eventType: string; body: string; secrets: readonly string[] }

/** Returns the headers of an attempt that is made at `timestamp`, in unix seconds. */
export const headersOf = (
  { eventId, eventType, body, secrets }: Signed,
  timestamp: number,
): Record<string, string> => ({
  'Content-Type': 'application/json',
  'User-Agent': 'Hubbub',
  'x-muro-event': eventType,
  'x-muro-event-id': eventId,
  'x-muro-timestamp': `${timestamp}`,
  // The documented receiver looks at the first v1 alone.
  'x-muro-signature': [`t=${timestamp}`, ...secrets.map((secret) => `v1=${signBody(secret, body)}`)].join(','),
  // https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
  'webhook-id': eventId,
  'webhook-timestamp': `${timestamp}`,
  'webhook-signature': secrets.map((secret) => `v1,${signMessage(secret, { id: eventId, timestamp, body })}`).join(' '),
})
