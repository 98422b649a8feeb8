/** What a node keeps of cache channels, where events of two nodes come in no order. */

import { expect, test } from 'vitest'
import { createCache } from '../../realtime/cache.ts'
import type { CachedEvent } from '../../realtime/roster/roster.ts'
import { createTestLogger } from './start-realtime.ts'

const start = (kept?: CachedEvent) => {
  const recall = async () => kept && { ...kept, ttl: 60 }
  return createCache({ appId: '3', roster: { recall }, logger: createTestLogger() })
}

const event = (version: number): CachedEvent => ({ version, data: '', frame: `event ${version}` })

test('an older event that comes later is told live, and does not become the last', async () => {
  const cache = start()
  await cache.follow('cache-a')
  expect(cache.isNews('cache-a', 2, 'event 2')).toBe(true)
  expect(cache.isNews('cache-a', 1, 'event 1')).toBe(true)
  expect(cache.last('cache-a')).toBe('event 2')
})

test('what was kept before anybody was here is the first that is told, and not told again', async () => {
  const cache = start(event(5))
  const reading = cache.follow('cache-a')
  expect(cache.isNews('cache-a', 5, 'event 5')).toBe(true)
  await reading
  expect(cache.last('cache-a')).toBe('event 5')
  for (const version of [4, 5]) expect(cache.isNews('cache-a', version, `event ${version}`)).toBe(false)
  expect(cache.isNews('cache-a', 6, 'event 6')).toBe(true)
  expect(cache.last('cache-a')).toBe('event 6')
})

test('what could not be kept for all is kept here, until something newer comes', async () => {
  const cache = start(event(5))
  await cache.follow('cache-a')
  expect(cache.isNews('cache-a', 0, 'while Redis was away')).toBe(true)
  expect(cache.last('cache-a')).toBe('while Redis was away')
  expect(cache.isNews('cache-a', 6, 'event 6')).toBe(true)
  expect(cache.last('cache-a')).toBe('event 6')
})

test('what was missed while the bus was away is told once', async () => {
  let kept = event(5)
  const cache = createCache({
    appId: '3',
    roster: { recall: async () => ({ ...kept, ttl: 60 }) },
    logger: createTestLogger(),
  })
  await cache.follow('cache-a')
  kept = event(7)
  const told: string[] = []
  await cache.reread((_, frame) => told.push(frame))
  await cache.reread((_, frame) => told.push(frame))
  expect(told).toEqual(['event 7'])
  expect(cache.isNews('cache-a', 7, 'event 7')).toBe(false)
})
