/** Who gets into the site chat: keys, tokens, origins and limits. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type Api, startApi } from '../support/api.ts'
import { type Answer, type Client, call, clientOf, muroClient } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
beforeAll(async () => {
  api = await startApi({ RATE_LIMIT_PER_MINUTE: '120', TRUST_PROXY: 'loopback' })
})
afterAll(() => api.close())

let addresses = 0

/** A visitor of the site on a machine of its own, so that limits are not shared. */
const visitorOf = (tenant: Tenant, headers: Record<string, string> = {}): Client => {
  addresses += 1
  return clientOf(`${api.url}/api/v1/chat`, {
    'X-Api-Key': tenant.site.site_key,
    'X-Forwarded-For': `198.51.100.${addresses}`,
    ...headers,
  })
}

const jane = { name: 'Jane', email: 'jane@example.com', message: 'Hi', visitor_token: 'jane-1' }
const tokenOf = ({ body }: Answer) => z.object({ conversation_token: z.string() }).parse(body).conversation_token
const messages = (token: string) => `/conversations/${encodeURIComponent(token)}/messages`

/** All four routes of the face. */
const everyRoute = (chat: Client) => [
  () => chat.get('/config'),
  () => chat.post('/conversations', jane),
  () => chat.get(messages('jane-1')),
  () => chat.post(messages('jane-1'), { message: 'Hello' }),
]

describe('the site key', () => {
  it('that is missing or wrong opens nothing', async () => {
    const tenant = await api.makeTenant()
    const before = await api.rowsOf(tenant)
    for (const key of ['', 'nonsense', `${tenant.site.site_key}x`, `site_${'x'.repeat(22)}`, tenant.apiKey]) {
      for (const send of everyRoute(visitorOf(tenant, { 'X-Api-Key': key }))) {
        const answer = await send()
        expect([answer.status, answer.body]).toEqual([401, { error: 'Invalid or missing site key' }])
      }
    }
    const query = await call(api.url, 'GET', `/api/v1/chat/config?site_key=${tenant.site.site_key}`)
    expect(query.status).toBe(401)
    expect(await api.rowsOf(tenant)).toEqual(before)
  })

  it('may come as Bearer, and of a site that is switched off opens nothing', async () => {
    const tenant = await api.makeTenant()
    const headers = { Authorization: `Bearer ${tenant.site.site_key}` }
    expect((await call(api.url, 'GET', '/api/v1/chat/config', { headers })).status).toBe(200)
    await api.database.sql`update sites set active = false where public_id = ${tenant.site.id}`
    for (const send of everyRoute(visitorOf(tenant))) {
      const answer = await send()
      expect([answer.status, answer.body]).toEqual([403, { error: 'Chat is disabled' }])
    }
  })
})

