import { expect, test } from 'vitest'
import { createMemoryRoster } from '../../realtime/roster/memory.ts'
import { rosterContract } from './contract.ts'
import { createRosterRecorder } from './recorder.ts'
import { policyOf, type RosterSetup } from './redis-node.ts'

rosterContract('the roster inside one process', (setup: RosterSetup) => {
  const roster = createMemoryRoster({ ...setup, goodbyePause: 150 })
  return { roster, listen: async () => undefined, close: roster.close }
})

test('what nobody recalled for half an hour is forgotten, and what was missed ten seconds ago is missed again', async () => {
  let time = 0
  const { listener } = createRosterRecorder()
  const roster = createMemoryRoster({ policyOf, listener, now: () => time })
  await roster.remember('chat', 'cache-a', { data: '1', frame: '{}' })
  expect(await roster.missed('chat', 'cache-b')).toBe(true)
  time = 9_999
  expect(await roster.missed('chat', 'cache-b')).toBe(false)
  expect(await roster.recall('chat', 'cache-a')).toMatchObject({ ttl: 1791 })
  time = 10_000
  expect(await roster.missed('chat', 'cache-b')).toBe(true)
  time = 1_800_000
  expect(await roster.recall('chat', 'cache-a')).toBeUndefined()
})

test('the count of a large channel is told at most once in a while, and the last one always', async () => {
  const { listener, lines, tells } = createRosterRecorder()
  const roster = createMemoryRoster({ policyOf, listener, pause: 200 })
  for (let sockets = 1; sockets <= 150; sockets += 1) roster.occupy('counts', 'a', sockets)
  expect(lines('=')).toHaveLength(100)
  await tells('= counts:a 150')
  expect(lines('=')).toHaveLength(101)
  roster.occupy('counts', 'a', 99)
  expect(lines('=').at(-1)).toBe('= counts:a 99')
  await roster.close()
})

test('joining returns before anybody is told, and a listener that asks then finds the member', async () => {
  const { listener, told } = createRosterRecorder()
  const roster = createMemoryRoster({ policyOf, listener })
  const joining = roster.join('chat', 'presence-a', { user_id: 'ann' }, 10)
  expect(told).toEqual([])
  await joining
  expect(told).toEqual(['+ chat:presence-a "ann"'])
})
