/** The one comparison of secrets: keys, signatures and passwords are compared here and nowhere else. */

import { createHash, timingSafeEqual } from 'node:crypto'

/** Returns whether two secrets are the same, in a time that tells nothing about either; lengths may differ. */
export const sameSecret = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b))

// Digests have one length, which timingSafeEqual asks for, and hide the lengths of what was given.
const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Returns whether a signature is the expected one, in a time that tells nothing of where they differ. */
export const sameDigest = (given: string, expected: string): boolean => {
  // The length of a digest is no secret, so that nothing has to be hashed.
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}
