/** What the conventions say of every route, asked of each route that the API describes. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { KeyScope } from '../../schema/ids.ts'
import { createKey } from '../../server/domain/keys.ts'
import { type Description, type Operation, readDescription } from '../soak/api-description.ts'
import { type Api, startApi } from '../support/api.ts'
import { type Answer, call, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

const token = 'vita-of-all-routes'
const upload = '--b\r\nContent-Disposition: form-data; name="file"; filename="x.txt"\r\n\r\nx\r\n--b--\r\n'

let api: Api
let tenant: Tenant
let operations: Description['operations']
/** What stands in the paths for `{id}`, by what comes before it. */
let ids: Record<string, string>
let delivery: string
beforeAll(async () => {
  api = await startApi({ WEBHOOK_ALLOW_PRIVATE: '127.0.0.1' })
  operations = (await readDescription(api.url)).operations
  tenant = await api.makeTenant()
  const muro = muroClient(api.url, tenant.apiKey)
  const twice = async (path: string, body: (turn: number) => unknown) => {
    const made: Answer[] = []
    for (const turn of [1, 2]) made.push(await muro.post(path, body(turn)))
    return idOf(made[0] ?? made[1] ?? (await muro.get(path)))
  }
  const threads = [await tenant.thread(), await tenant.thread()]
  const { conversation = '', contact = '' } = threads[0] ?? {}
  await twice(`/conversations/${conversation}/messages`, () => ({ content: 'Hello' }))
  const webhooks = await twice('/webhooks', () => ({ url: 'http://127.0.0.1:1/', events: ['message.created'] }))
  for (const _ of [1, 2]) await muro.post(`/webhooks/${webhooks}/test`)
  delivery = pageOf(await muro.get(`/webhooks/${webhooks}/deliveries`)).ids[0] ?? ''
  await tenant.makeSite()
  await api.run('user', 'create', '--email', 'b@example.com', '--name', 'B', '--workspace', tenant.workspace.publicId)
  ids = {
    conversations: conversation,
    contacts: contact,
    'saved-replies': await twice('/saved-replies', (turn) => ({ shortcut: `s${turn}`, title: 'S', body: 'S' })),
    'automation-rules': await twice('/automation-rules', () => ({
      name: 'Rule',
      trigger: 'message.created',
      actions: [{ type: 'add_tag', value: 'x' }],
    })),
    webhooks,
    users: tenant.agent.user.publicId,
    sites: tenant.site.id,
    attachments: 'att_any',
  }
  await call(api.url, 'POST', '/api/v1/chat/conversations', {
    headers: { 'X-Api-Key': tenant.site.site_key },
    body: { name: 'Vita', email: 'vita@example.com', message: 'Hi', visitor_token: token },
  })
})
afterAll(() => api.close())

const pathOf = ({ path }: Pick<Operation, 'path'>): string =>
  path
    .replace('{visitor_token}', token)
    .replace('{activity_id}/{id}', '1/1')
    .replace('{delivery_id}', delivery)
    .replace(/([a-z-]+)\/\{id\}/, (_, of: string) => `${of}/${ids[of]}`)

/** Asks a route with the key that it is for. */
const ask = (operation: Operation, query = '', sent: { body?: unknown; headers?: Record<string, string> } = {}) => {
  const key = operation.path.startsWith('/api/v1/chat/')
    ? { 'X-Api-Key': tenant.site.site_key }
    : { Authorization: `Bearer ${tenant.apiKey}` }
  return call(api.url, operation.method, pathOf(operation) + query, { ...sent, headers: { ...key, ...sent.headers } })
}

