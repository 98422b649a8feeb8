/** The rate limits of several REST nodes: each key, address and visitor has one allowance at all of them together. */

import { randomInt } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { type Answer, call } from '../support/http.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'

let api: Api
let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
  const env = { RATE_LIMIT_PER_MINUTE: '120', TRUST_PROXY: 'loopback', REDIS_URL: redis.url }
  api = await startApi(env, { rest: 2, realtime: 0 })
})
afterAll(async () => {
  await api?.close()
  await redis?.close()
})

const nodes = () => api.fleet?.rest.map(({ program }) => program.api) ?? []

/** Sends as many requests to each node, all at once, and returns all that was answered. */
const sendToEach = async (count: number, send: (node: string) => Promise<Answer>): Promise<Answer[]> =>
  await Promise.all(nodes().flatMap((node) => Array.from({ length: count }, () => send(node))))

const leftOf = ({ headers }: Answer) => Number(headers.get('x-ratelimit-remaining'))
const statuses = (answers: Answer[]) => {
  const count = (status: number) => answers.filter((answer) => answer.status === status).length
  return { ok: count(200), limited: count(429) }
}
const anAddress = () => ({ 'X-Forwarded-For': `10.${randomInt(256)}.${randomInt(256)}.${randomInt(256)}` })

describe('two nodes together', () => {
  it('answer 120 requests of a key, and not one more; what is left is told by both', async () => {
    const { apiKey: key } = await api.makeTenant()
    const get = (node: string) => call(node, 'GET', '/api/v1/contacts', { key })
    const [one = '', other = ''] = nodes()
    expect([leftOf(await get(one)), leftOf(await get(other)), leftOf(await get(one))]).toEqual([119, 118, 117])
    const answers = await sendToEach(80, get)
    expect(statuses(answers)).toEqual({ ok: 117, limited: 43 })
    const left = answers.filter(({ status }) => status === 200).map(leftOf)
    expect(left.sort((a, b) => a - b)).toEqual(Array.from({ length: 117 }, (_, n) => n))
    for (const node of nodes()) {
      const limited = await get(node)
      expect([limited.status, leftOf(limited)]).toEqual([429, 0])
      expect(Number(limited.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    }
    expect(leftOf(await call(one, 'GET', '/api/v1/contacts', { key: (await api.makeTenant()).apiKey }))).toBe(119)
  })

  it('answer 120 guesses of an address, and a good key there all the same', async () => {
    const headers = anAddress()
    const answers = await sendToEach(70, (node) => call(node, 'GET', '/api/v1/contacts', { headers }))
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(120)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(20)
    const { apiKey: key } = await api.makeTenant()
    for (const node of nodes()) expect((await call(node, 'GET', '/api/v1/contacts', { key, headers })).status).toBe(200)
  })

  it('answer 60 visits of a site from an address', async () => {
    const { site } = await api.makeTenant()
    const headers = { ...anAddress(), 'X-Api-Key': site.site_key }
    const answers = await sendToEach(40, (node) => call(node, 'GET', '/api/v1/chat/config', { headers }))
    expect(statuses(answers)).toEqual({ ok: 60, limited: 20 })
  })
})

it('while Redis is away nobody is refused for it: each node goes on by itself from what it heard last', async () => {
  const [one, other] = [await api.makeTenant(), await api.makeTenant()]
  const get = (key: string) => (node: string) => call(node, 'GET', '/api/v1/contacts', { key })
  const before = await sendToEach(30, get(one.apiKey))
  expect(statuses(before).ok).toBe(60)
  await redis.kill()
  const known = await sendToEach(130, get(one.apiKey))
  expect(statuses(known).ok).toBeGreaterThan(0)
  expect(statuses(known).ok).toBeLessThanOrEqual(2 * 90)
  expect(statuses(known).ok + statuses(known).limited).toBe(260)
  expect(statuses(await sendToEach(130, get(other.apiKey)))).toEqual({ ok: 240, limited: 20 })
  await redis.start()
  // Empty now: the nodes are together again when both count the same requests.
  const { apiKey } = await api.makeTenant()
  await expect
    .poll(async () =>
      (await sendToEach(1, get(apiKey))).map(leftOf).map((left, _, [first = 0]) => Math.abs(left - first)),
    )
    .toEqual([0, 1])
})
