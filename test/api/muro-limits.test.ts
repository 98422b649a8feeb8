/** The rate limiter of the muro face: so many requests a minute for each key, or address without one. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { type Answer, call, muroClient, muroError } from '../support/http.ts'

let api: Api
beforeAll(async () => {
  api = await startApi({ RATE_LIMIT_PER_MINUTE: '120', TRUST_PROXY: 'loopback' })
})
afterAll(() => api.close())

const expectLimited = (answer: Answer) => {
  expect(answer.status).toBe(429)
  expect(answer.body).toEqual(muroError('rate_limit_error', 'rate_limited'))
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  expect(Number(answer.headers.get('retry-after'))).toBeLessThanOrEqual(60)
  expect(answer.headers.get('x-ratelimit-remaining')).toBe('0')
  expect(answer.headers.get('x-request-id')).toBeTruthy()
  expect(answer.headers.get('access-control-allow-origin')).toBe('*')
}

describe('a key', () => {
  it('has exactly 120 requests, counted in the headers of each answer, and OPTIONS is free', async () => {
    const tenant = await api.makeTenant()
    const muro = muroClient(api.url, tenant.apiKey)
    const now = Math.floor(Date.now() / 1000)
    for (let left = 119; left >= 0; left -= 1) {
      const answer = left % 3 === 0 ? await muro.get('/contacts') : await muro.post('/contacts', left % 2 ? {} : '{')
      expect([200, 201, 400]).toContain(answer.status)
      expect(answer.headers.get('x-ratelimit-limit')).toBe('120')
      expect(answer.headers.get('x-ratelimit-remaining')).toBe(String(left))
      const reset = Number(answer.headers.get('x-ratelimit-reset'))
      expect(reset).toBeGreaterThan(now)
      expect(reset).toBeLessThanOrEqual(now + 80)
    }
    const before = await api.rowsOf(tenant)
    for (const answer of [
      await muro.get('/contacts'),
      await muro.post('/contacts', {}),
      await muro.post('/contacts', 'text', { 'Content-Type': 'text/plain' }),
      await muro.get('/contacts/vis_unknown'),
    ]) {
      expectLimited(answer)
    }
    expect((await call(api.url, 'OPTIONS', '/api/v1/contacts', { key: tenant.apiKey })).status).toBe(204)
    expect(await api.rowsOf(tenant)).toEqual(before)
  })

  it('has its own 120, whatever others used from the same address', async () => {
    const [one, other] = [await api.makeTenant(), await api.makeTenant()]
    const answers = await Promise.all(
      Array.from({ length: 130 }, () => muroClient(api.url, one.apiKey).get('/realtime')),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(120)
    const answer = await muroClient(api.url, other.apiKey).get('/realtime')
    expect(answer.status).toBe(200)
    expect(answer.headers.get('x-ratelimit-remaining')).toBe('119')
  })

  it('without the scope uses its own requests up as well', async () => {
    const tenant = await api.makeTenant()
    const { stdout } = await api.run('key', 'create', '--scopes', 'read', '--workspace', tenant.workspace.publicId)
    const muro = muroClient(api.url, JSON.parse(stdout).key)
    const answer = await muro.post('/contacts', {})
    expect(answer.status).toBe(403)
    expect(answer.headers.get('x-ratelimit-remaining')).toBe('119')
  })
})

describe('an address', () => {
  const from = (address: string, key = 'mr_live_0123456789012345678901') =>
    call(api.url, 'GET', '/api/v1/conversations', { key, headers: { 'X-Forwarded-For': address } })

  it('that guesses keys is answered 120 times and then limited, while others there with good keys are not', async () => {
    for (let left = 119; left >= 0; left -= 1) {
      const answer = await from('203.0.113.1')
      expect(answer.status).toBe(401)
      expect(answer.headers.get('x-ratelimit-remaining')).toBe(String(left))
    }
    expectLimited(await from('203.0.113.1'))
    expect((await from('203.0.113.2')).status).toBe(401)
    const tenant = await api.makeTenant()
    expect((await from('203.0.113.1', tenant.apiKey)).status).toBe(200)
  })
})

it('RATE_LIMIT_PER_MINUTE=0 is no limit', async () => {
  const free = await startApi({ RATE_LIMIT_PER_MINUTE: '0' })
  const { apiKey } = await free.makeTenant()
  const answers = await Promise.all(Array.from({ length: 200 }, () => muroClient(free.url, apiKey).get('/realtime')))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  expect(answers[0]?.headers.get('x-ratelimit-limit')).toBeNull()
  await free.close()
})
