import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, onTestFinished, test } from 'vitest'
import { askRedis, startRedis } from '../support/redis.ts'
import { type RedisNode, startRedisNode } from './redis-node.ts'

const startOwn = async (options: Parameters<typeof startRedis>[0] = {}) => {
  const redis = await startRedis(options)
  onTestFinished(redis.close)
  return redis
}

const isDown = (...nodes: RedisNode[]) =>
  expect.poll(() => nodes.map(({ bus }) => bus.isUp()), { timeout: 10_000 }).toEqual(nodes.map(() => false))
const isUp = (...nodes: RedisNode[]) =>
  expect.poll(() => nodes.map(({ bus }) => bus.isUp()), { timeout: 10_000 }).toEqual(nodes.map(() => true))

const lostAndBack = [
  expect.stringContaining('warn: the link to Redis is lost'),
  expect.stringContaining('info: the link to Redis is back'),
]

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** Returns how many MB are in use. */
const memory = (): number => {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 1024 / 1024
}

test('when Redis is killed and comes back, all that was wanted is heard again, and then the node is told', async () => {
  const redis = await startOwn()
  const [node, other] = await Promise.all([startRedisNode(redis), startRedisNode(redis)])
  const subjects = Array.from({ length: 2500 }, (_, n) => `s${n}`)
  await Promise.all([...subjects, 'left meanwhile'].map(node.bus.subscribe))
  await redis.kill()
  await isDown(node, other)

  const order: string[] = []
  void node.bus.subscribe('wanted meanwhile')?.then(() => order.push('confirmed'))
  void node.returned(1).then(() => order.push('told'))
  node.bus.unsubscribe('left meanwhile')
  node.bus.publish('s7', 'heard here only')
  expect(node.messages()).toEqual(['heard here only'])
  expect(order).toEqual([])

  await redis.start()
  await node.returned(1)
  await isUp(node, other)
  expect(order).toEqual(['confirmed', 'told'])
  for (const subject of [...subjects, 'left meanwhile', 'wanted meanwhile']) other.bus.publish(subject, subject)
  await node.hears('wanted meanwhile')
  expect(node.messages()).toEqual(['heard here only', ...subjects, 'wanted meanwhile'])
  expect(node.returns()).toBe(1)
  expect(node.lines).toEqual(lostAndBack)
  expect([await node.count('dropped_total'), await node.count('returns_total')]).toEqual([1, 1])
})

test('what is published while Redis is away is dropped, counted, and held nowhere', async () => {
  const redis = await startOwn()
  const node = await startRedisNode(redis)
  await redis.stop()
  await isDown(node)
  expect(await node.count('up')).toBe(0)
  const before = memory()
  for (let n = 0; n < 100_000; n += 1) node.bus.publish('s', `${n} ${'x'.repeat(1000)}`)
  expect(await node.count('dropped_total')).toBe(100_000)
  expect(memory() - before).toBeLessThan(20)
  await redis.start()
  await isUp(node)
  expect(await node.count('up')).toBe(1)
  expect(await node.count('published_total')).toBe(0)
})

test('a Redis that is frozen is noticed; publishing never waits, and works again when it thaws', async () => {
  const redis = await startOwn()
  const [node, other] = await Promise.all([startRedisNode(redis), startRedisNode(redis)])
  await Promise.all([node.bus.subscribe('s'), other.bus.subscribe('s')])
  redis.freeze()
  const frozenAt = performance.now()
  node.bus.publish('s', 'heard here')
  expect(node.messages()).toEqual(['heard here'])
  await isDown(node, other)
  expect(performance.now() - frozenAt).toBeLessThan(5000)
  await expect.poll(() => performance.now() - frozenAt, { timeout: 10_000 }).toBeGreaterThan(5000)
  node.bus.publish('s', 'heard here too')
  expect(node.messages()).toEqual(['heard here', 'heard here too'])
  expect(node.bus.isUp()).toBe(false)
  expect(await node.count('dropped_total')).toBe(2)

  redis.resume()
  await Promise.all([node.returned(1), other.returned(1)])
  await isUp(node, other)
  node.bus.publish('s', 'after the thaw')
  await other.hears('after the thaw')
  expect(node.lines).toEqual([expect.stringMatching(/lost.*no answer for 2 seconds/), lostAndBack[1]])
  expect([node.returns(), other.returns()]).toEqual([1, 1])
})