describe('the tokens of a conversation', () => {
  it('are two, and both open it', async () => {
    const tenant = await api.makeTenant()
    const chat = visitorOf(tenant)
    const token = tokenOf(await chat.post('/conversations', jane))
    for (const one of ['jane-1', token]) {
      expect((await chat.post(messages(one), { message: 'Hello' })).status).toBe(201)
      expect((await chat.get(messages(one))).status).toBe(200)
    }
    expect((await chat.get(messages(token))).body).toHaveLength(3)
  })

  it('may be any text, which names the conversation exactly', async () => {
    const tenant = await api.makeTenant()
    for (const visitor_token of ['a/b?c#d%25', ' padded ', 'ü😀', 'x'.repeat(200)]) {
      const chat = visitorOf(tenant)
      expect((await chat.post('/conversations', { ...jane, visitor_token })).status).toBe(201)
      expect([visitor_token, (await chat.get(messages(visitor_token))).status]).toEqual([visitor_token, 200])
      expect((await chat.get(messages(`${visitor_token}x`))).status).toBe(404)
    }
    expect((await visitorOf(tenant).get(messages('padded'))).status).toBe(404)
  })

  it('P4: of another site, or that are none, open nothing', async () => {
    const [tenant, other] = [await api.makeTenant(), await api.makeTenant()]
    const token = tokenOf(await visitorOf(tenant).post('/conversations', jane))
    const [row] = await api.database.sql<{ id: string }[]>`
      select public_id as id from conversations where workspace_id = ${tenant.workspace.id}`
    const before = await api.rowsOf(tenant)
    const chat = visitorOf(other)
    const own = visitorOf(tenant)
    for (const send of [
      ...['jane-1', token, row?.id ?? ''].flatMap((one) => [
        () => chat.get(messages(one)),
        () => chat.post(messages(one), { message: 'Hello' }),
      ]),
      ...['nonsense', row?.id ?? '', '%00', 'JANE-1', 'x'.repeat(1000)].map((one) => () => own.get(messages(one))),
      () => own.get('/conversations/%00/messages'),
    ]) {
      const answer = await send()
      expect([answer.status, answer.body]).toEqual([404, { error: 'Conversation not found' }])
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
  })
})

describe('an origin', () => {
  it('on the list of the site, or none at all, is let in', async () => {
    const tenant = await api.makeTenant({ origins: ['https://shop.example', 'http://localhost:8080'] })
    for (const origin of ['https://shop.example', 'http://localhost:8080']) {
      const chat = visitorOf(tenant, { Origin: origin })
      for (const answer of [
        await chat.get('/config'),
        await chat.post('/conversations', {}),
        await chat.get(messages('x')),
      ]) {
        expect([200, 422, 404]).toContain(answer.status)
        expect(answer.headers.get('access-control-allow-origin')).toBe(origin)
        expect(answer.headers.get('vary')).toBe('Origin')
        expect(answer.headers.get('access-control-allow-credentials')).toBeNull()
      }
    }
    expect((await visitorOf(tenant).get('/config')).status).toBe(200)
  })

  it('that is not on the list is refused, and a browser there may not read why', async () => {
    const listed = await api.makeTenant({ origins: ['https://shop.example'] })
    const before = await api.rowsOf(listed)
    for (const tenant of [listed, await api.makeTenant()]) {
      for (const origin of ['https://evil.example', 'http://shop.example', 'https://shop.example.evil', 'null']) {
        for (const send of everyRoute(visitorOf(tenant, { Origin: origin }))) {
          const answer = await send()
          expect([answer.status, answer.body]).toEqual([403, { error: 'Origin not allowed' }])
          expect(answer.headers.get('access-control-allow-origin')).toBeNull()
          expect(answer.headers.get('x-request-id')).toMatch(/^req_/)
        }
      }
    }
    expect(await api.rowsOf(listed)).toEqual(before)
  })

  it('may ask beforehand what it may send, without a key', async () => {
    const answer = await call(api.url, 'OPTIONS', '/api/v1/chat/conversations', {
      headers: {
        Origin: 'https://shop.example',
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'content-type,x-api-key',
      },
    })
    expect(answer.status).toBe(204)
    expect(answer.headers.get('access-control-allow-methods')).toBe('POST, OPTIONS')
    expect(answer.headers.get('access-control-allow-headers')).toContain('X-Api-Key')
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
  })
})

describe('the limits', () => {
  it('are 60, 5, 60 and 20 a minute for each route, site and address', async () => {
    const [tenant, other] = [await api.makeTenant(), await api.makeTenant()]
    const chat = visitorOf(tenant)
    const address = { 'X-Forwarded-For': `198.51.100.${addresses}` }
    const neighbour = clientOf(`${api.url}/api/v1/chat`, { 'X-Api-Key': other.site.site_key, ...address })
    await visitorOf(tenant).post('/conversations', jane)
    for (const [index, limit] of [60, 5, 60, 20].entries()) {
      const send = everyRoute(chat)[index]
      for (let left = limit - 1; left >= 0; left -= 1) {
        const answer = await send?.()
        expect(answer?.status).toBe([200, 409, 200, 201][index])
        expect(answer?.headers.get('x-ratelimit-remaining')).toBe(String(left))
      }
      const limited = await send?.()
      expect([limited?.status, limited?.body]).toEqual([429, { error: 'Rate limit exceeded' }])
      expect(Number(limited?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
      expect((await everyRoute(neighbour)[index]?.())?.status).not.toBe(429)
      expect((await everyRoute(visitorOf(tenant))[index]?.())?.status).not.toBe(429)
    }
    expect(await call(api.url, 'OPTIONS', '/api/v1/chat/config', { headers: address })).toMatchObject({ status: 204 })
    expect((await muroClient(api.url, tenant.apiKey).get('/conversations')).status).toBe(200)
  })
})

it('the limits count an IPv6 address with its /64, which one subscriber has whole', async () => {
  const tenant = await api.makeTenant()
  const begin = (address: string) =>
    visitorOf(tenant, { 'X-Forwarded-For': address }).post('/conversations', { ...jane, visitor_token: address })
  for (const host of [1, 2, 3, 4, 5]) expect((await begin(`2001:db8:0:1::${host}`)).status).toBe(201)
  expect((await begin('2001:db8:0:1::6')).status).toBe(429)
  expect((await begin('2001:db8:0:2::1')).status).toBe(201)
  const key = (address: string) => ({ 'X-Api-Key': 'nonsense', 'X-Forwarded-For': address })
  const guess = (address: string) => call(api.url, 'GET', '/api/v1/chat/config', { headers: key(address) })
  const left = async (address: string) => (await guess(address)).headers.get('x-ratelimit-remaining')
  expect([await left('2001:db8:0:3::1'), await left('2001:db8:0:3::2'), await left('2001:db8:0:4::1')]).toEqual([
    '59',
    '58',
    '59',
  ])
})

it('what is broken is refused in the shape of this face', async () => {
  const chat = visitorOf(await api.makeTenant())
  const text = { error: expect.any(String) }
  for (const [answer, status] of [
    [await chat.post('/conversations', '{'), 400],
    [await chat.post('/conversations', 'x', { 'Content-Type': 'text/plain' }), 415],
    [await chat.post('/conversations', 'x'.repeat(1024 * 1024 + 1)), 413],
    [await chat.patch('/conversations', {}), 405],
    [await chat.get('/conversations/%zz/messages'), 400],
    [await chat.get('/nothing'), 404],
  ] as const) {
    expect([answer.status, answer.body]).toEqual([status, text])
    expect(answer.headers.get('x-request-id')).toMatch(/^req_/)
  }
})
