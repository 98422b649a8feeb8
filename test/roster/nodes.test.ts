import { expect, test } from 'vitest'
import { createRedisRoster } from '../../realtime/roster/redis/redis.ts'
import { userChannel } from '../../schema/channels.ts'
import { StartError } from '../../schema/errors.ts'
import { createLog } from '../bus/redis-node.ts'
import { takePort } from '../support/place.ts'
import { askRedis } from '../support/redis.ts'
import { policyOf, startRosterNode } from './redis-node.ts'
import { ann, counts, hooks, seven, startOwn, times, wait } from './two-nodes.ts'

test('a user who joins on two nodes is one member, told once on each, and leaves with the last', async () => {
  const { url } = await startOwn()
  const here: [string, string] = ['chat', 'presence-a']
  const [one, two] = await Promise.all([startRosterNode({ url, times }, here), startRosterNode({ url, times }, here)])
  expect(await one.roster.join(...here, ann, 10)).toBe('joined')
  expect(await two.roster.join(...here, ann, 10)).toBe('joined')
  expect(await two.roster.join(...here, seven, 10)).toBe('joined')
  expect((await one.roster.members(...here)).members).toHaveLength(2)
  one.roster.leave(...here, 'ann')
  expect(await counts(one, ...here)).toEqual({ subscriptions: 0, users: 2 })
  two.roster.leave(...here, 'ann')
  for (const node of [one, two]) {
    await node.tells('- chat:presence-a "ann"')
    expect(node.told).toEqual(['+ chat:presence-a "ann"', '+ chat:presence-a 7', '- chat:presence-a "ann"'])
  }
  expect(one.versions).toEqual(two.versions)
})

test('what a channel may hold is over all nodes: of many who join at once no more get in', async () => {
  const { url } = await startOwn()
  const nodes = await Promise.all([1, 2, 3].map(() => startRosterNode({ url, times })))
  const users = Array.from({ length: 20 }, (_, user_id) => ({ user_id }))
  const joined = await Promise.all(
    nodes.flatMap(({ roster }) => users.map((member) => roster.join('chat', 'presence-a', member, 8))),
  )
  expect(joined).not.toContain('unknown')
  const [node] = nodes
  expect((await node?.roster.members('chat', 'presence-a'))?.members).toHaveLength(8)
  // Each of the eight is let in on every node that asked after it was in.
  expect(joined.filter((how) => how === 'joined').length).toBeGreaterThanOrEqual(8)
})

test('counts, channels and users are of all nodes, and the sockets of the others are known a moment later', async () => {
  const { url } = await startOwn()
  const [one, two] = await Promise.all([startRosterNode({ url, times }), startRosterNode({ url, times })])
  one.roster.occupy('chat', 'a', 2)
  two.roster.occupy('chat', 'a', 3)
  two.roster.occupy('chat', 'b', 1)
  two.roster.occupy('chat', userChannel('7'), 1)
  two.roster.occupySockets('chat', 5)
  await two.roster.counts('chat', [])
  expect(await counts(one, 'chat', 'a')).toEqual({ subscriptions: 5, users: 0 })
  expect((await one.roster.channels('chat', '')).sort()).toEqual(['a', 'b'])
  expect(await one.roster.online('chat', ['7'])).toEqual([true])
  await expect.poll(() => one.roster.othersSockets('chat'), wait).toBe(5)
  expect([two.roster.othersSockets('chat'), one.roster.othersSockets('other')]).toEqual([0, 0])
})

test('a node that closes is gone at once, and its goodbyes are said by another', async () => {
  const { url } = await startOwn()
  const places: [string, string][] = [
    ['hooks', 'presence-a'],
    ['hooks', userChannel('7')],
  ]
  const [one, two] = await Promise.all([startRosterNode({ url, times }, ...places), startRosterNode({ url, times })])
  two.roster.occupy('hooks', 'presence-a', 1)
  two.roster.occupy('hooks', userChannel('7'), 1)
  await two.roster.join('hooks', 'presence-a', ann, 10)
  await one.tells('! hooks 7')
  await two.roster.close()
  expect(await counts(one, 'hooks', 'presence-a')).toEqual({ subscriptions: 0, users: 0 })
  expect(await one.roster.channels('hooks', '')).toEqual([])
  await one.tells('? hooks 7')
  await one.tells('hook hooks channel_vacated presence-a')
  await one.tells('hook hooks member_removed presence-a ann')
  expect(one.lines('+').concat(one.lines('-'))).toEqual(['+ hooks:presence-a "ann"', '- hooks:presence-a "ann"'])
  expect(hooks(one, two)).toHaveLength(4)
})

