import { randomBytes } from 'node:crypto'
import { expect, inject, onTestFinished, test } from 'vitest'
import { createRedisBus } from '../../realtime/bus/redis/redis.ts'
import { createMetrics } from '../../realtime/metrics.ts'
import { askRedis, startRedis } from '../support/redis.ts'
import { busContract } from './contract.ts'
import { nodesContract } from './nodes-contract.ts'
import { createLog, startRedisNode } from './redis-node.ts'

const url = inject('redisUrl')
const prefix = `test-${randomBytes(6).toString('hex')}:`

const join = (listener: Parameters<typeof createRedisBus>[0]['listener']) =>
  createRedisBus({ url, prefix, listener, metrics: createMetrics(), logger: createLog().logger })

busContract('the bus over Redis', join)
nodesContract('the bus over Redis between processes', join)

/** Starts a Redis of the test's own, where every command that is counted is the test's. */
const startOwn = async () => {
  const redis = await startRedis()
  onTestFinished(redis.close)
  const calls = async (command: string) =>
    Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await askRedis(redis.url, 'INFO', 'commandstats'))?.[1])
  const subjects = async () => (await askRedis(redis.url, 'PUBSUB', 'CHANNELS')).match(/hubbub:(?!lag:)\S+/g) ?? []
  return { ...redis, calls, subjects }
}

test('1,000 subjects that are asked for or left in one turn cost one command', async () => {
  const redis = await startOwn()
  const node = await startRedisNode({ url: redis.url })
  const before = { asked: await redis.calls('subscribe'), left: await redis.calls('unsubscribe') }
  const subjects = Array.from({ length: 1000 }, (_, n) => `s${n}`)
  await Promise.all(subjects.map(node.bus.subscribe))
  expect(await redis.subjects()).toHaveLength(1000)
  for (const subject of subjects) node.bus.unsubscribe(subject)
  await expect.poll(redis.subjects).toEqual([])
  expect(await redis.calls('subscribe')).toBe(before.asked + 1)
  expect(await redis.calls('unsubscribe')).toBe(before.left + 1)
})

test('10,000 subjects in one turn are asked for in parts, and all are confirmed', async () => {
  const redis = await startOwn()
  const node = await startRedisNode({ url: redis.url })
  const before = await redis.calls('subscribe')
  await Promise.all(Array.from({ length: 10_000 }, (_, n) => node.bus.subscribe(`s${n}`)))
  expect(await redis.subjects()).toHaveLength(10_000)
  expect(await redis.calls('subscribe')).toBe(before + 10)
})

test('Redis sends a node only what is wanted there: a subject that was left is nobody’s', async () => {
  const redis = await startOwn()
  const node = await startRedisNode({ url: redis.url })
  await Promise.all([node.bus.subscribe('kept'), node.bus.subscribe('left')])
  void node.bus.subscribe('left at once')
  node.bus.unsubscribe('left at once')
  node.bus.unsubscribe('left')
  await expect.poll(redis.subjects).toEqual(['hubbub:kept'])
})

test('nodes with another prefix share a Redis and hear nothing of each other', async () => {
  const [one, other] = await Promise.all([startRedisNode({ url, prefix }), startRedisNode({ url, prefix: 'ü:' })])
  await Promise.all([one.bus.subscribe('s'), other.bus.subscribe('s')])
  const third = await startRedisNode({ url, prefix: 'ü:' })
  one.bus.publish('s', 'of one')
  third.bus.publish('s', 'of the third')
  await other.hears('of the third')
  expect(other.heard).toEqual([{ subject: 's', message: 'of the third' }])
  expect(one.messages()).toEqual(['of one'])
})

test('a receiver that fails is logged on the node it failed at, and hears on', async () => {
  const [teller, hearer] = await Promise.all([
    startRedisNode({ url, prefix }),
    startRedisNode({
      url,
      prefix,
      receive: (_, message) => {
        if (message === 'bad') throw new Error('a failing receiver')
      },
    }),
  ])
  await hearer.bus.subscribe('s')
  teller.bus.publish('s', 'bad')
  teller.bus.publish('s', 'good')
  await hearer.hears('good')
  expect(hearer.messages()).toEqual(['bad', 'good'])
  expect(hearer.lines).toEqual([expect.stringMatching(/^error: .*"subject":"s"/)])
  expect(teller.lines).toEqual([])
})

test('a node counts what it published and what came from others', async () => {
  const [teller, hearer] = await Promise.all([startRedisNode({ url, prefix }), startRedisNode({ url, prefix })])
  await Promise.all([teller.bus.subscribe('s'), hearer.bus.subscribe('s')])
  for (const message of ['1', '2', '3']) teller.bus.publish('s', message)
  await hearer.hears('3')
  await expect.poll(() => teller.count('published_total')).toBe(3)
  expect(await hearer.count('received_total')).toBe(3)
  expect(await teller.count('received_total')).toBe(0)
  expect([await teller.count('dropped_total'), await teller.count('up')]).toEqual([0, 1])
})
