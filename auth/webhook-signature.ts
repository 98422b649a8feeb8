/** Signatures of webhooks: who holds the secret can tell that a body comes from us and is whole. */

import { createHmac } from 'node:crypto'

/** Returns the hex HMAC-SHA256 of a body's bytes as they are sent. */
export const signBody = (secret: string, body: string | Uint8Array): string =>
  createHmac('sha256', secret).update(body).digest('hex')
