/** Signatures of webhooks: who holds the secret can tell that a body comes from us and is whole. */

import { createHmac, randomBytes } from 'node:crypto'

const prefix = 'whsec_'

/** Returns a new secret: 32 random bytes. */
export const newWebhookSecret = (): string => `${prefix}${randomBytes(32).toString('base64')}`

/** Returns the hex HMAC-SHA256 of a body's bytes as they are sent; the key is the secret as it is written. */
export const signBody = (secret: string, body: string | Uint8Array): string =>
  createHmac('sha256', secret).update(body).digest('hex')

/**
 * Returns the signature of Standard Webhooks 1.0: base64, over the id, the time in unix seconds and the body. The key is
 * what the secret encodes.
 */
export const signMessage = (
  secret: string,
  { id, timestamp, body }: { id: string; timestamp: number; body: string },
): string =>
  createHmac('sha256', Buffer.from(secret.slice(prefix.length), 'base64'))
    .update(`${id}.${timestamp}.${body}`)
    .digest('base64')
