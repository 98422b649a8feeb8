/** The first connection to a Redis, and what shows that it will do. */

import { StartError } from '../../../schema/errors.ts'
import { type RedisAddress, unusable } from '../../redis/address.ts'
import type { RedisLink } from '../../redis/link.ts'

const oldest = { major: 6, minor: 2 }

/** Opens both links and tries them on a channel; throws a StartError where that fails, with both closed. */
export const openRedis = async ({
  address,
  publisher,
  subscriber,
  probe,
}: {
  address: RedisAddress
  publisher: RedisLink
  subscriber: RedisLink
  probe: string
}): Promise<void> => {
  try {
    await Promise.all([publisher.open(), subscriber.open()])
    await checkVersion(publisher)
    // An access list may allow one and not the other.
    await Promise.all([subscriber.client.subscribe(probe), publisher.client.publish(probe, '')])
    await subscriber.client.unsubscribe(probe)
  } catch (error) {
    publisher.close()
    subscriber.close()
    throw error instanceof StartError ? error : unusable(address.reasonOf(error))
  }
}

const checkVersion = async ({ client }: RedisLink): Promise<void> => {
  // Unlike INFO, HELLO is not refused to anyone.
  const hello = await client.hello().catch((error: unknown) => {
    if (/unknown command/i.test(String(error))) return ['version', 'older than 6.0']
    throw error
  })
  const version = String(hello[hello.indexOf('version') + 1])
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > oldest.major || (major === oldest.major && minor >= oldest.minor)) return
  throw unusable(`${oldest.major}.${oldest.minor} or newer is needed, this one is ${version}`)
}
