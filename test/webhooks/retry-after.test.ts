/** A receiver that says when it wants to be asked again: Retry-After, as far as that is later than we would. */

import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { retrySchedule } from '../../schema/muro/webhooks.ts'
import { type Office, startWebhooks } from './start-webhooks.ts'

let office: Office
beforeAll(async () => {
  office = await startWebhooks()
})
afterEach(() => office.clear())
afterAll(() => office.close())

const longest = retrySchedule.at(-1) ?? 0
const dateIn = (seconds: number) => new Date(Date.now() + seconds * 1000).toUTCString()

/** Answers so, and returns how many seconds after that attempt the next one is. */
const waitAfter = async (status: number, retryAfter?: string): Promise<number> => {
  const { delivery } = await office.deliverable()
  office.receiver.answer({ status, headers: retryAfter === undefined ? {} : { 'Retry-After': retryAfter } })
  await office.run()
  const { attempts, next_attempt_at } = await delivery()
  const [only] = attempts
  const ended = Date.parse(only?.at ?? '') + (only?.duration_ms ?? 0)
  return Math.round((Date.parse(next_attempt_at ?? '') - ended) / 1000)
}

it.each([429, 503, 500])('a receiver that answers %i is asked again no sooner than it says', async (status) => {
  expect(await waitAfter(status, '120')).toBe(120)
})

it('it may say so as a date', async () => {
  const wait = await waitAfter(503, dateIn(3600))
  expect(wait).toBeGreaterThan(3500)
  expect(wait).toBeLessThanOrEqual(3601)
})

it.each(['5', '0', '30', dateIn(-3600)])('but not sooner than planned: %s', async (retryAfter) => {
  expect(await waitAfter(429, retryAfter)).toBe(30)
})

it.each(['86400', '9'.repeat(30), 'Fri, 31 Dec 9999 23:59:59 GMT'])('nor later than in 6 hours: %s', async (text) => {
  expect(await waitAfter(429, text)).toBe(longest)
})

it.each(['', '-60', '1.5', '1e3', '0x99', 'soon', 'in 120 s', '2099-01-01', '120, 240'])(
  'what is no time says nothing: %j',
  async (text) => {
    expect(await waitAfter(503, text)).toBe(30)
  },
)

it('a redirect that has one is not asked later than planned', async () => {
  expect(await waitAfter(302, '120')).toBe(30)
})

it('the log says why the next attempt is so late', async () => {
  const { delivery } = await office.deliverable()
  office.receiver.answer({ status: 429, headers: { 'Retry-After': '120' } })
  await office.run()
  expect((await delivery()).attempts).toMatchObject([
    { failure: 'status', message: 'answered 429 and asks to wait 120 s' },
  ])
})

it('waiting longer costs no try: the others come when they would, and there are seven', async () => {
  const { delivery } = await office.deliverable()
  const waits: number[] = []
  for (const wait of ['600', undefined, '600', '600', undefined, '99999', '600']) {
    office.receiver.answer({ status: 429, headers: wait === undefined ? {} : { 'Retry-After': wait } })
    await office.run()
    const { attempts, next_attempt_at } = await delivery()
    if (next_attempt_at === null) continue
    const last = attempts.at(-1)
    const seconds = (Date.parse(next_attempt_at) - Date.parse(last?.at ?? '') - (last?.duration_ms ?? 0)) / 1000
    waits.push(Math.round(seconds))
    office.clock.ahead += seconds * 1000 - 1000
    await office.run()
    expect((await delivery()).attempts).toHaveLength(attempts.length)
    office.clock.ahead += 1000
  }
  expect(waits).toEqual([600, 60, 600, 1800, 7200, 21_600])
  expect(await delivery()).toMatchObject({ status: 'failed', next_attempt_at: null, attempts: { length: 7 } })
})

it('what else happens goes on: only the delivery that was answered so waits', async () => {
  await waitAfter(429, '3600')
  office.receiver.answer(200)
  const { conversation } = await office.tenant.thread()
  await office.say(conversation, 'meanwhile')
  await office.run()
  expect(office.receiver.requests).toHaveLength(2)
})