test('hooks are told by one node alone, and a return on another node cancels a goodbye', async () => {
  const { url } = await startOwn()
  const [one, two] = await Promise.all([startRosterNode({ url, times }), startRosterNode({ url, times })])
  one.roster.occupy('hooks', 'presence-a', 1)
  await one.roster.join('hooks', 'presence-a', ann, 10)
  two.roster.occupy('hooks', 'presence-a', 1)
  await two.roster.join('hooks', 'presence-a', ann, 10)
  await two.roster.counts('hooks', [])
  for (const { roster } of [one, two]) {
    roster.leave('hooks', 'presence-a', 'ann')
    roster.occupy('hooks', 'presence-a', 0)
    await roster.counts('hooks', [])
  }
  one.roster.occupy('hooks', 'presence-a', 1)
  await one.roster.join('hooks', 'presence-a', ann, 10)
  // A goodbye that begins later ends later.
  two.roster.occupy('hooks', 'b', 1)
  await two.roster.counts('hooks', ['b'])
  two.roster.occupy('hooks', 'b', 0)
  await two.tells('hook hooks channel_vacated b')
  const ofA = () => hooks(one, two).filter((line) => line.includes('presence-a'))
  expect(ofA()).toEqual(['hook hooks channel_occupied presence-a', 'hook hooks member_added presence-a ann'])
  one.roster.leave('hooks', 'presence-a', 'ann')
  one.roster.occupy('hooks', 'presence-a', 0)
  await one.tells('hook hooks channel_vacated presence-a')
  await one.tells('hook hooks member_removed presence-a ann')
  expect(ofA()).toHaveLength(4)
})

test('the count of a large channel is told at most once in a while by all nodes, and the last one always', async () => {
  const { url } = await startOwn()
  const here: [string, string] = ['counts-hooks', 'a']
  const [one, two] = await Promise.all([startRosterNode({ url, times }, here), startRosterNode({ url, times }, here)])
  one.roster.occupy(...here, 120)
  await one.tells('= counts-hooks:a 120')
  const from = performance.now()
  for (let sockets = 1; sockets <= 30; sockets += 1) {
    one.roster.occupy(...here, 120 + sockets)
    two.roster.occupy(...here, sockets)
    await Promise.all([one, two].map(({ roster }) => roster.counts('chat', [])))
  }
  const most = 2 + Math.ceil((performance.now() - from) / times.countPause)
  await two.tells('= counts-hooks:a 180')
  expect(one.lines('=').length).toBeLessThanOrEqual(most)
  expect(one.lines('=')).toEqual(two.lines('='))
  expect(hooks(one, two).filter((line) => line.includes('subscription_count'))).toHaveLength(one.lines('=').length)
})

test('nothing is left in Redis of channels that everybody has left', async () => {
  const { url } = await startOwn()
  const one = await startRosterNode({ url, times })
  for (const app of ['hooks-counts', 'plain']) {
    one.roster.occupy(app, 'presence-a', 1)
    one.roster.occupy(app, 'a', 1)
    await one.roster.join(app, 'presence-a', ann, 10)
  }
  await one.roster.counts('plain', [])
  for (const app of ['hooks-counts', 'plain']) {
    one.roster.occupy(app, 'presence-a', 0)
    one.roster.occupy(app, 'a', 0)
    one.roster.leave(app, 'presence-a', 'ann')
  }
  const keys = async () => (await askRedis(url, 'KEYS', '*')).match(/hubbub:\S+/g)?.sort()
  await expect.poll(keys, wait).toEqual(['hubbub:{nodes}:epoch', 'hubbub:{nodes}:leases'])
})

test('10,000 channels are said in few batches, all are there, and all are gone when the node closes', async () => {
  const { url } = await startOwn()
  // On a busy machine a goodbye to so many takes longer than the others would wait for a sign of life.
  const patient = { ...times, lease: wait.timeout, farewell: wait.timeout }
  const start = () => startRosterNode({ url, times: patient })
  const [one, two] = await Promise.all([start(), start()])
  for (let n = 0; n < 10_000; n += 1) one.roster.occupy('chat', `c${n}`, 1)
  await expect.poll(async () => (await two.roster.channels('chat', '')).length, wait).toBe(10_000)
  await one.roster.close()
  expect(await two.roster.channels('chat', '')).toEqual([])
})

test('a Redis that cannot be used is one line at the start', async () => {
  const { port, free } = await takePort()
  await free()
  const starting = createRedisRoster({
    url: `redis://127.0.0.1:${port}`,
    policyOf,
    listener: { noticed: () => undefined, returned: () => undefined },
    logger: createLog().logger,
  })
  const error = await starting.catch((error) => error)
  expect(error).toBeInstanceOf(StartError)
  expect(error.message).toBe(`REDIS_URL: Redis cannot be used: connect ECONNREFUSED 127.0.0.1:${port}`)
})
