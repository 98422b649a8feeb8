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

// The eight numbers of an IPv6 address; undefined where it is none. URL reads every way to write one.
const groupsOf = (address: string): number[] | undefined => {
  const url = `http://[${address}]`
  if (!URL.canParse(url)) return undefined
  const [before = [], after = []] = new URL(url).hostname
    .slice(1, -1)
    .split('::')
    .map((part) => part.split(':').filter(Boolean))
  const zeros = Array<string>(8 - before.length - after.length).fill('0')
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16))
}
