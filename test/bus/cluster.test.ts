import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { createRedisBus } from '../../realtime/bus/redis/redis.ts'
import { createMetrics } from '../../realtime/metrics.ts'
import { StartError } from '../../schema/errors.ts'
import { startRedisCluster, type TestCluster } from '../support/redis-cluster.ts'
import { busContract } from './contract.ts'
import { nodesContract } from './nodes-contract.ts'
import { createLog, type RedisNode, startRedisNode } from './redis-node.ts'

let shared: TestCluster
beforeAll(async () => {
  shared = await startRedisCluster({ password: 'the-secret' })
}, 30_000)
afterAll(() => shared?.stop())

const prefix = `test-${randomBytes(6).toString('hex')}:`

/** The nodes are entered as the first one is. */
const url = () => shared.nodes.map((node, n) => (n === 0 ? node : node.replace(':the-secret@', ''))).join(',')

const join = (listener: Parameters<typeof createRedisBus>[0]['listener']) =>
  createRedisBus({ url: url(), prefix, listener, metrics: createMetrics(), logger: createLog().logger })

busContract('the bus over a Redis Cluster', join)
nodesContract('the bus over a Redis Cluster between processes', join)

const startOwn = async (options?: Parameters<typeof startRedisCluster>[0]) => {
  const cluster = await startRedisCluster(options)
  onTestFinished(cluster.stop)
  return cluster
}

const wait = { timeout: 15_000, interval: 50 }

/** Three channels, the first at the first master and so on. */
const oneOfEach = (cluster: TestCluster): [string, string, string] => {
  const on = (master: number): string => {
    let n = 0
    while (cluster.masterOf(`{3:c${n}}`) !== master) n += 1
    return `channel:3:c${n}`
  }
  return [on(0), on(1), on(2)]
}

/** Resolves once a message goes from one node to another on each subject. */
const reaches = async (from: RedisNode, to: RedisNode, subjects: string[]) => {
  await Promise.all(
    subjects.map(async (subject) => {
      const message = `${subject} ${randomBytes(4).toString('hex')}`
      // What is published while a shard is away is lost; it is said until it is heard.
      await expect
        .poll(() => {
          from.bus.publish(subject, message)
          return to.messages(subject).includes(message)
        }, wait)
        .toBe(true)
    }),
  )
}

test('channels and users of any name are heard, and those that are alike are not mixed up', async () => {
  const [teller, hearer] = await Promise.all([
    startRedisNode({ ...shared, prefix }),
    startRedisNode({ ...shared, prefix }),
  ])
  const users = ['a', '}', '{', '{}', 'a}b', '{a}', 'a b', 'ü 🎈', 'line\nbreak', '}{', 'a:b']
  const subjects = users.map((user) => `channel:3:#server-to-user-${user}`)
  await Promise.all(subjects.map(hearer.bus.subscribe))
  for (const subject of subjects) teller.bus.publish(subject, `to ${subject}`)
  await Promise.all(subjects.map((subject) => hearer.hears(`to ${subject}`)))
  for (const subject of subjects) expect(hearer.messages(subject)).toEqual([`to ${subject}`])
})

test('10,000 subjects over all shards are confirmed', async () => {
  const node = await startRedisNode({ ...shared, prefix })
  await Promise.all(Array.from({ length: 10_000 }, (_, n) => node.bus.subscribe(`channel:3:many${n}`)))
  for (let n = 0; n < 10_000; n += 1) node.bus.unsubscribe(`channel:3:many${n}`)
  await node.bus.subscribe('after')
})

test('a master that is killed and comes back empty: the others go on, its subjects are heard again, and it is told', async () => {
  const cluster = await startOwn({ password: 'the-secret' })
  const [node, other] = await Promise.all([startRedisNode(cluster), startRedisNode(cluster)])
  const subjects = oneOfEach(cluster)
  const [lost, ...kept] = subjects
  await Promise.all(subjects.map(node.bus.subscribe))
  await other.bus.subscribe(kept[0])
  await cluster.kill(0)
  await expect.poll(node.bus.isUp, wait).toBe(false)
  // Nothing that it wants is there.
  expect(other.bus.isUp()).toBe(true)
  await reaches(other, node, kept)
  // Who starts meanwhile does not need it, either.
  const late = await startRedisNode(cluster)
  await late.bus.subscribe(kept[0])
  expect(late.bus.isUp()).toBe(true)
  await reaches(late, node, kept)
  other.bus.publish(lost, 'said to nobody')
  node.bus.publish(lost, 'heard here only')
  expect(node.messages(lost)).toEqual(['heard here only'])
  await cluster.restart(0)
  await node.returned(1)
  await expect.poll(node.bus.isUp, wait).toBe(true)
  await reaches(other, node, subjects)
  expect([node.returns(), other.returns()]).toEqual([1, 0])
  expect(node.lines).toEqual([
    expect.stringContaining('warn: the link to Redis is lost'),
    expect.stringContaining('info: the link to Redis is back'),
  ])
  expect(await node.count('returns_total')).toBe(1)
  expect([...node.lines, ...late.lines].join()).not.toContain('secret')
})

test('a master that is killed and whose replica takes over: its subjects are heard there, and the node is told', async () => {
  const cluster = await startOwn({ hasReplicas: true })
  const [node, other] = await Promise.all([startRedisNode(cluster), startRedisNode(cluster)])
  const subjects = oneOfEach(cluster)
  await Promise.all(subjects.map(node.bus.subscribe))
  await cluster.kill(0)
  await node.returned(1)
  await reaches(other, node, subjects)
  await expect.poll(() => [node.bus.isUp(), other.bus.isUp()], wait).toEqual([true, true])
  await cluster.restart(0)
  await cluster.isOk()
  await reaches(other, node, subjects)
})

test('a slot that moves to another master while it is listened to: its subject is heard there, and the node is told', async () => {
  const [node, other] = await Promise.all([startRedisNode(shared), startRedisNode(shared)])
  const subjects = oneOfEach(shared)
  const [moving] = subjects
  await Promise.all(subjects.map(node.bus.subscribe))
  await shared.moveSlot(moving.replace('channel:3:', '{3:').concat('}'), 1)
  await node.returned(1)
  await reaches(other, node, subjects)
  expect(node.bus.isUp()).toBe(true)
  // Once for the master that it has left, and once for the one that it has come to, or for both.
  expect(node.returns()).toBeLessThanOrEqual(2)
  node.bus.unsubscribe(moving)
  await node.bus.subscribe(moving)
  await reaches(other, node, subjects)
})

test('a Cluster that serves nothing while a master is missing: nobody thinks that it does, and all are told after it', async () => {
  const cluster = await startOwn({ isPartial: false })
  const [node, other] = await Promise.all([startRedisNode(cluster), startRedisNode(cluster)])
  const subjects = oneOfEach(cluster)
  await Promise.all(subjects.slice(1).map(node.bus.subscribe))
  await cluster.kill(0)
  await expect.poll(() => [node.bus.isUp(), other.bus.isUp()], wait).toEqual([false, false])
  // Who starts meanwhile is told so.
  const line = 'REDIS_URL: Redis cannot be used: the Cluster is in state fail'
  await expect(startRedisNode(cluster)).rejects.toThrow(new StartError(line))
  await cluster.restart(0)
  await node.returned(1)
  await expect.poll(() => [node.bus.isUp(), other.bus.isUp()], wait).toEqual([true, true])
  await reaches(other, node, subjects.slice(1))
})
