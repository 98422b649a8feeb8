/** Counting in Redis: for all nodes together, and what happens while it is away, slow, emptied or refuses. */

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest'
import { createRedisCounter } from '../../realtime/redis/limiter.ts'
import { StartError } from '../../schema/errors.ts'
import type { Limiter } from '../../server/http/limiter.ts'
import { createLog } from '../bus/redis-node.ts'
import { askRedis, startRedis, type TestRedis } from '../support/redis.ts'
import { limiterContract } from './contract.ts'
import { freshBucket, makeRedisLimiter } from './redis-limiter.ts'

limiterContract('counting in Redis', (window) => makeRedisLimiter({ url: inject('redisUrl'), window }), { freshBucket })

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis?.close())

const start = async (options: { patience?: number; url?: string } = {}) => {
  const made = await makeRedisLimiter({ url: redis.url, ...options })
  onTestFinished(made.close)
  return made
}

const use = async (limiter: Limiter, bucket: string, count: number) => {
  const all = await Promise.all(Array.from({ length: count }, () => limiter(bucket, 120)))
  return all.filter(({ allowed }) => allowed).length
}

test('two nodes together allow 120 of a bucket, and not one more', async () => {
  const nodes = await Promise.all([start(), start()])
  const bucket = freshBucket()
  const allowed = await Promise.all(nodes.map(({ limiter }) => use(limiter, bucket, 100)))
  expect(allowed[0]).toBeGreaterThan(0)
  expect(allowed[1]).toBeGreaterThan(0)
  expect((allowed[0] ?? 0) + (allowed[1] ?? 0)).toBe(120)
  expect(nodes.flatMap(({ lines }) => lines)).toEqual([])
})

test('what is kept has a short name that begins with the prefix, says nothing of who asked, and expires', async () => {
  const { limiter } = await start()
  await askRedis(redis.url, 'FLUSHALL')
  await limiter(`address ${'2001:db8::1 {x}'.repeat(1000)}`, 120)
  const [, key = ''] = /\r\n(\S+)\r\n\+OK/.exec(await askRedis(redis.url, 'KEYS', '*')) ?? []
  expect(key).toMatch(/^hubbub:limit:[\w-]{22}$/)
  const [, left] = /^:(\d+)/.exec(await askRedis(redis.url, 'PTTL', key)) ?? []
  expect(Number(left)).toBeGreaterThan(0)
  expect(Number(left)).toBeLessThanOrEqual(60_000)
})

test('where Redis forgot the script or all that it had, counting goes on', async () => {
  const { limiter, lines } = await start()
  const bucket = freshBucket()
  expect((await limiter(bucket, 2)).remaining).toBe(1)
  await askRedis(redis.url, 'SCRIPT', 'FLUSH')
  expect((await limiter(bucket, 2)).remaining).toBe(0)
  await askRedis(redis.url, 'FLUSHALL')
  expect((await limiter(bucket, 2)).remaining).toBe(1)
  expect(lines).toEqual([])
})

test('while Redis is away each node goes on from what it heard last, and later from what Redis says', async () => {
  const { limiter, lines } = await start()
  const [bucket, usedUp] = [freshBucket(), freshBucket()]
  expect(await use(limiter, bucket, 100)).toBe(100)
  expect(await use(limiter, usedUp, 121)).toBe(120)
  await redis.kill()
  expect(await use(limiter, bucket, 50)).toBe(20)
  expect(await use(limiter, usedUp, 1)).toBe(0)
  expect(await use(limiter, freshBucket(), 121)).toBe(120)
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/^warn: a request was counted by this process alone/)
  await redis.start()
  const other = await start()
  const fresh = freshBucket()
  // The first node is back when the second one sees what it counts.
  await expect
    .poll(async () => {
      await limiter(fresh, 1000)
      return (await other.limiter(fresh, 1000)).remaining
    })
    .toBeLessThan(997)
})

test('a request waits a moment for a Redis that does not answer, and the next ones not at all', async () => {
  const { limiter, lines } = await start({ patience: 100 })
  const bucket = freshBucket()
  // Redis was heard of, however slow this machine is.
  await expect.poll(async () => (await limiter(bucket, 120)).allowed).toBe(true)
  redis.freeze()
  onTestFinished(() => redis.resume())
  const from = performance.now()
  expect((await limiter(bucket, 120)).allowed).toBe(true)
  const first = performance.now() - from
  expect(first).toBeGreaterThan(90)
  expect(first).toBeLessThan(1500)
  const then = performance.now()
  for (let n = 0; n < 20; n += 1) await limiter(bucket, 120)
  expect(performance.now() - then).toBeLessThan(1000)
  expect(lines[0]).toContain('no answer within 100 ms')
})

test('a Redis that was slow has counted all the same', async () => {
  const [slow, other] = await Promise.all([start({ patience: 50 }), start()])
  const bucket = freshBucket()
  redis.freeze()
  try {
    expect(await use(slow.limiter, bucket, 60)).toBe(60)
  } finally {
    redis.resume()
  }
  await expect.poll(async () => (await other.limiter(bucket, 1000)).remaining).toBeLessThan(940)
})

test('the rights of users.acl suffice; without them it is said, and nobody is refused', async () => {
  const file = readFileSync(new URL('../../examples/deploy/users.acl', import.meta.url), 'utf8')
  const [, line = ''] = /^user (hubbub .*)$/m.exec(file) ?? []
  const setUser = async (...words: string[]) =>
    expect(await askRedis(redis.url, 'ACL', 'SETUSER', ...words)).toMatch(/^\+OK/)
  await setUser(...line.replace('>PASSWORD', '>a-password').split(' '))
  await askRedis(redis.url, 'ACL', 'LOG', 'RESET')
  const { limiter, lines } = await start({ url: redis.url.replace('//', '//hubbub:a-password@') })
  const bucket = freshBucket()
  expect((await limiter(bucket, 2)).remaining).toBe(1)
  expect(await askRedis(redis.url, 'ACL', 'LOG')).toMatch(/^\*0\r\n/)
  expect(lines).toEqual([])
  await setUser('hubbub', '-incr')
  expect((await limiter(bucket, 2)).allowed).toBe(true)
  expect((await limiter(bucket, 2)).allowed).toBe(false)
  expect(lines).toHaveLength(1)
  expect(lines[0]).toContain("can't run this command")
  expect(lines[0]).not.toContain('a-password')
})

test('a start without Redis fails with one line', async () => {
  const { logger } = createLog()
  await expect(createRedisCounter({ url: 'redis://127.0.0.1:1', logger })).rejects.toThrow(StartError)
})
