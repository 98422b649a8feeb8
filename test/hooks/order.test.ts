/** In which order webhooks are tried, when they are tried again, and what becomes of too many: by a clock that is moved. */

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { retryDelay } from '../../realtime/hooks/schedule.ts'
import { appWith, bad, counted, good, occupied, scriptedPost, startHooks } from './start-hooks.ts'

const url = 'https://hooks.example/token'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
})

afterEach(() => {
  vi.useRealTimers()
})

describe('the schedule', () => {
  const plan = (chance: number) => {
    const delays: number[] = []
    let left = 300_000
    for (;;) {
      const delay = retryDelay(delays.length + 1, left, () => chance)
      if (delay === undefined) return delays
      delays.push(delay)
      left -= delay
    }
  }

  test('doubles from a second to a minute, and the last try is when five minutes are over', () => {
    const middle = plan(0.5).map((delay) => delay / 1000)
    expect(middle).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60, 57])
  })

  test('varies by a fifth, so that many do not come at once', () => {
    expect(plan(0)[0]).toBe(800)
    expect(plan(1)[0]).toBeCloseTo(1200)
    for (const chance of [0, 0.3, 1]) expect(plan(chance).reduce((sum, delay) => sum + delay)).toBeCloseTo(300_000)
  })
})

describe('an event that nobody takes', () => {
  test('is tried for five minutes, is the same each time, then is dropped, counted and logged once', async () => {
    const { post, posted } = scriptedPost(() => bad)
    const hooks = startHooks(appWith([{ url }]), post)
    const began = Date.now()
    hooks.tell(occupied('news'))
    await vi.advanceTimersByTimeAsync(299_999)
    expect(hooks.counts).toMatchObject({ expired: 0 })
    await vi.advanceTimersByTimeAsync(3_600_000)
    expect(posted.map(({ at }) => at / 1000)).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 300])
    expect(new Set(posted.map(({ body }) => body))).toEqual(
      new Set([`{"time_ms":${began},"events":[{"name":"channel_occupied","channel":"news"}]}`]),
    )
    expect(new Set(posted.map(({ headers }) => headers['X-Pusher-Signature'])).size).toBe(1)
    expect(hooks.counts).toEqual({ told: 0, failed: 11, expired: 1, full: 0, stopped: 0 })
    expect(hooks.lines).toEqual([
      {
        level: 'warn',
        fields: { app: '1', host: 'hooks.example', reason: 'expired', status: 500, events: 1 },
        message: 'a webhook was not told of events',
      },
    ])
    expect(hooks.failures).toEqual([{ app: '1', host: 'hooks.example', status: 500 }])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('is told as soon as somebody does, and not again', async () => {
    const { post, posted } = scriptedPost(({ at }) => (at < 250_000 ? bad : good))
    const hooks = startHooks(appWith([{ url }]), post)
    hooks.tell(occupied('news'))
    await vi.advanceTimersByTimeAsync(3_600_000)
    expect(posted.at(-1)?.at).toBe(300_000)
    expect(hooks.counts).toMatchObject({ told: 1, failed: 10, expired: 0 })
    expect(hooks.lines).toEqual([])
  })

  test('is not logged with a secret, and a thousand of them are one line a minute', async () => {
    const { post } = scriptedPost(() => ({ ok: false, failure: 'timeout', message: 'late' }))
    const hooks = startHooks(appWith([{ url, headers: { Authorization: 'Bearer hush' } }]), post)
    for (let n = 0; n < 1000; n++) hooks.tell(occupied(`news-${n}`))
    await vi.advanceTimersByTimeAsync(600_000)
    expect(hooks.counts).toMatchObject({ told: 0, expired: 1000 })
    expect(hooks.lines).toHaveLength(1)
    expect(hooks.failures).toEqual([{ app: '1', host: expect.any(String), failure: 'timeout' }])
    expect(JSON.stringify([hooks.lines, hooks.failures])).not.toMatch(/token|hush|app-secret/)
  })

  test('is not told long after its time, however slowly the receiver fails', async () => {
    const { post, posted } = scriptedPost()
    const late = { ok: false, failure: 'timeout', message: 'late' } as const
    const hooks = startHooks(appWith([{ url }]), (to, request) => {
      const result = post(to, request)
      const one = posted.at(-1)
      setTimeout(() => void one?.end(late), 10_000)
      return result
    })
    for (let n = 0; n < 500; n++) hooks.tell(occupied(`news-${n}`))
    await vi.advanceTimersByTimeAsync(3_600_000)
    expect(posted.at(-1)?.at).toBeLessThanOrEqual(310_000)
    expect(hooks.counts).toMatchObject({ told: 0, expired: 500 })
    expect(vi.getTimerCount()).toBe(0)
  })

  test('that waits for longer than five minutes to be tried at all is dropped', async () => {
    const { post, posted } = scriptedPost()
    const hooks = startHooks(appWith([{ url }]), post)
    hooks.tell(counted('news', 1))
    hooks.tell(counted('news', 2))
    await vi.advanceTimersByTimeAsync(300_000)
    hooks.tell(counted('news', 3))
    await posted[0]?.end()
    expect(posted.map(({ events }) => events)).toEqual([[counted('news', 1)], [counted('news', 3)]])
    expect(hooks.counts).toMatchObject({ told: 1, expired: 1 })
  })
})

