/** What becomes of a delivery: how often it is tried, when, and what the log says of each attempt. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { retrySchedule } from '../../schema/muro/webhooks.ts'
import type { Post, PostResult } from '../../schema/outbound.ts'
import { deleteWebhook } from '../../server/domain/webhooks.ts'
import { createPost } from '../../server/outbound/post.ts'
import { leaseSeconds } from '../../server/webhooks/claims.ts'
import { attemptTimeout } from '../../server/webhooks/sender.ts'
import type { Reply } from '../support/receiver.ts'
import { type Office, startWebhooks } from './start-webhooks.ts'

let office: Office
let random = 0
beforeAll(async () => {
  office = await startWebhooks({ random: () => random, timeout: 300 })
})
beforeEach(() => {
  random = 0
})
afterEach(() => office.clear())
afterAll(() => office.close())

const deliverable = (url?: string) => office.deliverable(url)

const attempt = (facts: object) => ({
  at: expect.any(String),
  duration_ms: expect.any(Number),
  status: null,
  failure: null,
  message: null,
  response: null,
  ...facts,
})

describe('a receiver that fails', () => {
  const strict = createPost()
  afterAll(strict.close)
  const quick: Post = (url, request) => office.post(url, { ...request, timeout: 50 })

  it.each<[string, { reply: Reply; post?: Post; failure: string }]>([
    ['answers 500', { reply: 500, failure: 'status' }],
    ['leads elsewhere', { reply: { status: 302, headers: { Location: '/elsewhere' } }, failure: 'redirect' }],
    ['breaks off its answer', { reply: 'cut', failure: 'broken_answer' }],
    ['never answers', { reply: 'hang', post: quick, failure: 'timeout' }],
    ['is a private one where that is not allowed', { reply: 200, post: strict.post, failure: 'refused_address' }],
  ])(
    'since it %s is tried seven times, after 30 s, 1 min, 5 min, 30 min, 2 h and 6 h, and then no more',
    async (_, how) => {
      expect(retrySchedule).toEqual([30, 60, 300, 1800, 7200, 21_600])
      const { delivery } = await deliverable()
      const sender = office.makeSender(how.post)
      const run = async () => {
        await sender.send()
        await sender.settled()
      }
      office.receiver.answer(how.reply)
      await run()
      for (const [index, seconds] of retrySchedule.entries()) {
        const { status, attempts, next_attempt_at } = await delivery()
        expect([status, attempts.map(({ failure }) => failure)]).toEqual([
          'pending',
          Array(index + 1).fill(how.failure),
        ])
        const failed = Date.parse(attempts[index]?.at ?? '') + (attempts[index]?.duration_ms ?? 0)
        expect(Math.abs(Date.parse(next_attempt_at ?? '') - failed - seconds * 1000)).toBeLessThan(50)
        office.clock.ahead += seconds * 1000 - 10_000
        await run()
        expect((await delivery()).attempts).toHaveLength(index + 1)
        office.clock.ahead += 10_000
        await run()
      }
      expect(await delivery()).toMatchObject({ status: 'failed', next_attempt_at: null, attempts: { length: 7 } })
      office.clock.ahead += 7 * 86_400_000
      await run()
      expect((await delivery()).attempts).toHaveLength(7)
      const bodies = new Set(office.receiver.requests.map(({ body }) => body))
      const ids = new Set(office.receiver.requests.map(({ headers }) => headers['x-muro-event-id']))
      const isReached = how.post !== strict.post
      expect([office.receiver.requests.length, bodies.size, ids.size]).toEqual(isReached ? [7, 1, 1] : [0, 0, 0])
    },
  )

  it('is tried up to a tenth later, so that not all who waited come at once', async () => {
    const { delivery } = await deliverable()
    random = 1
    office.receiver.answer(500)
    await office.run()
    const { attempts, next_attempt_at } = await delivery()
    const wait = Date.parse(next_attempt_at ?? '') - Date.parse(attempts[0]?.at ?? '')
    expect(wait).toBeGreaterThan(32_990)
    expect(wait).toBeLessThan(33_500)
  })

  it('and takes it later has succeeded, and is left alone', async () => {
    const { id, delivery } = await deliverable()
    office.receiver.answer(503)
    await office.run()
    expect((await office.webhook(id)).failing_since).not.toBeNull()
    office.receiver.answer({ status: 204 })
    office.clock.ahead = 31_000
    await office.run()
    expect(await delivery()).toMatchObject({
      status: 'succeeded',
      next_attempt_at: null,
      attempts: [
        attempt({ status: 503, failure: 'status', message: 'answered 503', response: '' }),
        attempt({ status: 204, response: '' }),
      ],
    })
    expect((await office.webhook(id)).failing_since).toBeNull()
    office.clock.ahead = 86_400_000
    await office.run()
    expect(office.receiver.requests).toHaveLength(2)
  })
})

describe('an attempt', () => {
  it.each([200, 201, 202, 204, 299])('that is answered %i has succeeded', async (status) => {
    const { delivery } = await deliverable()
    office.receiver.answer(status)
    await office.run()
    expect(await delivery()).toMatchObject({ status: 'succeeded', attempts: [{ status, failure: null }] })
  })

  it.each([304, 400, 401, 404, 409, 429, 500, 502])('that is answered %i has failed', async (status) => {
    const { delivery } = await deliverable()
    office.receiver.answer(status)
    await office.run()
    expect(await delivery()).toMatchObject({ status: 'pending', attempts: [{ status, failure: 'status' }] })
  })

  it.each([301, 302, 307, 308])('that is redirected by %i has failed: nobody is followed elsewhere', async (status) => {
    const { delivery } = await deliverable()
    office.receiver.answer(({ path }) =>
      path === '/' ? { status, headers: { Location: `${office.receiver.url}/elsewhere` } } : 200,
    )
    await office.run()
    const message = 'redirects are not followed'
    expect(await delivery()).toMatchObject({ status: 'pending', attempts: [{ status, failure: 'redirect', message }] })
    expect(office.receiver.requests.map(({ path }) => path)).toEqual(['/'])
  })

  it.each([
    ['hang', 'timeout'],
    ['trickle', 'timeout'],
    ['cut', 'broken_answer'],
  ] as const)('whose receiver does %s has failed as %s', async (reply, failure) => {
    const { delivery } = await deliverable()
    office.receiver.answer(reply)
    await office.run()
    const { attempts, status } = await delivery()
    expect(status).toBe('pending')
    expect(attempts).toEqual([attempt({ failure, message: expect.stringContaining('127.0.0.1') })])
    if (failure === 'timeout') expect(attempts[0]?.duration_ms).toBeGreaterThanOrEqual(299)
  })

  it('lasts 10 s at most, and is another process’s no sooner than that', () => {
    expect(attemptTimeout).toBe(10_000)
    expect(leaseSeconds * 1000).toBeGreaterThan(attemptTimeout + 1000)
  })

  it('of an address where nobody is has failed as unreachable', async () => {
    const { delivery } = await deliverable('http://127.0.0.1:1/')
    await office.run()
    expect((await delivery()).attempts).toEqual([attempt({ failure: 'unreachable', message: expect.any(String) })])
  })

  it.each(['http://127.0.0.1', 'http://localhost', 'http://[::1]'])(
    'of %s is not made where private hosts may not be reached, nor where a name leads there',
    async (host) => {
      const url = new URL(office.receiver.url)
      const strict = createPost()
      const { delivery } = await deliverable(`${host}:${url.port}/`)
      const sender = office.makeSender(strict.post)
      await sender.send()
      await sender.settled()
      expect((await delivery()).attempts).toEqual([
        attempt({ failure: 'refused_address', message: expect.stringContaining('is not a public address') }),
      ])
      expect(office.receiver.connections()).toBe(connections)
      await strict.close()
    },
  )
  let connections = 0
  beforeEach(() => {
    connections = office.receiver.connections()
  })

  it('keeps the beginning of any answer: 4 kB of it, NUL and broken UTF-8 too', async () => {
    const { delivery } = await deliverable()
    office.receiver.answer({ status: 500, body: Buffer.from(`a\0b\xff${'x'.repeat(10_000)}`, 'latin1') })
    await office.run()
    const [only] = (await delivery()).attempts
    expect(only).toMatchObject({ status: 500, failure: 'status' })
    expect(only?.response?.startsWith('a\ufffdb\ufffdxxx')).toBe(true)
    expect(Buffer.byteLength(only?.response ?? '')).toBeLessThanOrEqual(4096 + 6)
  })

  it('that we broke off ourselves, since the process ends, counts for nothing and is made again at once', async () => {
    const { delivery } = await deliverable()
    const out = createPost({ allowPrivate: [{ host: '127.0.0.1', port: undefined }] })
    const sender = office.makeSender((url, request) => out.post(url, { ...request, timeout: 10_000 }))
    office.receiver.answer('hang')
    await sender.send()
    await office.receiver.received(1)
    await out.close()
    await sender.settled()
    expect(await delivery()).toMatchObject({ status: 'pending', attempts: [] })
    office.receiver.answer(200)
    await office.run()
    expect(await delivery()).toMatchObject({ status: 'succeeded', attempts: [{ status: 200 }] })
  })
})

describe('an attempt whose process has ended', () => {
  /** A sender whose posts end when the test says so. */
  const startSlow = () => {
    const ends: ((result: PostResult) => void)[] = []
    const post: Post = () => new Promise((resolve) => ends.push(resolve))
    return { sender: office.makeSender(post), end: (result: PostResult) => ends.splice(0).map((end) => end(result)) }
  }

  it('is made again after 15 s by another, and is put down as lost', async () => {
    const { delivery } = await deliverable()
    expect(await startSlow().sender.send()).toBe(1)
    office.clock.ahead = 14_900
    await office.run()
    expect(office.receiver.requests).toHaveLength(0)
    office.clock.ahead = 15_100
    await office.run()
    expect(await delivery()).toMatchObject({
      status: 'succeeded',
      attempts: [attempt({ failure: 'lost', message: expect.any(String), duration_ms: 15_000 }), { status: 200 }],
    })
    expect(office.receiver.requests).toHaveLength(1)
  })

  it.each([
    ['a failure', { ok: false, status: 500, body: '' }],
    ['a success', { ok: true, status: 200, body: '' }],
  ])('and whose answer comes late, %s, does not spoil what the other did', async (_, result) => {
    const { id, delivery } = await deliverable()
    const slow = startSlow()
    await slow.sender.send()
    office.clock.ahead = 15_100
    office.receiver.answer(502)
    await office.run()
    const settled = await delivery()
    expect(settled).toMatchObject({ status: 'pending', attempts: [{ failure: 'lost' }, { status: 502 }] })
    const { failing_since } = await office.webhook(id)
    slow.end(result)
    await slow.sender.settled()
    expect(await delivery()).toEqual(settled)
    expect((await office.webhook(id)).failing_since).toBe(failing_since)
  })

  it('does not use up the tries: the receiver has done nothing wrong', async () => {
    const { delivery } = await deliverable()
    for (let lost = 1; lost <= 9; lost += 1) {
      expect(await startSlow().sender.send()).toBe(1)
      office.clock.ahead += 15_100
    }
    await office.run()
    const { status, attempts } = await delivery()
    expect([status, attempts.length]).toEqual(['succeeded', 10])
  })

  it('and what is cancelled while it is under way stays cancelled, whatever the answer', async () => {
    for (const result of [
      { ok: true, status: 200, body: '' },
      { ok: false, status: 500, body: '' },
    ]) {
      await office.clear()
      const { id, delivery } = await deliverable()
      const slow = startSlow()
      await slow.sender.send()
      await office.sql`
        update webhook_deliveries set state = 'cancelled', body = null, next_attempt_at = null
         where state = 'pending'`
      slow.end(result)
      await slow.sender.settled()
      expect(await delivery()).toMatchObject({ status: 'cancelled', next_attempt_at: null })
      expect((await office.webhook(id)).failing_since).toBeNull()
      office.clock.ahead = 86_400_000
      await office.run()
      expect(office.receiver.requests).toHaveLength(0)
    }
  })

  it('and whose webhook is disabled or deleted meanwhile ends as it ends, and is not tried again', async () => {
    const one = await deliverable()
    const slow = startSlow()
    await slow.sender.send()
    await office.change(one.id, { enabled: false })
    slow.end({ ok: false, status: 500, body: '' })
    await slow.sender.settled()
    expect(await one.delivery()).toMatchObject({ status: 'failed', attempts: [{ status: 500 }] })

    await office.clear()
    const two = await deliverable()
    const other = startSlow()
    await other.sender.send()
    await deleteWebhook(office.context, office.tenant.agent, two.id)
    other.end({ ok: true, status: 200, body: '' })
    await other.sender.settled()
    office.clock.ahead = 86_400_000
    await office.run()
    expect(office.receiver.requests).toHaveLength(0)
  })
})
