/** API keys: their form, how they are kept, and what one may do. */

import { createHash } from 'node:crypto'
import { randomToken } from './random.ts'

/** Returns a new key, to be shown once. */
export const mintApiKey = (): string => `mr_live_${randomToken(32)}`

/** Returns whether a text has the form of an API key. */
export const isApiKey = (text: string): boolean => /^mr_live_[A-Za-z0-9_-]{22,200}$/.test(text)

/** Returns what is stored of a secret that is random: its SHA-256. Looking up by it is timing-safe by construction. */
export const hashSecret = (secret: string): Buffer => createHash('sha256').update(secret).digest()

/** What ends a key. */
export type KeyState = { expires_at: Date | null; revoked_at: Date | null }

/** Returns why a key opens nothing any more; undefined if it is good at `now`. */
export const keyRefusal = (key: KeyState, now: Date): 'revoked' | 'expired' | undefined => {
  if (key.revoked_at) return 'revoked'
  if (key.expires_at && key.expires_at <= now) return 'expired'
  return undefined
}
