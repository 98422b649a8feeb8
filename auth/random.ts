/** Random names: what nobody can guess, in letters and digits. */

import { randomFillSync } from 'node:crypto'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

// Drawn in bulk: asking the system for each name was 4 % of a message write.
const pool = Buffer.alloc(4096)
let used = pool.length

/** Returns `length` random characters of base 62; 22 of them carry 131 bits. */
export const randomToken = (length = 22): string => {
  let token = ''
  while (token.length < length) {
    const byte = nextByte()
    // 248 is the largest multiple of 62 in a byte: beyond it some letters would come more often.
    if (byte < 248) token += alphabet[byte % 62]
  }
  return token
}

const nextByte = (): number => {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const byte = pool.readUInt8(used)
  pool[used] = 0
  used += 1
  return byte
}
