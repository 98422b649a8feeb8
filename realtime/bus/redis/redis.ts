/** The bus between processes: Redis pub/sub, by interest, over connections that heal by themselves. */

import { readRedisAddresses } from '../../redis/address.ts'
import type { Bus } from '../bus.ts'
import { createClusterBus } from './cluster.ts'
import { createSingleBus, type RedisBusDeps } from './single.ts'

/**
 * Connects to a Redis of 6.2 or newer, or to a Cluster of 7 or newer where `url` names several of its nodes; throws a
 * StartError where it cannot be used. From then on it never fails: while Redis is away, what is published reaches this
 * process only, and what is subscribed to is confirmed later. In Redis every subject has the prefix, so that others can
 * share it.
 */
export const createRedisBus = async ({
  url,
  prefix = 'hubbub:',
  ...deps
}: Omit<RedisBusDeps, 'prefix'> & { url: string; prefix?: string }): Promise<Bus> => {
  const addresses = readRedisAddresses(url)
  const [address, ...others] = addresses
  return others.length === 0
    ? await createSingleBus(address, { prefix, ...deps })
    : await createClusterBus(addresses, { prefix, ...deps })
}
