/** Slots: which of the parts of a Redis Cluster a key belongs to, and the channel of a sharded message likewise. */

/** How many there are. */
export const slotCount = 16_384

/** Returns the slot of a key: by the text in its first braces, if there is any, else by all of it. */
export const slotOf = (key: string): number => {
  const from = key.indexOf('{')
  const to = from === -1 ? -1 : key.indexOf('}', from + 1)
  const hashed = to > from + 1 ? key.slice(from + 1, to) : key
  let crc = 0
  for (const byte of Buffer.from(hashed)) crc = ((crc << 8) & 0xffff) ^ (table[(crc >> 8) ^ byte] ?? 0)
  return crc % slotCount
}

/** Returns texts whose slots are evenly spread, the same ones in every process. */
export const spreadTags = (count: number): string[] =>
  Array.from({ length: count }, (_, part) => {
    let n = 0
    while (Math.floor((slotOf(`${n}`) * count) / slotCount) !== part) n += 1
    return `${n}`
  })

// CRC-16/XMODEM, as the specification of Redis Cluster has it.
const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})
