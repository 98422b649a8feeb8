/** What an operator reads of REST at /metrics: requests by route and status, how long they took, what limits refused. */

import { request } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { call, muroClient } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
let tenant: Tenant
beforeAll(async () => {
  api = await startApi({ RATE_LIMIT_PER_MINUTE: '6', TRUST_PROXY: 'loopback' })
  tenant = await api.makeTenant()
})
afterAll(() => api.close())

/** Returns the values of a metric by its labels. */
const read = async (name: string): Promise<Record<string, number>> => {
  const { text } = await call(api.url, 'GET', '/metrics')
  const lines = [...text.matchAll(new RegExp(`^${name}\\{(.*)\\} (\\S+)$`, 'gm'))]
  return Object.fromEntries(lines.map(([, labels = '', value]) => [labels, Number(value)]))
}

const requests = () => read('hubbub_http_requests_total')

it('requests are told by method, route and class of status, however they end', async () => {
  const muro = muroClient(api.url, tenant.apiKey)
  const { conversation } = await tenant.thread()
  const messages = `/conversations/${conversation}/messages`
  await muro.get(messages)
  await muro.get('/conversations/cnv_unknown/messages')
  await muro.post(messages, { content: 'One' })
  await muro.post(messages, { content: '' })
  await call(api.url, 'OPTIONS', '/api/v1/contacts')
  await call(api.url, 'PUT', '/api/v1/contacts')
  await call(api.url, 'GET', '/nothing/of/the/kind')
  const route = 'route="/api/v1/conversations/:id/messages"'
  await expect.poll(requests).toMatchObject({
    [`method="GET",${route},status="2xx"`]: 1,
    [`method="GET",${route},status="4xx"`]: 1,
    [`method="POST",${route},status="2xx"`]: 1,
    [`method="POST",${route},status="4xx"`]: 1,
    'method="OPTIONS",route="/api/v1/contacts",status="2xx"': 1,
    'method="PUT",route="/api/v1/contacts",status="4xx"': 1,
    'method="GET",route="none",status="4xx"': 1,
  })
  expect(JSON.stringify(await requests())).not.toContain(conversation)
  expect(await read('hubbub_http_request_duration_seconds_count')).toMatchObject({ [`method="GET",${route}`]: 2 })
  const ends = await read('hubbub_http_request_duration_seconds_bucket')
  expect(ends[`le="+Inf",method="POST",${route}`]).toBe(2)
})

it('a client that leaves before it is answered is told apart', async () => {
  const { apiKey } = await api.makeTenant()
  const { body } = await muroClient(api.url, apiKey).get('/sync')
  const cursor = typeof body === 'object' && body !== null && 'cursor' in body ? body.cursor : ''
  const headers = { Authorization: `Bearer ${apiKey}` }
  const waiting = request(`${api.url}/api/v1/sync?wait=30&cursor=${cursor}`, { headers })
  waiting.on('error', () => undefined)
  waiting.end(() => setImmediate(() => waiting.destroy()))
  await expect.poll(async () => (await requests())['method="GET",route="/api/v1/sync",status="gone"']).toBe(1)
})

it('what limits refuse is told by whose they are', async () => {
  const { apiKey, site } = await api.makeTenant()
  const ask = (headers: Record<string, string>, path: string) => call(api.url, 'GET', path, { headers })
  const from = (n: number) => ({ 'X-Forwarded-For': `203.0.113.${n}` })
  for (let n = 0; n < 8; n += 1) await ask({ Authorization: `Bearer ${apiKey}`, ...from(1) }, '/api/v1/contacts')
  for (let n = 0; n < 7; n += 1) await ask({ Authorization: 'Bearer nonsense', ...from(2) }, '/api/v1/contacts')
  for (let n = 0; n < 63; n += 1) await ask({ 'X-Api-Key': site.site_key, ...from(3) }, '/api/v1/chat/config')
  expect(await read('hubbub_rate_limited_requests_total')).toEqual({
    'of="key"': 2,
    'of="address"': 1,
    'of="visitor"': 3,
  })
})
