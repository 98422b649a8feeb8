/** The rate limiter of the muro face: so many requests a minute for each key, or address without one. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { type Answer, call, muroClient, muroError } from '../support/http.ts'

let api: Api
beforeAll(async () => {
  api = await startApi({ RATE_LIMIT_PER_MINUTE: '120', TRUST_PROXY: 'loopback' })
})
afterAll(() => api.close())

/** Expects that an answer tells what is left, in both sets of headers, and returns in how many seconds all is back. */
const expectLeft = ({ headers }: Answer, left: number, limit = 120): number => {
  expect(headers.get('x-ratelimit-limit')).toBe(`${limit}`)
  expect(headers.get('x-ratelimit-remaining')).toBe(`${left}`)
  expect(headers.get('ratelimit-policy')).toBe(`"default";q=${limit};w=60`)
  const [, remaining, seconds] = /^"default";r=(\d+);t=(\d+)$/.exec(headers.get('ratelimit') ?? '') ?? []
  expect(remaining).toBe(`${left}`)
  expect(Number(seconds)).toBeGreaterThanOrEqual(1)
  expect(Number(seconds)).toBeLessThanOrEqual(60)
  const reset = Number(headers.get('x-ratelimit-reset'))
  const now = Date.now() / 1000
  expect(Number.isInteger(reset)).toBe(true)
  expect(reset).toBeGreaterThan(now + Number(seconds) - 15)
  expect(reset).toBeLessThan(now + Number(seconds) + 2)
  return Number(seconds)
}

const expectLimited = (answer: Answer, limit = 120) => {
  expect(answer.status).toBe(429)
  expect(answer.body).toEqual(muroError('rate_limit_error', 'rate_limited'))
  const seconds = expectLeft(answer, 0, limit)
  expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(seconds)
  expect(answer.headers.get('x-request-id')).toBeTruthy()
  expect(answer.headers.get('access-control-allow-origin')).toBe('*')
}

describe('a key', () => {
  it('has exactly 120 requests, counted in the headers of each answer, and OPTIONS is free', async () => {
    const tenant = await api.makeTenant()
    const muro = muroClient(api.url, tenant.apiKey)
    for (let left = 119; left >= 0; left -= 1) {
      const answer = left % 3 === 0 ? await muro.get('/contacts') : await muro.post('/contacts', left % 2 ? {} : '{')
      expect([200, 201, 400]).toContain(answer.status)
      expectLeft(answer, left)
      expect(answer.headers.get('retry-after')).toBeNull()
    }
    const before = await api.rowsOf(tenant)
    for (const answer of [
      await muro.get('/contacts'),
      await muro.post('/contacts', {}),
      await muro.post('/contacts', 'text', { 'Content-Type': 'text/plain' }),
      await muro.get('/contacts/vis_unknown'),
      await muro.get('/nothing'),
      await call(api.url, 'DELETE', '/api/v1/contacts', { key: tenant.apiKey }),
    ]) {
      expectLimited(answer)
    }
    const options = await call(api.url, 'OPTIONS', '/api/v1/contacts', { key: tenant.apiKey })
    expect([options.status, options.headers.get('x-ratelimit-remaining')]).toEqual([204, null])
    expect(await api.rowsOf(tenant)).toEqual(before)
  })

  it('is told with every answer, whatever came of it, and HEAD counts; browsers may read it', async () => {
    const { apiKey: key } = await api.makeTenant()
    const muro = muroClient(api.url, key)
    for (const [n, [answer, status]] of [
      [await call(api.url, 'HEAD', '/api/v1/contacts', { key }), 200] as const,
      [await muro.get('/conversations?limit=0'), 400] as const,
      [await muro.get('/conversations/cnv_unknown'), 404] as const,
      [await muro.post('/contacts', 'text', { 'Content-Type': 'text/plain' }), 415] as const,
      [await muro.post('/contacts', 'x'.repeat(1024 * 1024 + 1)), 413] as const,
      [await call(api.url, 'PUT', '/api/v1/contacts', { key }), 405] as const,
      [await muro.get('/nothing'), 404] as const,
    ].entries()) {
      expect(answer.status).toBe(status)
      expectLeft(answer, 119 - n)
      const exposed = answer.headers.get('access-control-expose-headers')?.split(', ')
      const names = ['X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset', 'RateLimit', 'RateLimit-Policy']
      expect(exposed).toEqual(expect.arrayContaining([...names, 'Retry-After', 'X-Request-Id']))
    }
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
      expectLeft(answer, left)
    }
    expectLimited(await from('203.0.113.1'))
    expect((await from('203.0.113.2')).status).toBe(401)
    const tenant = await api.makeTenant()
    const good = await from('203.0.113.1', tenant.apiKey)
    expect(good.status).toBe(200)
    expectLeft(good, 119)
  })

  it('of IPv6 is counted with its /64, which one subscriber has whole, and a mapped one as IPv4', async () => {
    for (let left = 119; left >= 0; left -= 1) expectLeft(await from(`2001:db8:0:1::${left.toString(16)}`), left)
    expectLimited(await from('2001:db8:0:1:ffff:ffff:ffff:ffff'))
    expectLeft(await from('2001:db8:0:2::1'), 119)
    expectLeft(await from('::ffff:203.0.113.4'), 119)
    expectLeft(await from('203.0.113.4'), 118)
    expectLeft(await from('203.0.113.4:50123'), 117)
  })

  it('that guesses keys where nothing is served is limited as well, and one that sends none is not', async () => {
    const ask = (headers: Record<string, string>) =>
      call(api.url, 'PUT', '/api/v1/contacts', { headers: { 'X-Forwarded-For': '203.0.113.5', ...headers } })
    for (let left = 119; left >= 0; left -= 1) {
      const answer = await ask({ Authorization: 'Bearer mr_live_0123456789012345678901' })
      expect(answer.status).toBe(405)
      expectLeft(answer, left)
    }
    expectLimited(await ask({ Authorization: 'Bearer mr_live_0123456789012345678901' }))
    expectLimited(await from('203.0.113.5'))
    const keyless = await ask({})
    expect([keyless.status, keyless.headers.get('ratelimit')]).toEqual([405, null])
  })

  it('that guesses site keys is limited as well, while a good one there opens its site', async () => {
    const tenant = await api.makeTenant()
    const chat = (key: string) =>
      call(api.url, 'GET', '/api/v1/chat/config', { headers: { 'X-Api-Key': key, 'X-Forwarded-For': '203.0.113.3' } })
    for (let left = 59; left >= 0; left -= 1) {
      const answer = await chat(`site_${'x'.repeat(22)}`)
      expect(answer.status).toBe(401)
      expectLeft(answer, left, 60)
    }
    const limited = await chat('')
    expect([limited.status, limited.body]).toEqual([429, { error: 'Rate limit exceeded' }])
    const good = await chat(tenant.site.site_key)
    expect(good.status).toBe(200)
    expectLeft(good, 59, 60)
  })
})

it('RATE_LIMIT_PER_MINUTE=0 is no limit', async () => {
  const free = await startApi({ RATE_LIMIT_PER_MINUTE: '0' })
  const { apiKey } = await free.makeTenant()
  const answers = await Promise.all(Array.from({ length: 200 }, () => muroClient(free.url, apiKey).get('/realtime')))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  const names = [...(answers[0]?.headers.keys() ?? [])].filter((name) => name.includes('ratelimit'))
  expect(names).toEqual([])
  expect((await call(free.url, 'GET', '/api/v1/contacts')).headers.get('ratelimit')).toBeNull()
  await free.close()
})