describe('order', () => {
  test('events of a channel wait for the first try of the one before; other channels do not', async () => {
    const { post, posted } = scriptedPost()
    const hooks = startHooks(appWith([{ url }]), post)
    for (const n of [1, 2, 3]) hooks.tell(counted('news', n))
    hooks.tell(counted('shop', 1))
    expect(posted.map(({ events }) => events[0])).toEqual([counted('news', 1), counted('shop', 1)])
    await posted[0]?.end()
    expect(posted.slice(2).map(({ events }) => events[0])).toEqual([counted('news', 2)])
    await posted[2]?.end()
    expect(posted.slice(3).map(({ events }) => events[0])).toEqual([counted('news', 3)])
  })

  test('a failure does not hold up what comes after it', async () => {
    const { post, posted } = scriptedPost()
    const hooks = startHooks(appWith([{ url }]), post)
    hooks.tell(counted('news', 1))
    hooks.tell(counted('news', 2))
    await posted[0]?.end(bad)
    expect(posted).toHaveLength(2)
    await posted[1]?.end()
    await vi.advanceTimersByTimeAsync(1000)
    expect(posted[2]?.events).toEqual([counted('news', 1)])
  })

  test('no more than ten requests are on their way to a webhook, and the next goes when one ends', async () => {
    const { post, posted } = scriptedPost()
    const hooks = startHooks(appWith([{ url }, { url: 'https://other.example/' }]), post)
    for (let n = 0; n < 15; n++) hooks.tell(occupied(`news-${n}`))
    const toFirst = () => posted.filter((one) => one.url === url)
    expect(toFirst()).toHaveLength(10)
    expect(posted).toHaveLength(20)
    await posted[0]?.end()
    expect(toFirst()).toHaveLength(11)
    expect(toFirst().at(-1)?.events).toEqual([occupied('news-10')])
  })

  test('tries again take half of the places at most: what is new finds one', async () => {
    const { post, posted } = scriptedPost(({ at }) => (at === 0 ? bad : undefined))
    const hooks = startHooks(appWith([{ url }]), post)
    for (let n = 0; n < 20; n++) hooks.tell(occupied(`news-${n}`))
    await vi.advanceTimersByTimeAsync(1000)
    expect(posted).toHaveLength(25)
    hooks.tell(occupied('shop'))
    expect(posted.at(-1)?.events).toEqual([occupied('shop')])
    for (const one of posted.slice(20)) await one.end()
    for (const one of posted.slice(26)) await one.end()
    for (const one of posted.slice(31)) await one.end()
    for (const one of posted.slice(36)) await one.end()
    expect(hooks.counts).toMatchObject({ told: 21, failed: 20 })
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('batches', () => {
  const batching = { enableWebhookBatching: true }

  test('what comes within the window is one request, told as old as its oldest', async () => {
    const { post, posted } = scriptedPost(() => good)
    const hooks = startHooks(appWith([{ url }], batching), post)
    const began = Date.now()
    hooks.tell(counted('news', 1))
    hooks.tell(occupied('shop'))
    await vi.advanceTimersByTimeAsync(40)
    hooks.tell(counted('news', 2))
    expect(posted).toEqual([])
    await vi.advanceTimersByTimeAsync(10)
    hooks.tell(counted('news', 3))
    await vi.advanceTimersByTimeAsync(50)
    expect(posted.map(({ events }) => events)).toEqual([
      [counted('news', 1), counted('news', 2), occupied('shop')],
      [counted('news', 3)],
    ])
    expect(posted[0]?.body.startsWith(`{"time_ms":${began},`)).toBe(true)
    expect(hooks.counts).toMatchObject({ told: 4 })
  })

  test('a hundred are enough: they do not wait', async () => {
    const { post, posted } = scriptedPost()
    const hooks = startHooks(appWith([{ url }], batching), post)
    for (let n = 0; n < 99; n++) hooks.tell(occupied(`news-${n}`))
    expect(posted).toHaveLength(0)
    for (let n = 99; n < 250; n++) hooks.tell(occupied(`news-${n}`))
    expect(posted.map(({ events }) => events.length)).toEqual([100, 100])
    await vi.advanceTimersByTimeAsync(50)
    expect(posted.map(({ events }) => events.length)).toEqual([100, 100, 50])
  })

  test('they stay below what receivers take, and an event that alone is larger goes alone', async () => {
    const { post, posted } = scriptedPost()
    const hooks = startHooks(appWith([{ url }], batching), post)
    const large = (channel: string, size: number) =>
      hooks.tell({ name: 'client_event', channel, event: 'client-x', data: 'x'.repeat(size), socket_id: '1.2' })
    for (let n = 0; n < 10; n++) large(`private-${n}`, 10_000)
    large('private-huge', 90_000)
    await vi.advanceTimersByTimeAsync(50)
    expect(posted.map(({ events }) => events.length)).toEqual([6, 4, 1])
    expect(posted[0]?.body.length).toBeLessThan(64 * 1024 + 100)
  })

  test('a channel keeps its order from batch to batch, and is tried again as it was', async () => {
    const { post, posted } = scriptedPost()
    const hooks = startHooks(appWith([{ url }], batching), post)
    hooks.tell(counted('news', 1))
    hooks.tell(occupied('shop'))
    await vi.advanceTimersByTimeAsync(50)
    hooks.tell(counted('news', 2))
    hooks.tell(occupied('other'))
    await vi.advanceTimersByTimeAsync(50)
    expect(posted.map(({ events }) => events)).toEqual([[counted('news', 1), occupied('shop')], [occupied('other')]])
    await posted[0]?.end(bad)
    await vi.advanceTimersByTimeAsync(50)
    expect(posted[2]?.events).toEqual([counted('news', 2)])
    await vi.advanceTimersByTimeAsync(1000)
    expect(posted[3]?.body).toBe(posted[0]?.body)
  })
})

describe('too many', () => {
  test('beyond the bound the newest are dropped and counted; what was told makes room', async () => {
    const { post, posted } = scriptedPost()
    const hooks = startHooks(appWith([{ url }]), post)
    for (let n = 1; n <= 10_003; n++) hooks.tell(counted('news', n))
    expect(hooks.counts).toMatchObject({ full: 3 })
    expect(hooks.lines).toHaveLength(1)
    await posted[0]?.end()
    hooks.tell(counted('news', 10_004))
    expect(hooks.counts).toMatchObject({ full: 3, told: 1 })
    hooks.tell(counted('news', 10_005))
    expect(hooks.counts).toMatchObject({ full: 4 })
    for (let n = 1; n < posted.length; n++) await posted[n]?.end()
    expect(posted.at(-1)?.events).toEqual([counted('news', 10_004)])
    expect(hooks.counts).toMatchObject({ told: 10_001 })
  })

  test('what waits to be tried again counts too', async () => {
    const { post } = scriptedPost(() => bad)
    const hooks = startHooks(appWith([{ url }]), post, { limits: { waitingEvents: 2 } })
    for (const channel of ['a', 'b', 'c']) hooks.tell(occupied(channel))
    await vi.advanceTimersByTimeAsync(0)
    hooks.tell(occupied('d'))
    expect(hooks.counts).toMatchObject({ failed: 2, full: 2 })
  })

  test('few that are large are too many as well', () => {
    const { post } = scriptedPost()
    const hooks = startHooks(appWith([{ url }]), post, { limits: { waitingLength: 150 } })
    hooks.tell(occupied('x'.repeat(40)))
    hooks.tell(occupied('y'.repeat(40)))
    hooks.tell(occupied('z'))
    expect(hooks.counts).toMatchObject({ full: 1 })
  })

  test('one webhook that is full does not keep events from another', () => {
    const { post, posted } = scriptedPost(({ url: to }) => (to === url ? undefined : good))
    const hooks = startHooks(appWith([{ url }, { url: 'https://other.example/' }]), post, {
      limits: { waitingEvents: 1 },
    })
    hooks.tell(occupied('a'))
    hooks.tell(occupied('b'))
    expect(hooks.counts).toMatchObject({ full: 2 })
    expect(posted).toHaveLength(2)
  })
})

describe('the end', () => {
  const tick = () => vi.advanceTimersByTimeAsync(0)

  test('waits for what is on its way', async () => {
    const { post, posted } = scriptedPost()
    const hooks = startHooks(appWith([{ url }]), post)
    hooks.tell(occupied('news'))
    let isClosed = false
    const closing = hooks.close().then(() => {
      isClosed = true
    })
    await vi.advanceTimersByTimeAsync(1999)
    expect(isClosed).toBe(false)
    await posted[0]?.end()
    await closing
    expect(hooks.counts).toMatchObject({ told: 1, stopped: 0 })
    expect(vi.getTimerCount()).toBe(0)
  })

  test('does not wait for longer than two seconds, and says what was lost', async () => {
    const { post, posted } = scriptedPost()
    const hooks = startHooks(appWith([{ url }]), post)
    for (const n of [1, 2, 3]) hooks.tell(counted('news', n))
    const closing = hooks.close()
    await vi.advanceTimersByTimeAsync(2000)
    await closing
    expect(hooks.counts).toMatchObject({ told: 0, stopped: 3 })
    expect(hooks.lines).toMatchObject([{ level: 'warn', fields: { reason: 'stopped', events: 3 } }])
    await posted[0]?.end(bad)
    await vi.advanceTimersByTimeAsync(600_000)
    expect(posted).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('sends what was never tried: behind another, and a batch before its window is over', async () => {
    const { post, posted } = scriptedPost(() => good)
    const hooks = startHooks(appWith([{ url }]), post)
    const batches = startHooks(appWith([{ url }], { enableWebhookBatching: true }), post)
    for (const n of [1, 2, 3]) {
      hooks.tell(counted('news', n))
      batches.tell(counted('news', n))
    }
    await Promise.all([hooks.close(), batches.close()])
    expect(posted.map(({ events }) => events.length).toSorted()).toEqual([1, 1, 1, 3])
    expect(hooks.counts).toMatchObject({ told: 3, stopped: 0 })
    expect(batches.counts).toMatchObject({ told: 3, stopped: 0 })
  })

  test('gives up what has failed, and takes nothing more', async () => {
    const { post, posted } = scriptedPost(() => bad)
    const hooks = startHooks(appWith([{ url }]), post)
    hooks.tell(occupied('news'))
    await tick()
    await hooks.close()
    hooks.tell(occupied('shop'))
    await vi.advanceTimersByTimeAsync(600_000)
    expect(posted).toHaveLength(1)
    expect(hooks.counts).toEqual({ told: 0, failed: 1, expired: 0, full: 0, stopped: 2 })
  })

  test('is at once where nothing is on its way, and may be asked for twice', async () => {
    const hooks = startHooks(appWith([{ url }]), scriptedPost().post)
    await hooks.close()
    await hooks.close()
    expect(hooks.lines).toEqual([])
  })
})
