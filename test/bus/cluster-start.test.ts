import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { createRedisBus } from '../../realtime/bus/redis/redis.ts'
import { createMetrics } from '../../realtime/metrics.ts'
import { StartError } from '../../schema/errors.ts'
import { askRedis, startRedis } from '../support/redis.ts'
import { startRedisCluster, type TestCluster } from '../support/redis-cluster.ts'
import { createLog } from './redis-node.ts'

let cluster: TestCluster
beforeAll(async () => {
  cluster = await startRedisCluster({ password: 'right' })
}, 30_000)
afterAll(() => cluster?.stop())

/** Returns the line that a start with this address ends with. */
const refusal = async (url: string): Promise<string> => {
  const listener = { receive: () => undefined, returned: () => undefined }
  const { lines, logger } = createLog()
  const error = await createRedisBus({ url, listener, logger, metrics: createMetrics() }).catch((error) => error)
  expect(error).toBeInstanceOf(StartError)
  expect(lines).toEqual([])
  expect(error.message).not.toMatch(/right|wrong/)
  return error.message
}

const [first, second] = [() => cluster.nodes[0] ?? '', () => cluster.nodes[1] ?? '']

test('a Redis that is alone is no node of a Cluster, whatever else is named', async () => {
  const alone = await startRedis({ password: 'right' })
  onTestFinished(alone.close)
  const place = alone.url.split('@')[1]
  const line = `REDIS_URL: Redis cannot be used: several addresses are those of a Cluster, and ${place} is of none`
  expect(await refusal(`${alone.url},${alone.url}`)).toBe(line)
  expect(await refusal(`${first()},${alone.url}`)).toBe(line)
})

test('a node of a Cluster cannot be used as if it were alone', async () => {
  expect(await refusal(first())).toBe(
    'REDIS_URL: Redis cannot be used: this is a node of a Cluster: name several of its nodes, separated by commas',
  )
})

test('nodes of two Clusters are one line', async () => {
  const other = await startRedisCluster({ password: 'right' })
  onTestFinished(other.stop)
  const line = 'REDIS_URL: Redis cannot be used: its nodes are not of one Cluster'
  expect(await refusal(`${first()},${other.nodes[0]}`)).toBe(line)
})

test('another password, or none, is one line, as are nodes that are entered in different ways', async () => {
  const wrong = `${first().replace('right', 'wrong')},${second().replace('right', 'wrong')}`
  expect(await refusal(wrong)).toMatch(/^REDIS_URL: Redis cannot be used: WRONGPASS/)
  const none = [first(), second()].map((url) => url.replace(':right@', '')).join(',')
  expect(await refusal(none)).toMatch(/^REDIS_URL: Redis cannot be used: NOAUTH/)
  const line =
    'REDIS_URL: Redis cannot be used: the nodes of a Redis Cluster have one user, one password and one scheme'
  expect(await refusal(`${first()},${second().replace('right', 'wrong')}`)).toBe(line)
  expect(await refusal(`${first()},${second().replace('redis:', 'rediss:')}`)).toBe(line)
  expect(await refusal(`${first()}/1,${second()}/1`)).toBe(
    'REDIS_URL: Redis cannot be used: a Redis Cluster has no database but 0',
  )
})

test('a user who may not subscribe to what is sharded is one line', async () => {
  const rules = ['-@all', '+hello', '+ping', '+cluster', '+spublish', '+sunsubscribe', '&hubbub:*', '~hubbub:*']
  for (const node of cluster.nodes) await askRedis(node, 'ACL', 'SETUSER', 'mute', 'on', '>right', ...rules)
  const url = [first(), second()].map((node) => node.replace('//:', '//mute:')).join(',')
  expect(await refusal(url)).toMatch(/^REDIS_URL: Redis cannot be used: NOPERM/)
})