describe('every route', () => {
  it('answers OPTIONS without a key, with the methods that are described and CORS for all', async () => {
    const order = ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'OPTIONS']
    const paths = new Set(operations.map(({ path }) => path))
    expect(paths.size).toBeGreaterThan(30)
    for (const path of paths) {
      const methods = operations.filter((one) => one.path === path).map(({ method }) => method)
      const described = methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
      const answer = await call(api.url, 'OPTIONS', pathOf({ path }), { headers: { Origin: 'https://a.example' } })
      const allow = answer.headers.get('access-control-allow-methods')
      expect([path, answer.status, allow]).toEqual([
        path,
        204,
        order.filter((method) => [...described, 'OPTIONS'].includes(method)).join(', '),
      ])
      expect(answer.headers.get('access-control-allow-origin')).toBe('*')
      expect(answer.headers.get('x-request-id')).toMatch(/^req_/)
    }
  })

  it('asks for the scope that is described, before it says anything of what there is', async () => {
    const keyWith = async (scope: KeyScope) =>
      (await createKey(api.database.sql, tenant.workspace, { userRowId: tenant.adminRowId, scopes: [scope] })).key
    const keys = { read: await keyWith('read'), write: await keyWith('write') }
    const described = operations.filter(
      ({ path, id }) => !path.startsWith('/api/v1/chat/') && id !== 'authorizeChannel',
    )
    for (const { id, method, path, scopes } of described) {
      const scope = z.enum(['read', 'write']).parse(scopes[0])
      const nowhere = path.replaceAll(/\{\w+\}/g, 'nothing')
      const refused = await call(api.url, method, nowhere, { key: keys[scope === 'read' ? 'write' : 'read'] })
      const error = muroError('permission_error', 'forbidden')
      expect([id, scope, refused.status, refused.body]).toEqual([id, scope, 403, error])
      const admitted = await call(api.url, method, nowhere, { key: keys[scope] })
      expect([id, scope, [200, 400, 404, 415].includes(admitted.status)]).toEqual([id, scope, true])
    }
  })

  it('that takes JSON takes nothing else: 415', async () => {
    const taking = operations.filter(({ body, id }) => body && id !== 'authorizeChannel')
    expect(taking.length).toBeGreaterThan(20)
    for (const operation of taking) {
      for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
        const answer = await ask(operation, '', { body: '{}', headers: { 'Content-Type': type } })
        const error = operation.path.startsWith('/api/v1/chat/')
          ? { error: expect.any(String) }
          : muroError('invalid_request_error', 'unsupported_media_type')
        expect([operation.id, type, answer.status, answer.body]).toEqual([operation.id, type, 415, error])
      }
    }
  })

  it('that may be retried with an Idempotency-Key reads it: one that is none is refused', async () => {
    const taking = operations.filter(({ parameters }) => parameters.some(({ name }) => name === 'Idempotency-Key'))
    expect(taking.length).toBeGreaterThan(15)
    for (const operation of taking) {
      const before = await api.rowsOf(tenant)
      const key = { 'Idempotency-Key': 'not one' }
      const sent = operation.id.startsWith('upload')
        ? { body: upload, headers: { ...key, 'Content-Type': 'multipart/form-data; boundary=b' } }
        : { body: operation.id === 'sendSiteReply' ? { message: 'Hi' } : operation.body?.examples[0], headers: key }
      const answer = await ask(operation, '', sent)
      const said = expect.stringContaining('Idempotency-Key')
      expect([operation.id, answer.status, answer.text]).toEqual([operation.id, 400, said])
      expect(await api.rowsOf(tenant)).toEqual(before)
    }
  })
})

it('every list says in its body whether there is more, and in no Link header, and gives 1 to 100 at a time', async () => {
  const lists = operations.filter(({ id }) => id.startsWith('list') && id !== 'listSiteMessages')
  expect(lists.map(({ path }) => path.replace('/api/v1/', '')).sort()).toEqual([
    'automation-rules',
    'contacts',
    'conversations',
    'conversations/{id}/messages',
    'saved-replies',
    'sites',
    'users',
    'webhooks',
    'webhooks/{id}/deliveries',
  ])
  for (const list of lists) {
    const limit = list.parameters.find(({ name }) => name === 'limit')
    expect([list.id, limit?.schema]).toEqual([list.id, { type: 'integer', minimum: 1, maximum: 100, default: 25 }])
    const first = await ask(list, '?limit=1')
    expect([list.id, first.status, first.headers.get('link')]).toEqual([list.id, 200, null])
    const { ids: firstIds, cursor } = pageOf(first)
    expect([firstIds.length, typeof cursor]).toEqual([1, 'string'])
    const rest = pageOf(await ask(list, `?limit=100&cursor=${cursor}`))
    const all = pageOf(await ask(list))
    expect([rest.cursor, [...firstIds, ...rest.ids]]).toEqual([null, all.ids])
    expect(all.ids.length).toBeGreaterThan(1)
    for (const wrong of ['limit=101', 'limit=0']) {
      const refused = await ask(list, `?${wrong}`)
      const error = muroError('invalid_request_error', 'invalid', 'limit')
      expect([list.id, refused.status, refused.body]).toEqual([list.id, 400, error])
    }
  }
})
