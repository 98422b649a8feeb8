/** What is said about contacts, sync and realtime is what is answered: contracts, event shapes and the OpenAPI document. */

import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { z } from 'zod'
import { contact, contactSession } from '../../schema/muro/contacts.ts'
import { deleted, listOf } from '../../schema/muro/conventions.ts'
import { realtime } from '../../schema/muro/realtime.ts'
import { snapshot, sync } from '../../schema/sync.ts'
import { type Api, startApi } from '../support/api.ts'
import { type Answer, type Client, call, idOf, muroClient } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

let tenant: Tenant
let muro: Client
beforeEach(async () => {
  tenant = await api.makeTenant()
  muro = muroClient(api.url, tenant.apiKey)
})

/** Asserts that an answer is what a contract says, and nothing beside. */
const expectDescribed = ({ status, body }: Answer, contract: z.ZodType, expected = 200) => {
  expect(status).toBe(expected)
  expect(contract.parse(body)).toEqual(body)
}

const remove = (path: string) => call(api.url, 'DELETE', `/api/v1${path}`, { key: tenant.apiKey })

/** Does one thing of each kind; returns what is left. */
const live = async () => {
  const body = { name: 'Vita', email: 'vita@example.com', message: 'Hi', visitor_token: 'token' }
  const headers = { 'X-Api-Key': tenant.site.site_key }
  await call(api.url, 'POST', '/api/v1/chat/conversations', { headers, body })
  const [kept, merged, erased] = [
    idOf(await muro.post('/contacts', { metadata: { a: 1 } })),
    idOf(await muro.post('/contacts', { name: 'M' })),
    idOf(await muro.post('/contacts', {})),
  ]
  const open = async (visitor_id: string) => idOf(await muro.post('/conversations', { visitor_id, content: 'Hi' }))
  const [first, second] = [await open(kept), await open(merged), await open(erased)]
  await muro.post(`/conversations/${first}/messages`, { content: 'a', client_id: 'c' })
  await muro.post(`/conversations/${first}/messages`, { content: 'n', kind: 'note' })
  await muro.patch(`/conversations/${first}`, { status: 'closed' })
  await muro.post(`/contacts/${kept}/merge`, { from: merged })
  await muro.patch(`/users/${tenant.agent.user.publicId}`, { availability: 'away' })
  await remove(`/conversations/${second}`)
  await remove(`/contacts/${erased}`)
  return { contact: kept, conversation: first }
}

it('answers are what their contracts say, and nothing beside', async () => {
  const { cursor } = sync.parse((await muro.get('/sync')).body)
  const { contact: id, conversation } = await live()
  expectDescribed(await muro.get('/contacts'), listOf(contact))
  expectDescribed(await muro.get('/contacts?limit=1'), listOf(contact))
  expectDescribed(await muro.get(`/contacts/${id}`), contact)
  expectDescribed(await muro.patch(`/contacts/${id}`, { name: 'N' }), contact)
  expectDescribed(await muro.post('/contacts', { name: 'O', email: 'o@example.com' }), contact, 201)
  const other = idOf(await muro.post('/contacts', {}))
  expectDescribed(await muro.post(`/contacts/${id}/merge`, { from: other }), contact)
  expectDescribed(await muro.post('/contacts/lookup', { visitor_token: 'token' }), contactSession)
  expectDescribed(await muro.get('/snapshot'), snapshot)
  expectDescribed(await muro.get(`/sync?cursor=${cursor}`), sync)
  expectDescribed(await muro.get('/realtime'), realtime)
  const pinned = muroClient(api.url, (await tenant.makeKey(tenant.site)).key)
  expectDescribed(await pinned.get('/realtime'), realtime)
  expectDescribed(await remove(`/conversations/${conversation}`), deleted('conversation'))
  expectDescribed(await remove(`/contacts/${id}`), deleted('contact'))
})

it('every event has the fields that GET /realtime lists for it, and no other', async () => {
  const { events } = realtime.parse((await muro.get('/realtime')).body)
  const { cursor } = sync.parse((await muro.get('/sync')).body)
  await live()
  const { data } = sync.parse((await muro.get(`/sync?cursor=${cursor}`)).body)
  const seen = new Set(data.map(({ type }) => type))
  expect([...seen].sort()).toEqual([
    'contact.deleted',
    'contact.update',
    'conversation.deleted',
    'conversation.opened',
    'conversation.update',
    'message.new',
    'user.update',
  ])
  for (const { type, data: told } of data) {
    const shape = events[type] ?? []
    const always = shape.filter((name) => !name.endsWith('?'))
    expect(Object.keys(told)).toEqual(expect.arrayContaining(always))
    expect(shape.map((name) => name.replace(/\?$/, ''))).toEqual(expect.arrayContaining(Object.keys(told)))
  }
  expect(Object.keys(events)).toEqual(expect.arrayContaining(['webhook.disabled', 'agent.typing']))
})

it('the OpenAPI document names each of their routes, with its errors and its parameters', async () => {
  const { body } = await call(api.url, 'GET', '/api/v1/openapi.json')
  const operation = z.looseObject({
    operationId: z.string(),
    tags: z.array(z.string()),
    summary: z.string(),
    responses: z.record(z.string(), z.unknown()),
    // What several routes take is said once, elsewhere.
    parameters: z.array(z.looseObject({ name: z.string().optional() })).optional(),
  })
  const { paths } = z.object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) }).parse(body)
  const described = [
    ['get', '/contacts', 'listContacts', ['website_id', 'q', 'email', 'cursor', 'limit'], [200]],
    ['post', '/contacts', 'createContact', [], [201, 409, 413, 415]],
    ['post', '/contacts/lookup', 'lookUpContact', [], [200, 404, 413, 415]],
    ['get', '/contacts/{id}', 'getContact', ['id'], [200, 404]],
    ['patch', '/contacts/{id}', 'updateContact', ['id'], [200, 404, 409, 413, 415]],
    ['delete', '/contacts/{id}', 'deleteContact', ['id'], [200, 404]],
    ['post', '/contacts/{id}/merge', 'mergeContacts', ['id'], [200, 404, 409, 413, 415]],
    ['get', '/realtime', 'getRealtime', [], [200]],
    ['get', '/snapshot', 'getSnapshot', ['page'], [200, 410]],
    ['get', '/sync', 'sync', ['cursor', 'wait', 'limit'], [200, 410]],
  ] as const
  for (const [method, path, operationId, parameters, statuses] of described) {
    const shown = operation.parse(paths[`/api/v1${path}`]?.[method])
    expect(shown.operationId).toBe(operationId)
    const own = (shown.parameters ?? []).flatMap(({ name }) => name ?? [])
    expect(own.sort()).toEqual([...parameters].sort())
    expect(Object.keys(shown.responses).map(Number).sort()).toEqual([...statuses, 400, 401, 403, 429, 503].sort())
  }
})
