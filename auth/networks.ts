/** Whose address it is: who has many is counted as one. */

/**
 * Returns what an address is counted under: an IPv4 address under itself, also where it is mapped into IPv6, and an IPv6
 * address under its /64, which one subscriber has whole. What is no address is counted as it is.
 */
export const networkOf = (address: string): string => {
  const [, ipv4] = /^(\d+(?:\.\d+){3})(?::\d+)?$/.exec(address) ?? []
  if (ipv4 !== undefined) return ipv4
  const groups = groupsOf(address.replace(/^\[(.*)\](?::\d+)?$/, '$1').replace(/%.*$/, ''))
  if (!groups) return address
  const [, , , , , marker, high = 0, low = 0] = groups
  if (marker === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
  }
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`
}

// The eight numbers of an IPv6 address; undefined where it is none.
const groupsOf = (address: string): number[] | undefined => {
  const hex = address.replace(/\d+(\.\d+){3}$/, (dotted) => {
    const [a = 0, b = 0, c = 0, d = 0] = dotted.split('.').map(Number)
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  })
  const [before = [], after, ...more] = hex.split('::').map((part) => (part === '' ? [] : part.split(':')))
  if (more.length > 0) return undefined
  const zeros = after ? 8 - before.length - after.length : 0
  if (zeros < 0) return undefined
  const groups = [...before, ...Array<string>(zeros).fill('0'), ...(after ?? [])]
  if (groups.length !== 8 || !groups.every((group) => /^[\da-f]{1,4}$/i.test(group))) return undefined
  return groups.map((group) => Number.parseInt(group, 16))
}
