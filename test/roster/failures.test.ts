import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { userChannel } from '../../schema/channels.ts'
import { askRedis } from '../support/redis.ts'
import { startRosterNode } from './redis-node.ts'
import { ann, counts, hooks, isAway, isHere, seven, startMortal, startOwn, startTwo, times, wait } from './two-nodes.ts'

test('a node that dies is gone for all others after its lease, told once, with its goodbyes', async () => {
  const redis = await startOwn()
  const here: [string, string] = ['hooks', 'presence-a']
  const [one, two] = await Promise.all([
    startRosterNode({ ...redis, times }, here),
    startRosterNode({ ...redis, times }, here),
  ])
  await one.roster.join(...here, seven, 10)
  const mortal = await startMortal(redis.url, times)
  await one.tells('+ hooks:presence-a "mortal"')
  expect(await counts(one, ...here)).toEqual({ subscriptions: 3, users: 2 })
  await mortal.kill()
  await one.tells('- hooks:presence-a "mortal"')
  await expect.poll(() => counts(one, ...here), wait).toEqual({ subscriptions: 0, users: 1 })
  await expect.poll(() => one.roster.channels('hooks', ''), wait).toEqual(['presence-a'])
  await expect
    .poll(() => hooks(one, two), wait)
    .toEqual([
      'hook hooks channel_vacated presence-a',
      'hook hooks member_added presence-a 7',
      'hook hooks member_removed presence-a mortal',
    ])
  for (const node of [one, two]) {
    expect(node.lines('+').concat(node.lines('-'))).toEqual([
      '+ hooks:presence-a 7',
      '+ hooks:presence-a "mortal"',
      '- hooks:presence-a "mortal"',
    ])
  }
  await expect.poll(() => askRedis(redis.url, 'KEYS', '*dead*'), wait).toMatch(/^\*0/)
  expect([...one.log, ...two.log].filter((line) => line.includes('taken for dead'))).toHaveLength(1)
})

test('a node that was stopped for longer than its lease comes back under another name, with all it has', async () => {
  const redis = await startOwn()
  const here: [string, string] = ['hooks', 'presence-a']
  const one = await startRosterNode({ ...redis, times }, here)
  const other = await startMortal(redis.url, times)
  await one.tells('+ hooks:presence-a "mortal"')
  other.stop()
  await one.tells('- hooks:presence-a "mortal"')
  await expect.poll(() => counts(one, ...here), wait).toEqual({ subscriptions: 0, users: 0 })
  other.resume()
  await expect.poll(() => counts(one, ...here), wait).toEqual({ subscriptions: 3, users: 1 })
  await expect.poll(other.output, wait).toContain('returned')
  await expect
    .poll(() => one.lines('+').concat(one.lines('-')), wait)
    .toEqual(['+ hooks:presence-a "mortal"', '+ hooks:presence-a "mortal"', '- hooks:presence-a "mortal"'])
  expect(await one.roster.channels('hooks', '')).toEqual(['presence-a'])
})

test('when Redis is emptied all is back soon, nobody is told anything twice, and all may read again', async () => {
  const redis = await startOwn()
  const { one, two, isAllThere, isNothingTold } = await startTwo(redis.url)
  await askRedis(redis.url, 'FLUSHALL')
  await isAllThere()
  await Promise.all([one.tells('returned'), two.tells('returned')])
  await isAllThere()
  isNothingTold()
  expect(one.log).toEqual([expect.stringContaining('Redis has lost what the roster had')])
})

test('nobody reads what the others have not said again yet, also when the bus comes back after the roster', async () => {
  const redis = await startOwn()
  const { one } = await startTwo(redis.url, { ...times, settle: 1500 })
  await askRedis(redis.url, 'FLUSHALL')
  await expect.poll(() => one.log, wait).toEqual([expect.stringContaining('Redis has lost')])
  const from = performance.now()
  one.roster.recheck()
  await one.tells('returned')
  expect(performance.now() - from).toBeGreaterThan(1000)
})

test('when Redis is killed and comes back empty all is back, and what changed meanwhile is told once', async () => {
  const redis = await startOwn()
  const { one, two, isAllThere, isNothingTold } = await startTwo(redis.url)
  await redis.kill()
  await expect
    .poll(
      () =>
        one.roster.counts('chat', ['a']).then(
          () => 'here',
          () => 'away',
        ),
      wait,
    )
    .toBe('away')
  const from = performance.now()
  expect(await two.roster.join('counts-hooks', 'presence-a', { user_id: 'new' }, 10)).toBe('unknown')
  two.roster.leave('counts-hooks', 'presence-a', 'new')
  one.roster.occupy('counts-hooks', 'came-and-went', 1)
  one.roster.occupy('counts-hooks', 'came-and-went', 0)
  await expect(one.roster.members('counts-hooks', 'presence-a')).rejects.toThrow()
  await expect(one.roster.recall('counts-hooks', 'cache-a')).rejects.toThrow()
  expect(performance.now() - from).toBeLessThan(1500)
  await redis.start()
  await isAllThere()
  await Promise.all([one.tells('returned'), two.tells('returned')])
  await isAllThere()
  isNothingTold()
  expect(await two.roster.join('counts-hooks', 'presence-a', { user_id: 'new' }, 10)).toBe('joined')
  await one.tells('+ counts-hooks:presence-a "new"')
})

/** Cuts the connections of that name, as an operator or a full buffer does. */
const cut = async (url: string, name: string) => {
  const list = await askRedis(url, 'CLIENT', 'LIST')
  for (const [, id = ''] of list.matchAll(new RegExp(`id=(\\d+) .*name=${name} `, 'g'))) {
    await askRedis(url, 'CLIENT', 'KILL', 'ID', id)
  }
}

