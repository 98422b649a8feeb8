/** The first connections to a Redis or a Cluster, and what shows that they will do. */

import { StartError } from '../../../schema/errors.ts'
import { type RedisAddress, unusable } from '../../redis/address.ts'
import type { RedisCluster, Shard } from '../../redis/cluster.ts'
import { checkHello } from '../../redis/hello.ts'
import type { RedisLink } from '../../redis/link.ts'

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
    await checkHello(publisher.client)
    // An access list may allow one and not the other.
    await Promise.all([subscriber.client.subscribe(probe), publisher.client.publish(probe, '')])
    await subscriber.client.unsubscribe(probe)
  } catch (error) {
    publisher.close()
    subscriber.close()
    throw error instanceof StartError ? error : unusable(address.reasonOf(error))
  }
}

/** Tries a Cluster that is open on a channel, at the shard that has it if that is there. */
export const tryCluster = async ({
  cluster,
  address,
  probe,
}: {
  cluster: RedisCluster<Shard & { readonly subscriber: RedisLink }>
  address: RedisAddress
  probe: string
}): Promise<void> => {
  const { link, subscriber } = cluster.shardOf(probe) ?? {}
  if (!link?.isReady() || !subscriber?.isReady()) return
  try {
    await Promise.all([subscriber.client.ssubscribe(probe), link.client.spublish(probe, '')])
    await subscriber.client.sunsubscribe(probe)
  } catch (error) {
    cluster.close()
    throw unusable(address.reasonOf(error))
  }
}
