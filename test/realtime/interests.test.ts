import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createInterests } from '../../realtime/interests.ts'
import { createTestLogger } from './start-realtime.ts'

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

const make = (start: () => Promise<void> = async () => undefined) => {
  const told: string[] = []
  const interests = createInterests({
    start: (name) => {
      told.push(`start ${name}`)
      return start()
    },
    stop: (name) => told.push(`stop ${name}`),
    late: (name) => told.push(`late ${name}`),
    logger: createTestLogger(),
  })
  return { interests, told }
}

test('what many want is started once, and those who come later do not wait', async () => {
  const { interests, told } = make()
  await Promise.all([interests.hold('a'), interests.hold('a')])
  expect(interests.hold('a')).toBeUndefined()
  expect(told).toEqual(['start a'])
  expect(interests.names()).toEqual(['a'])
  interests.close()
})

test('it ends five seconds after the last one has left, and not before', async () => {
  const { interests, told } = make()
  await interests.hold('a')
  interests.hold('a')
  interests.release('a')
  await vi.advanceTimersByTimeAsync(10_000)
  interests.release('a')
  await vi.advanceTimersByTimeAsync(4999)
  expect(told).toEqual(['start a'])
  await vi.advanceTimersByTimeAsync(1)
  expect(told).toEqual(['start a', 'stop a'])
  expect(interests.names()).toEqual([])
  interests.release('a')
})

test('who comes back within five seconds finds it as it was', async () => {
  const { interests, told } = make()
  await interests.hold('a')
  interests.release('a')
  await vi.advanceTimersByTimeAsync(4999)
  expect(interests.hold('a')).toBeUndefined()
  await vi.advanceTimersByTimeAsync(10_000)
  expect(told).toEqual(['start a'])
  interests.close()
  expect(told).toEqual(['start a', 'stop a'])
})

test('nobody waits for more than half a second, nor for what fails', async () => {
  const never = make(() => new Promise(() => undefined))
  const waiting = never.interests.hold('a')
  await vi.advanceTimersByTimeAsync(500)
  await waiting
  expect(never.told).toEqual(['start a', 'late a'])
  expect(never.interests.hold('a')).toBeUndefined()
  never.interests.close()

  const failing = make(() => Promise.reject(new Error('no')))
  await failing.interests.hold('a')
  expect(failing.told).toEqual(['start a', 'late a'])
  failing.interests.close()
})