test('what changed while a node had no link is told once when it is back, and nothing else is', async () => {
  const redis = await startOwn()
  const { one, two } = await startTwo(redis.url)
  const before = one.told.length
  const cutting = cut(redis.url, 'hubbub-roster')
  await expect.poll(() => two.roster.counts('chat', ['a']).then(isHere, isAway), { interval: 1 }).toBe('away')
  two.roster.leave('counts-hooks', 'presence-a', '7')
  two.roster.occupy('counts-hooks', userChannel('7'), 0)
  two.roster.occupy('counts-hooks', 'a', 4)
  expect(await two.roster.join('counts-hooks', 'presence-a', { user_id: 'new' }, 2)).toBe('unknown')
  await cutting
  await two.tells('returned')
  await one.tells('= counts-hooks:a 6')
  await one.tells('? counts-hooks 7')
  await one.tells('+ counts-hooks:presence-a "new"')
  const news = one.told.slice(before).filter((line) => /^[-+=!?]/.test(line))
  expect(news.sort()).toEqual([
    '+ counts-hooks:presence-a "new"',
    '- counts-hooks:presence-a 7',
    '= counts-hooks:a 6',
    '? counts-hooks 7',
  ])
})

test.each([
  ['for longer than the leases', times],
  ['for less than the leases', { ...times, lease: 8000 }],
])('what changed while Redis was away %s is so when it is back', async (_, times) => {
  const redis = await startOwn()
  const { one, two } = await startTwo(redis.url, times)
  redis.freeze()
  await expect.poll(() => one.roster.counts('chat', ['a']).then(isHere, isAway), wait).toBe('away')
  two.roster.leave('counts-hooks', 'presence-a', '7')
  two.roster.occupy('counts-hooks', userChannel('7'), 0)
  two.roster.occupy('counts-hooks', 'a', 4)
  expect(await one.roster.join('counts-hooks', 'presence-a', { user_id: 'new' }, 10)).toBe('unknown')
  const frozenAt = performance.now()
  await expect.poll(() => performance.now() - frozenAt, wait).toBeGreaterThan(2500)
  redis.resume()
  await Promise.all([one.tells('returned'), two.tells('returned')])
  const ids = async () =>
    (await one.roster.members('counts-hooks', 'presence-a').catch(() => undefined))?.members
      .map((m) => m.user_id)
      .sort()
  await expect.poll(ids, wait).toEqual(['ann', 'new'])
  await expect.poll(() => counts(two, 'counts-hooks', 'a'), wait).toEqual({ subscriptions: 6, users: 0 })
  await expect.poll(() => one.roster.online('counts-hooks', ['7']), wait).toEqual([false])
  await one.tells('hook counts-hooks member_added presence-a new')
  await expect
    .poll(() => hooks(one, two).filter((line) => line.endsWith('member_removed presence-a 7')), wait)
    .toHaveLength(1)
})

test('a goodbye that is pending when Redis is emptied is said, once', async () => {
  const redis = await startOwn()
  const [one, two] = await Promise.all([startRosterNode({ ...redis, times }), startRosterNode({ ...redis, times })])
  one.roster.occupy('hooks', 'a', 1)
  await one.tells('hook hooks channel_occupied a')
  one.roster.occupy('hooks', 'a', 0)
  await one.roster.counts('hooks', ['a'])
  await askRedis(redis.url, 'FLUSHALL')
  await one.tells('hook hooks channel_vacated a')
  expect(hooks(one, two)).toHaveLength(2)
})

test('a goodbye that ended while Redis was frozen is said, once', async () => {
  const redis = await startOwn()
  const [one, two] = await Promise.all([startRosterNode({ ...redis, times }), startRosterNode({ ...redis, times })])
  one.roster.occupy('hooks', 'a', 1)
  await one.tells('hook hooks channel_occupied a')
  one.roster.occupy('hooks', 'a', 0)
  await one.roster.counts('hooks', ['a'])
  redis.freeze()
  await expect.poll(() => one.roster.counts('chat', ['a']).then(isHere, isAway), wait).toBe('away')
  const frozenAt = performance.now()
  await expect.poll(() => performance.now() - frozenAt, wait).toBeGreaterThan(2500)
  redis.resume()
  await expect.poll(() => hooks(one, two), wait).toContain('hook hooks channel_vacated a')
  await expect.poll(() => askRedis(redis.url, 'KEYS', '*roster:*'), wait).toMatch(/^\*0/)
  expect(hooks(one, two)).toHaveLength(2)
})

test('what comes and goes while Redis is away is held nowhere', async () => {
  const redis = await startOwn()
  const one = await startRosterNode({ ...redis, times })
  await redis.kill()
  await expect.poll(() => one.roster.counts('chat', ['a']).then(isHere, isAway), wait).toBe('away')
  const before = memory()
  for (let n = 0; n < 100_000; n += 1) {
    one.roster.occupy('chat', `presence-${n}`, 1)
    void one.roster.join('chat', `presence-${n}`, ann, 10)
    one.roster.leave('chat', `presence-${n}`, 'ann')
    one.roster.occupy('chat', `presence-${n}`, 0)
    if (n % 1000 === 0) await one.roster.counts('chat', []).catch(isAway)
  }
  await one.roster.counts('chat', []).catch(isAway)
  expect(memory() - before).toBeLessThan(20)
  one.roster.occupy('chat', 'kept', 1)
  await redis.start()
  await expect.poll(() => one.roster.channels('chat', '').catch(isAway), wait).toEqual(['kept'])
})

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** Returns how many MB are in use. */
const memory = (): number => {
  collectGarbage()
  return process.memoryUsage().heapUsed / 1024 / 1024
}
