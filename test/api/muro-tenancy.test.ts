/** P4 on the muro face: what belongs to another workspace is not there, and nothing of it changes. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { type Client, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
let mine: Tenant
let theirs: Tenant
let muro: Client
let them: Client
let their: { conversation: string; contact: string; message: string }
let own: { conversation: string; contact: string }

beforeAll(async () => {
  api = await startApi()
  mine = await api.makeTenant()
  theirs = await api.makeTenant()
  muro = muroClient(api.url, mine.apiKey)
  them = muroClient(api.url, theirs.apiKey)
  own = await mine.thread()
  const { conversation, contact } = await theirs.thread()
  their = {
    conversation,
    contact,
    message: idOf(await them.post(`/conversations/${conversation}/messages`, { content: 'secret' })),
  }
  await them.patch(`/contacts/${contact}`, { email: 'vita@example.com' })
})
afterAll(() => api.close())

/** Asserts that nothing of either workspace changed, and that the answer says nothing of theirs. */
const refused = async (
  send: () => ReturnType<Client['get']>,
  status: number,
  type: string,
  code: string,
  param?: string,
) => {
  const before = [await api.rowsOf(mine), await api.rowsOf(theirs)]
  const answer = await send()
  expect(answer.status).toBe(status)
  expect(answer.body).toEqual(muroError(type, code, param))
  expect(answer.text).not.toMatch(/secret|Vita|vita/)
  expect([await api.rowsOf(mine), await api.rowsOf(theirs)]).toEqual(before)
}

it('P4: an id of another workspace in a path is 404, and exactly what an unknown id is', async () => {
  const requests = (conversation: string, contact: string) => [
    () => muro.get(`/conversations/${conversation}`),
    () => muro.patch(`/conversations/${conversation}`, { status: 'closed' }),
    () => muro.patch(`/conversations/${conversation}`, { assigned_user_id: mine.agent.user.publicId }),
    () => muro.get(`/conversations/${conversation}/messages`),
    () => muro.get(`/conversations/${conversation}/messages?after=${their.message}`),
    () =>
      muro.post(
        `/conversations/${conversation}/messages`,
        { content: 'hi', client_id: 'c' },
        { 'Idempotency-Key': 'k' },
      ),
    () => muro.post(`/conversations/${conversation}/messages`, { content: 'hi', kind: 'note' }),
    () => muro.post(`/conversations/${conversation}/typing`, {}, { 'Idempotency-Key': 'k' }),
    () => muro.get(`/contacts/${contact}`),
    () => muro.patch(`/contacts/${contact}`, { name: 'Mine' }),
  ]
  const unknown = requests('cnv_unknown', 'vis_unknown')
  for (const [index, send] of requests(their.conversation, their.contact).entries()) {
    await refused(send, 404, 'not_found', 'not_found')
    expect((await send()).text).toBe((await unknown[index]?.())?.text)
  }
})

it('P4: an id of another workspace in a body is refused', async () => {
  const invalid = [400, 'invalid_request_error', 'invalid'] as const
  await refused(
    () => muro.post('/conversations', { visitor_id: their.contact, content: 'hi' }),
    ...invalid,
    'visitor_id',
  )
  await refused(() => muro.post('/contacts', { website_id: theirs.site.id }), ...invalid, 'website_id')
  await refused(
    () => muro.patch(`/conversations/${own.conversation}`, { assigned_user_id: theirs.agent.user.publicId }),
    ...invalid,
    'assigned_user_id',
  )
  await refused(
    () => muro.get(`/conversations/${own.conversation}/messages?after=${their.message}`),
    ...invalid,
    'after',
  )
})

it('P4: lists hold nothing of another workspace, not by its site and not by its cursor', async () => {
  await them.post('/conversations', { visitor_id: their.contact })
  await them.post('/contacts', {})
  for (const path of ['/conversations', '/contacts']) {
    const cursor = pageOf(await them.get(`${path}?limit=1`)).cursor
    expect(cursor).not.toBeNull()
    for (const answer of [await muro.get(path), await muro.get(`${path}?cursor=${cursor}`)]) {
      for (const id of pageOf(answer).ids) expect([own.conversation, own.contact]).toContain(id)
      expect(answer.text).not.toMatch(/secret|vita@example/)
    }
  }
  expect(pageOf(await muro.get(`/contacts?website_id=${theirs.site.id}`)).ids).toEqual([])
})

it('P4: an idempotency key of another workspace replays nothing', async () => {
  const key = { 'Idempotency-Key': 'shared' }
  const first = await them.post('/contacts', { name: 'Shared' }, key)
  const second = await muro.post('/contacts', { name: 'Shared' }, key)
  expect(second.status).toBe(201)
  expect(second.headers.get('idempotent-replayed')).toBeNull()
  expect(idOf(second)).not.toBe(idOf(first))
})

it('P4: an address that another workspace knows is not told', async () => {
  const answer = await muro.post('/contacts', { email: 'vita@example.com' })
  expect(answer.status).toBe(201)
  expect(answer.body).toMatchObject({ website_id: mine.site.id, name: null })
})
