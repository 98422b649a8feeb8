/** Nodes over a Redis of a test's own, quick to notice what happens to them. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished } from 'vitest'
import { userChannel } from '../../schema/channels.ts'
import { startRedis } from '../support/redis.ts'
import { type RosterNode, startRosterNode } from './redis-node.ts'

export const times = { beat: 100, lease: 600, sweep: 100, settle: 400, goodbye: 400, countPause: 400 }

export const startOwn = async () => {
  const redis = await startRedis()
  onTestFinished(redis.close)
  return redis
}

export const ann = { user_id: 'ann', user_info: { name: 'Ann' } }
export const seven = { user_id: 7 }
export const wait = { timeout: 12_000, interval: 20 }

export const counts = async (node: RosterNode, app: string, channel: string) =>
  (await node.roster.counts(app, [channel]).catch(() => []))[0]
export const hooks = (...nodes: RosterNode[]) => nodes.flatMap((node) => node.lines('hook')).sort()

export const isHere = () => 'here'
export const isAway = () => 'away'

/** What two nodes with sockets, members, a user and hooks have before something happens to Redis. */
export const startTwo = async (url: string, from = times) => {
  const places: [string, string][] = [
    ['counts-hooks', 'presence-a'],
    ['counts-hooks', 'a'],
    ['counts-hooks', userChannel('7')],
  ]
  const [one, two] = await Promise.all([
    startRosterNode({ url, times: from }, ...places),
    startRosterNode({ url, times: from }, ...places),
  ])
  one.roster.occupy('counts-hooks', 'a', 2)
  await one.roster.counts('chat', [])
  two.roster.occupy('counts-hooks', 'a', 3)
  two.roster.occupy('counts-hooks', 'presence-a', 1)
  two.roster.occupy('counts-hooks', userChannel('7'), 1)
  for (const { roster } of [one, two]) await roster.join('counts-hooks', 'presence-a', ann, 10)
  await two.roster.join('counts-hooks', 'presence-a', seven, 10)
  await one.tells('= counts-hooks:a 5')
  await one.tells('! counts-hooks 7')
  await one.tells('+ counts-hooks:presence-a 7')
  const before = { one: [...one.told], two: [...two.told] }
  const isAllThere = async () => {
    await expect.poll(() => counts(one, 'counts-hooks', 'a'), wait).toEqual({ subscriptions: 5, users: 0 })
    await expect.poll(() => counts(two, 'counts-hooks', 'presence-a'), wait).toEqual({ subscriptions: 1, users: 2 })
    expect(await one.roster.online('counts-hooks', ['7'])).toEqual([true])
    expect((await one.roster.channels('counts-hooks', '')).sort()).toEqual(['a', 'presence-a'])
    const { members } = await one.roster.members('counts-hooks', 'presence-a')
    expect(members).toHaveLength(2)
    expect(members).toContainEqual(ann)
  }
  await isAllThere()
  const isNothingTold = () => {
    expect(one.told.filter((line) => line !== 'returned')).toEqual(before.one)
    expect(two.told.filter((line) => line !== 'returned')).toEqual(before.two)
  }
  return { one, two, isAllThere, isNothingTold }
}

/** Runs a process that has a member and three sockets on a channel. */
export const startMortal = async (url: string, from: object) => {
  const script = fileURLToPath(new URL('./mortal.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', script, url, JSON.stringify(from)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  await expect.poll(() => output, { timeout: 15_000 }).toContain('open')
  return {
    output: () => output,
    stop: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    kill: async () => {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
  }
}
