/** What a Redis says of itself, and whether that will do. */

import type { Redis } from 'ioredis'
import { unusable } from './address.ts'

/**
 * Throws a StartError where a Redis is too old, or is a node of a Cluster though it was named alone. `node` is where it
 * is if it was named as one of a Cluster: then it has to be.
 */
export const checkHello = async (client: Redis, node?: string): Promise<void> => {
  // Unlike INFO, HELLO is not refused to anyone.
  const hello = await client.hello().catch((error: unknown) => {
    if (/unknown command/i.test(String(error))) return ['version', 'older than 6.0']
    throw error
  })
  const read = (field: string): string => String(hello[hello.indexOf(field) + 1])
  checkVersion(read('version'), node ? { major: 7, minor: 0 } : { major: 6, minor: 2 })
  const mode = hello.includes('mode') ? read('mode') : 'standalone'
  if (node && mode !== 'cluster') throw unusable(`several addresses are those of a Cluster, and ${node} is of none`)
  if (!node && mode === 'cluster') {
    throw unusable('this is a node of a Cluster: name several of its nodes, separated by commas')
  }
}

const checkVersion = (version: string, oldest: { major: number; minor: number }): void => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > oldest.major || (major === oldest.major && minor >= oldest.minor)) return
  throw unusable(`${oldest.major}.${oldest.minor} or newer is needed, this one is ${version}`)
}
