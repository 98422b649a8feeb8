/** What every roster must do; each implementation runs this suite. */

import { afterEach, describe, expect, test } from 'vitest'
import type { Member, Roster } from '../../realtime/roster/roster.ts'
import { userChannel } from '../../schema/channels.ts'
import { createRosterRecorder } from './recorder.ts'
import { type MadeRoster, policyOf, type RosterSetup } from './redis-node.ts'

/** Runs the suite on the rosters that `make` makes; they are closed after each test. */
export const rosterContract = (name: string, make: (setup: RosterSetup) => MadeRoster | Promise<MadeRoster>): void => {
  describe(name, () => {
    let opened: MadeRoster[] = []

    const start = async (...places: [app: string, channel: string][]) => {
      const recorder = createRosterRecorder()
      const made = await make({ policyOf, listener: recorder.listener })
      opened.push(made)
      await Promise.all(places.map(([app, channel]) => made.listen(app, channel)))
      return { ...recorder, roster: made.roster }
    }

    afterEach(async () => {
      await Promise.all(opened.map(({ close }) => close()))
      opened = []
    })

    const ann: Member = { user_id: 'ann', user_info: { name: 'Ann' } }
    const seven: Member = { user_id: 7 }
    const idsOf = async (roster: Roster, app: string, channel: string) =>
      (await roster.members(app, channel)).members.map(({ user_id }) => user_id).sort()

    test('a channel is counted and listed while it has sockets, and in its app alone', async () => {
      const { roster } = await start()
      roster.occupy('chat', 'news-a', 1)
      roster.occupy('chat', 'news-a', 2)
      roster.occupy('chat', 'news-b', 1)
      roster.occupy('other', 'news-c', 1)
      expect(await roster.counts('chat', ['news-a', 'none', 'news-b', 'news-c'])).toEqual([
        { subscriptions: 2, users: 0 },
        { subscriptions: 0, users: 0 },
        { subscriptions: 1, users: 0 },
        { subscriptions: 0, users: 0 },
      ])
      expect((await roster.channels('chat', '')).sort()).toEqual(['news-a', 'news-b'])
      expect(await roster.channels('chat', 'news-b')).toEqual(['news-b'])
      expect(await roster.channels('chat', 'news-*')).toEqual([])
      roster.occupy('chat', 'news-a', 0)
      expect(await roster.channels('chat', '')).toEqual(['news-b'])
      expect(await roster.counts('chat', ['news-a'])).toEqual([{ subscriptions: 0, users: 0 }])
    })

    test('a member is told to join and to leave once, with the id as it was signed', async () => {
      const { roster, told, tells, versions } = await start(['chat', 'presence-a'])
      expect(await roster.join('chat', 'presence-a', seven, 10)).toBe('joined')
      expect(await roster.join('chat', 'presence-a', seven, 10)).toBe('joined')
      expect(await roster.join('chat', 'presence-a', ann, 10)).toBe('joined')
      expect(await idsOf(roster, 'chat', 'presence-a')).toEqual([7, 'ann'])
      expect((await roster.members('chat', 'presence-a')).members).toContainEqual(ann)
      expect(await roster.counts('chat', ['presence-a'])).toEqual([{ subscriptions: 0, users: 2 }])
      roster.leave('chat', 'presence-a', '7')
      roster.leave('chat', 'presence-a', '7')
      roster.leave('chat', 'presence-a', 'ann')
      expect(await idsOf(roster, 'chat', 'presence-a')).toEqual([])
      await tells('- chat:presence-a "ann"')
      const [first, ...rest] = told
      expect([first, ...rest]).toEqual([
        '+ chat:presence-a 7',
        '+ chat:presence-a "ann"',
        '- chat:presence-a 7',
        '- chat:presence-a "ann"',
      ])
      expect(versions).toEqual([...versions].sort((a, b) => a - b))
      expect(new Set(versions).size).toBe(4)
    })

    test('what was read is as new as its version: earlier changes are in it, later ones are above it', async () => {
      const { roster, tells, versions } = await start(['chat', 'presence-a'])
      await roster.join('chat', 'presence-a', seven, 10)
      const full = await roster.members('chat', 'presence-a')
      roster.leave('chat', 'presence-a', '7')
      const empty = await roster.members('chat', 'presence-a')
      await roster.join('chat', 'presence-a', ann, 10)
      await tells('+ chat:presence-a "ann"')
      const [joined = 0, left = 0, again = 0] = versions
      expect(full.version).toBeGreaterThanOrEqual(joined)
      expect(full.version).toBeLessThan(left)
      expect(empty.version).toBeGreaterThanOrEqual(left)
      expect(empty.version).toBeLessThan(again)
    })

    test('a channel with as many members as it may have takes no other, but those it has', async () => {
      const { roster, told, tells } = await start(['chat', 'presence-a'])
      expect(await roster.join('chat', 'presence-a', ann, 1)).toBe('joined')
      expect(await roster.join('chat', 'presence-a', seven, 1)).toBe('full')
      expect(await roster.join('chat', 'presence-a', ann, 1)).toBe('joined')
      expect(await idsOf(roster, 'chat', 'presence-a')).toEqual(['ann'])
      roster.leave('chat', 'presence-a', 'ann')
      expect(await roster.join('chat', 'presence-a', seven, 1)).toBe('joined')
      await tells('+ chat:presence-a 7')
      expect(told).toEqual(['+ chat:presence-a "ann"', '- chat:presence-a "ann"', '+ chat:presence-a 7'])
    })

    test('a member may have any text as an id, and anything as its info', async () => {
      const { roster, told, tells } = await start(['chat', 'presence-a'])
      const odd = ['__proto__', 'a:b', 'g', 'line\nbreak', '{x}', 'ü 🎈', '1'].map((user_id) => ({
        user_id,
        user_info: { text: '\n"{}', list: [1, null] },
      }))
      for (const member of odd) await roster.join('chat', 'presence-a', member, 100)
      const { members } = await roster.members('chat', 'presence-a')
      expect(members).toHaveLength(odd.length)
      for (const member of odd) expect(members).toContainEqual(member)
      for (const { user_id } of odd) roster.leave('chat', 'presence-a', user_id)
      await tells(`- chat:presence-a "1"`)
      expect(told).toHaveLength(2 * odd.length)
    })

    test('a user is online while there are sockets signed in, is told to come and go, and is no channel', async () => {
      const channel = userChannel('7')
      const { roster, told, tells } = await start(['chat-counts-hooks', channel])
      roster.occupy('chat-counts-hooks', channel, 1)
      expect(await roster.online('chat-counts-hooks', ['7', '8'])).toEqual([true, false])
      roster.occupy('chat-counts-hooks', channel, 2)
      expect(await roster.channels('chat-counts-hooks', '')).toEqual([])
      roster.occupy('chat-counts-hooks', channel, 0)
      expect(await roster.online('chat-counts-hooks', ['7'])).toEqual([false])
      await tells('? chat-counts-hooks 7')
      expect(told).toEqual(['! chat-counts-hooks 7', '? chat-counts-hooks 7'])
    })

    test('each count of a small channel is told where the app tells it, and those of presence channels are not', async () => {
      const { roster, told, tells } = await start(['counts', 'a'], ['counts', 'presence-a'], ['plain', 'a'])
      for (const sockets of [1, 2, 1]) {
        for (const [app, channel] of [
          ['plain', 'a'],
          ['counts', 'presence-a'],
          ['counts', 'a'],
        ] as const) {
          roster.occupy(app, channel, sockets)
        }
        await roster.counts('counts', ['a'])
      }
      await expect.poll(() => told).toHaveLength(3)
      await tells('= counts:a 2')
      expect(told).toEqual(['= counts:a 1', '= counts:a 2', '= counts:a 1'])
    })

    test('hooks tell that a channel is occupied and vacated, and that a member was added and removed', async () => {
      const { roster, lines, tells } = await start()
      roster.occupy('hooks', 'presence-a', 1)
      await roster.join('hooks', 'presence-a', seven, 10)
      await tells('hook hooks member_added presence-a 7')
      roster.leave('hooks', 'presence-a', '7')
      roster.occupy('hooks', 'presence-a', 0)
      await roster.counts('hooks', ['presence-a'])
      expect(lines('hook')).toHaveLength(2)
      await tells('hook hooks member_removed presence-a 7')
      await tells('hook hooks channel_vacated presence-a')
      expect(lines('hook')).toHaveLength(4)
      expect(lines('hook')).toContain('hook hooks channel_occupied presence-a')
    })

    test('hooks tell nothing of a page that was loaded again, and nothing where the app has none', async () => {
      const { roster, lines, tells } = await start()
      for (const app of ['hooks', 'plain']) {
        roster.occupy(app, 'presence-a', 1)
        await roster.join(app, 'presence-a', seven, 10)
      }
      await tells('hook hooks channel_occupied presence-a')
      roster.leave('hooks', 'presence-a', '7')
      roster.occupy('hooks', 'presence-a', 0)
      await roster.counts('hooks', ['presence-a'])
      roster.occupy('hooks', 'presence-a', 1)
      await roster.join('hooks', 'presence-a', seven, 10)
      // A goodbye that begins later ends later.
      roster.occupy('hooks', 'b', 1)
      await roster.counts('hooks', ['b'])
      roster.occupy('hooks', 'b', 0)
      await tells('hook hooks channel_vacated b')
      expect(lines('hook').sort()).toEqual([
        'hook hooks channel_occupied b',
        'hook hooks channel_occupied presence-a',
        'hook hooks channel_vacated b',
        'hook hooks member_added presence-a 7',
      ])
    })

    test('a count is told to a webhook, too', async () => {
      const { roster, lines, tells } = await start()
      roster.occupy('counts-hooks', 'a', 1)
      await tells('hook counts-hooks subscription_count a 1')
      roster.occupy('counts-hooks', 'a', 2)
      await tells('hook counts-hooks subscription_count a 2')
      expect(lines('hook')).toEqual([
        'hook counts-hooks channel_occupied a',
        'hook counts-hooks subscription_count a 1',
        'hook counts-hooks subscription_count a 2',
      ])
    })

    test('what was triggered last is recalled for half an hour, whole', async () => {
      const { roster } = await start()
      const event = { data: '"ü\n"', frame: '{"event":"e"}' }
      expect(await roster.recall('chat', 'cache-a')).toBeUndefined()
      const before = await roster.remember('chat', 'cache-a', { ...event, data: 'before' })
      const version = await roster.remember('chat', 'cache-a', event)
      expect(version).toBeGreaterThan(before)
      const { ttl = 0, ...recalled } = (await roster.recall('chat', 'cache-a')) ?? {}
      expect(recalled).toEqual({ ...event, version })
      expect(ttl).toBeGreaterThan(1790)
      expect(ttl).toBeLessThanOrEqual(1800)
      expect(await roster.recall('other', 'cache-a')).toBeUndefined()
    })

    test('a cached event is missed once in a while, and again after it was there', async () => {
      const { roster } = await start()
      expect(await roster.missed('chat', 'cache-a')).toBe(true)
      expect(await roster.missed('chat', 'cache-a')).toBe(false)
      expect(await roster.missed('chat', 'cache-b')).toBe(true)
      await roster.remember('chat', 'cache-a', { data: '1', frame: '{}' })
      expect(await roster.missed('chat', 'cache-a')).toBe(true)
    })

    test('who looks again is told that it may read again', async () => {
      const { roster, tells } = await start()
      roster.recheck()
      await tells('returned')
    })

    test('closing notices nothing, and nothing is noticed after it', async () => {
      const { roster, lines } = await start()
      roster.occupy('counts-hooks', 'a', 1)
      await roster.join('counts-hooks', 'presence-a', seven, 10)
      await expect.poll(() => lines('hook')).toHaveLength(3)
      await roster.close()
      roster.occupy('counts-hooks', 'a', 2)
      roster.leave('counts-hooks', 'presence-a', '7')
      roster.recheck()
      expect(await roster.join('counts-hooks', 'presence-a', ann, 10)).toBe('unknown')
      expect([...lines('hook'), ...lines('returned')]).toHaveLength(3)
    })
  })
}