test('what is published before a frozen Redis is noticed costs little memory, and none after that', async () => {
  const redis = await startOwn()
  const node = await startRedisNode(redis)
  redis.freeze()
  const before = memory()
  for (let n = 0; n < 200_000; n += 1) node.bus.publish('t', `${n} ${'x'.repeat(1000)}`)
  expect(await node.count('dropped_total')).toBeGreaterThan(140_000)
  expect(memory() - before).toBeLessThan(150)
  await isDown(node)
  await expect.poll(() => node.count('dropped_total')).toBe(200_000)
  expect(memory() - before).toBeLessThan(20)
})

test('closing does not wait for a Redis that is frozen, nor for one that is away', async () => {
  const redis = await startOwn()
  const [one, two] = await Promise.all([startRedisNode(redis), startRedisNode(redis)])
  redis.freeze()
  const from = performance.now()
  one.bus.publish('s', 'the last word')
  await one.bus.close()
  expect(performance.now() - from).toBeLessThan(4000)
  await redis.kill()
  await isDown(two)
  const pending = two.bus.subscribe('s')
  await two.bus.close()
  await pending
})

/** Cuts the connections of that name, as an operator or a full buffer does. */
const cut = async (url: string, name: string) => {
  const list = await askRedis(url, 'CLIENT', 'LIST')
  for (const [, id = ''] of list.matchAll(new RegExp(`id=(\\d+) .*name=${name} `, 'g'))) {
    await askRedis(url, 'CLIENT', 'KILL', 'ID', id)
  }
}

test('a node that loses only the connection it hears by hears again, and is told', async () => {
  const redis = await startOwn()
  const node = await startRedisNode(redis)
  await node.bus.subscribe('s')
  await cut(redis.url, 'hubbub-subscribe')
  await node.returned(1)
  await askRedis(redis.url, 'PUBLISH', 'hubbub:s', 'somebodyhello')
  await node.hears('hello')
  expect(node.lines).toEqual(lostAndBack)
  expect(await node.count('returns_total')).toBe(1)
})

test('a node that loses only the connection it publishes by publishes again, and has missed nothing', async () => {
  const redis = await startOwn()
  const [node, other] = await Promise.all([startRedisNode(redis), startRedisNode(redis)])
  await other.bus.subscribe('s')
  await cut(redis.url, 'hubbub-publish')
  await expect.poll(() => node.lines).toEqual(lostAndBack)
  await isUp(node, other)
  node.bus.publish('s', 'hello')
  await other.hears('hello')
  expect(node.returns()).toBe(0)
})

test('a Redis that comes and goes is found again each time', async () => {
  const redis = await startOwn()
  const [node, other] = await Promise.all([startRedisNode(redis), startRedisNode(redis)])
  await node.bus.subscribe('s')
  for (const times of [1, 2, 3]) {
    await redis.kill()
    await isDown(node, other)
    await redis.start()
    await node.returned(times)
    await isUp(node, other)
    other.bus.publish('s', `hello ${times}`)
    await node.hears(`hello ${times}`)
  }
  expect(node.lines).toEqual([...lostAndBack, ...lostAndBack, ...lostAndBack])
})

test('a Redis that refuses everyone for a while is tried until it lets in again, without the password in a log', async () => {
  const redis = await startOwn({ password: 'the-secret' })
  const node = await startRedisNode(redis)
  await node.bus.subscribe('s')
  await redis.kill()
  await isDown(node)
  await redis.start({ password: 'another-secret' })
  await expect.poll(async () => refusals(redis.url.replace('the-secret', 'another-secret'))).toBeGreaterThan(4)
  expect(node.bus.isUp()).toBe(false)
  await redis.kill()
  await redis.start()
  await node.returned(1)
  await isUp(node)
  expect(node.lines).toEqual(lostAndBack)
  expect(node.lines.join()).not.toContain('secret')
})

const refusals = async (url: string) =>
  Number(/cmdstat_hello:.*failed_calls=(\d+)/.exec(await askRedis(url, 'INFO', 'commandstats'))?.[1] ?? 0)

test('a process that was busy itself for three seconds does not think that Redis is lost', async () => {
  const redis = await startOwn()
  const node = await startRedisNode(redis)
  await node.bus.subscribe('s')
  const until = performance.now() + 3000
  while (performance.now() < until);
  await askRedis(redis.url, 'PUBLISH', 'hubbub:s', 'somebodyhello')
  await node.hears('hello')
  expect(node.lines).toEqual([])
  expect(node.bus.isUp()).toBe(true)
})
