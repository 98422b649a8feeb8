/** How far Redis is away: measured by a message of its own, which nobody else hears and nothing else counts. */

import { randomBytes } from 'node:crypto'
import { expect, inject, onTestFinished, test } from 'vitest'
import { createRedisBus } from '../../realtime/bus/redis/redis.ts'
import { createMetrics } from '../../realtime/metrics.ts'
import { askRedis, startRedis } from '../support/redis.ts'
import { createRecorder } from './recorder.ts'
import { createLog } from './redis-node.ts'

/** Starts a node; `lag` returns what it says of the time to Redis and back, in seconds. */
const startNode = async (url: string, prefix = `test-${randomBytes(6).toString('hex')}:`) => {
  const recorder = createRecorder()
  const metrics = createMetrics()
  const bus = await createRedisBus({ url, prefix, listener: recorder.listener, metrics, logger: createLog().logger })
  onTestFinished(() => bus.close())
  const metric = async (name: string) =>
    Number(new RegExp(`^hubbub_bus_${name} (\\S+)$`, 'm').exec(await metrics.text())?.[1])
  return { ...recorder, bus, metric, lag: () => metric('lag_seconds') }
}

test('the time to Redis and back is known soon after the start, and is nobody’s message', async () => {
  const url = inject('redisUrl')
  const [one, other] = await Promise.all([startNode(url, 'lag:'), startNode(url, 'lag:')])
  await Promise.all([one.bus.subscribe('s'), other.bus.subscribe('s')])
  await expect.poll(one.lag).toBeGreaterThan(0)
  await expect.poll(other.lag).toBeGreaterThan(0)
  expect(await one.lag()).toBeLessThan(1)
  expect([...one.heard, ...other.heard]).toEqual([])
  expect([await one.metric('published_total'), await one.metric('received_total')]).toEqual([0, 0])
})

test('a Redis that does not answer is farther away the longer that lasts; one that is back is near again', async () => {
  const redis = await startRedis()
  onTestFinished(redis.close)
  const { lag } = await startNode(redis.url)
  await expect.poll(lag).toBeGreaterThan(0)
  redis.freeze()
  await expect.poll(lag, { timeout: 10_000, interval: 100 }).toBeGreaterThan(1.5)
  redis.resume()
  await expect.poll(lag, { timeout: 10_000, interval: 100 }).toBeLessThan(1)
})

test('a node that has closed its bus asks no more', async () => {
  const redis = await startRedis()
  onTestFinished(redis.close)
  const { bus, lag } = await startNode(redis.url, 'closed:')
  await expect.poll(lag).toBeGreaterThan(0)
  expect(await askRedis(redis.url, 'PUBSUB', 'CHANNELS')).toContain('closed:lag:')
  await bus.close()
  await expect.poll(() => askRedis(redis.url, 'PUBSUB', 'CHANNELS')).not.toContain('closed:lag:')
})
