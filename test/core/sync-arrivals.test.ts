/** Waiting for events: who is woken when, what it costs while nobody waits, and how many may. */

import { setTimeout as pause } from 'node:timers/promises'
import { beforeEach, describe, expect, it } from 'vitest'
import type { LoggedEvent } from '../../schema/events.ts'
import { type ArrivalLimits, type Arrivals, createArrivals } from '../../server/domain/arrivals.ts'
import type { AgentScope } from '../../server/domain/context.ts'
import { createKeyCache } from '../../server/domain/key-cache.ts'

let asked: string[][]
let heads: Map<string, number>
let draining: boolean
let failures: unknown[]
let keys: ReturnType<typeof createKeyCache>
let arrivals: Arrivals
const make = (limits?: ArrivalLimits) =>
  createArrivals({
    heads: async (workspaces) => {
      asked.push(workspaces)
      if (heads.size === 0) throw new Error('the database is away')
      return heads
    },
    keys,
    isDraining: () => draining,
    onFailure: (error) => failures.push(error),
    ...(limits ? { limits } : {}),
  })
beforeEach(() => {
  asked = []
  heads = new Map([['org_a', 5]])
  draining = false
  failures = []
  keys = createKeyCache(async () => undefined)
  arrivals = make()
})

const agent = (workspace = 'org_a', key = 'key_a', site: string | null = null): AgentScope => ({
  workspace: { id: 1, publicId: workspace },
  site: site === null ? null : { id: 1, publicId: site },
  key: { publicId: key, version: 1, scopes: ['read'], expiresAt: null },
  user: { publicId: 'usr_a', name: 'Ada', role: 'admin' },
})
const event = (seq: number, site: string | null = null, workspace = 'org_a'): LoggedEvent => ({
  workspace,
  seq,
  id: `evt_${seq}`,
  type: 'message.new',
  site,
  conversation: null,
  conversation_seq: null,
  public_seq: null,
  payload: {},
})

describe('who waits', () => {
  it('is woken at once by what this process logs, and not by what it knows, or what is of another workspace', async () => {
    const seat = arrivals.sit(agent())
    const woken = seat.next(5, 10_000)
    arrivals.tell([event(5), event(9, null, 'org_b')])
    arrivals.tell([event(6)])
    expect(await woken).toBe('events')
    expect(asked).toEqual([])
    seat.leave()
  })

  it('is woken by what was logged between two waits', async () => {
    const seat = arrivals.sit(agent())
    arrivals.tell([event(6)])
    expect(await seat.next(5, 10_000)).toBe('events')
    expect(await seat.next(6, 20)).toBe('time')
    seat.leave()
  })

  it('with a key that is pinned to a site is woken for that site only', async () => {
    const seat = arrivals.sit(agent('org_a', 'key_a', 'web_a'))
    const woken = seat.next(5, 10_000)
    arrivals.tell([event(6, 'web_b'), event(7)])
    const outcome = await Promise.race([woken, pause(50, 'still waiting')])
    expect(outcome).toBe('still waiting')
    arrivals.tell([event(8, 'web_a')])
    expect(await woken).toBe('events')
    seat.leave()
  })

  it('is woken by what other processes wrote, through one look for all; nobody looks where nobody waits', async () => {
    heads.set('org_b', 0)
    const sitters = [agent(), agent('org_a', 'key_b'), agent('org_b'), agent('org_b', 'key_b')]
    const seats = sitters.map((one) => arrivals.sit(one))
    const waits = seats.map((seat) => seat.next(5, 10_000))
    await expect.poll(() => asked.length).toBeGreaterThanOrEqual(2)
    for (const workspaces of asked) expect([...workspaces].sort()).toEqual(['org_a', 'org_b'])
    heads.set('org_b', 6)
    const begun = performance.now()
    expect(await Promise.all(waits.slice(2))).toEqual(['events', 'events'])
    expect(performance.now() - begun).toBeLessThan(500)
    for (const seat of seats) seat.leave()
    expect(await Promise.all(waits.slice(0, 2))).toEqual(['left', 'left'])
    const looks = asked.length
    await pause(600)
    expect(asked.length).toBe(looks)
  })

  it('goes on waiting while the database is away, and hears of it afterwards', async () => {
    heads.clear()
    const seat = arrivals.sit(agent())
    const woken = seat.next(5, 10_000)
    await expect.poll(() => failures.length).toBeGreaterThan(1)
    heads.set('org_a', 6)
    expect(await woken).toBe('events')
    seat.leave()
  })

  it('is called when its key changes or may have, also between two waits; other keys are not', async () => {
    let calls = 0
    const seat = arrivals.sit(agent(), () => {
      calls += 1
    })
    const other = arrivals.sit(agent('org_a', 'key_b'))
    const woken = [seat.next(5, 10_000), other.next(5, 10_000)]
    keys.forget('key_a')
    expect(await woken[0]).toBe('key')
    keys.forget('key_a')
    expect(await seat.next(5, 10_000)).toBe('key')
    expect(calls).toBe(2)
    keys.trust(true)
    expect(await woken[1]).toBe('key')
    expect(await seat.next(5, 10_000)).toBe('key')
    seat.leave()
    other.leave()
    keys.forget('key_a')
    expect(calls).toBe(3)
  })

  it('is sent away when the process closes, and so is who comes then', async () => {
    const seat = arrivals.sit(agent())
    const woken = seat.next(5, 10_000)
    arrivals.close()
    expect(await woken).toBe('closing')
    expect(await seat.next(5, 10_000)).toBe('closing')
    expect(await arrivals.sit(agent()).next(5, 10_000)).toBe('closing')
  })

  it('is sent away when the process is about to stop; who comes then waits for a second at most', async () => {
    const seat = arrivals.sit(agent())
    const woken = seat.next(5, 10_000)
    draining = true
    expect(await woken).toBe('closing')
    const begun = performance.now()
    expect(await seat.next(5, 10_000)).toBe('closing')
    expect(performance.now() - begun).toBeLessThan(1500)
    expect(performance.now() - begun).toBeGreaterThan(900)
    seat.leave()
  })
})

it('so many may wait with a key, and so many in a process; who leaves makes room', () => {
  const few = make({ perKey: 2, perProcess: 3 })
  const [first] = [few.sit(agent()), few.sit(agent())]
  expect(() => few.sit(agent())).toThrow(expect.objectContaining({ code: 'rate_limited' }))
  few.sit(agent('org_b', 'key_b'))
  expect(() => few.sit(agent('org_b', 'key_b'))).toThrow(expect.objectContaining({ code: 'unavailable' }))
  first?.leave()
  first?.leave()
  few.sit(agent('org_b', 'key_b'))
  expect(() => few.sit(agent())).toThrow(expect.objectContaining({ code: 'unavailable' }))
})
