/** Counting in a Redis Cluster: each bucket at the master that has its slot. */

import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { startRedisCluster, type TestCluster } from '../support/redis-cluster.ts'
import { limiterContract } from './contract.ts'
import { freshBucket, makeRedisLimiter } from './redis-limiter.ts'

let cluster: TestCluster
beforeAll(async () => {
  cluster = await startRedisCluster()
})
afterAll(() => cluster?.stop())

limiterContract('counting in a Redis Cluster', (window) => makeRedisLimiter({ url: cluster.url, window }), {
  freshBucket,
})

test('two nodes together allow 120 of each bucket, and what is at a master that is away is counted by each node', async () => {
  const nodes = await Promise.all([1, 2].map(() => makeRedisLimiter({ url: cluster.url })))
  onTestFinished(() => nodes.forEach(({ close }) => void close()))
  const allowedOf = async (bucket: string): Promise<number> => {
    const asked = nodes.flatMap(({ limiter }) => Array.from({ length: 100 }, () => limiter(bucket, 120)))
    return (await Promise.all(asked)).filter(({ allowed }) => allowed).length
  }
  const buckets = Array.from({ length: 12 }, freshBucket)
  expect(await Promise.all(buckets.map(allowedOf))).toEqual(buckets.map(() => 120))
  // A node that asks once more hears that the other one has used the rest.
  expect(await Promise.all(buckets.map(allowedOf))).toEqual(buckets.map(() => 0))
  await cluster.kill(2)
  expect(await Promise.all(buckets.map(allowedOf))).toEqual(buckets.map(() => 0))
  const counts = await Promise.all(Array.from({ length: 24 }, () => allowedOf(freshBucket())))
  expect(new Set(counts)).toEqual(new Set([120, 200]))
})
