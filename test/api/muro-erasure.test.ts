/** Deleting a contact with all its conversations, as the law may ask for. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { listener } from '../journeys/listeners.ts'
import { type Api, startApi, testApp } from '../support/api.ts'
import { plantDeliveries, silenced } from '../support/deliveries.ts'
import { type Client, call, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
import { snapshotOf } from '../support/sync.ts'
import type { Tenant, TestSite } from '../support/tenant.ts'
import { beginVisit } from '../support/visits.ts'

let api: Api
beforeAll(async () => {
  api = await startApi(testApp)
})
afterAll(() => api.close())

let tenant: Tenant
let muro: Client
beforeEach(async () => {
  tenant = await api.makeTenant()
  muro = muroClient(api.url, tenant.apiKey)
})

const remove = (path: string, key = tenant.apiKey) => call(api.url, 'DELETE', `/api/v1${path}`, { key })

const begin = (email?: string, site: TestSite = tenant.site) =>
  beginVisit(api.url, tenant, { ...(email ? { email } : {}), site })

type LogRow = {
  seq: number
  type: string
  conversation_seq: number | null
  public_seq: number | null
  payload: unknown
}

const readLog = async () => [
  ...(await api.database.sql<LogRow[]>`
    select seq, type, conversation_seq, public_seq, payload from events
     where workspace_id = ${tenant.workspace.id} order by seq`),
]

describe('a contact that was deleted', () => {
  it('is gone with all its conversations, in the log and everywhere; others are not', async () => {
    const kept = await begin()
    const first = await begin('erase@example.com')
    const second = await begin('erase@example.com')
    await muro.patch(`/contacts/${first.contact}`, { name: 'SECRET name', metadata: { note: 'SECRET' } })
    const identified = { data: { visitor: { id: first.contact, email: 'erase@example.com', name: 'SECRET' } } }
    const type = 'visitor.identified'
    const deliveries = await plantDeliveries(api.database, tenant, { type, body: identified })
    const others = await plantDeliveries(api.database, tenant, {
      type,
      body: { data: { visitor: { id: kept.contact } } },
    })
    const untouched = await others()
    const before = await readLog()

    const staff = listener(api, testApp.PUSHER_APP_KEY, { Authorization: `Bearer ${tenant.apiKey}` })
    await staff.join(`private-org-${tenant.workspace.publicId}`)
    const answer = await remove(`/contacts/${first.contact}`)
    expect([answer.status, answer.body]).toEqual([200, { object: 'contact', id: first.contact, deleted: true }])
    await staff.hearsCount(3)
    expect(staff.heard.map(({ event, data }) => [event, data.id, data.seq])).toEqual([
      ['conversation.deleted', first.id, before.length + 1],
      ['conversation.deleted', second.id, before.length + 2],
      ['contact.deleted', first.contact, before.length + 3],
    ])
    staff.leave()

    for (const path of [`/contacts/${first.contact}`, `/conversations/${first.id}`, `/conversations/${second.id}`]) {
      expect((await muro.get(path)).status).toBe(404)
    }
    expect((await remove(`/contacts/${first.contact}`)).status).toBe(404)
    expect(pageOf(await muro.get('/contacts')).ids).toEqual([kept.contact])
    expect(pageOf(await muro.get('/conversations')).ids).toEqual([kept.id])
    const snapshot = snapshotOf(await muro.get('/snapshot'))
    expect([snapshot.contacts.map(({ id }) => id), snapshot.conversations.map(({ id }) => id)]).toEqual([
      [kept.contact],
      [kept.id],
    ])
    expect(await deliveries()).toEqual(silenced)
    expect(await others()).toEqual(untouched)

    const after = await readLog()
    const idsOf = (payload: unknown) =>
      z.object({ id: z.string(), conversation_id: z.string().optional() }).parse(payload)
    for (const [index, row] of before.entries()) {
      const { id, conversation_id = id } = idsOf(row.payload)
      const isGone = [first.id, second.id, first.contact].includes(conversation_id)
      const gone = conversation_id === first.contact ? 'contact.deleted' : 'conversation.deleted'
      expect(after[index]).toEqual(isGone ? { ...row, type: gone, payload: { id: conversation_id } } : row)
    }
    const [told] = await api.database.sql`
      select count(*)::int as n from events
       where workspace_id = ${tenant.workspace.id} and payload::text ~ 'SECRET name|erase@example.com'`
    expect(told).toEqual({ n: 0 })
  })

  it('is not shown again by a retry of what made it, and its address is free', async () => {
    const keyed = { 'Idempotency-Key': 'made' }
    const body = { name: 'SECRET', email: 'free@example.com' }
    const id = idOf(await muro.post('/contacts', body, keyed))
    await remove(`/contacts/${id}`)
    const answer = await muro.post('/contacts', body, keyed)
    expect([answer.status, answer.body]).toEqual([404, muroError('not_found', 'not_found')])
    expect((await muro.post('/contacts', body)).status).toBe(201)
  })

  it('was within reach whole: a pinned key does not delete who is of another site too', async () => {
    const there = await tenant.makeSite()
    const shared = await begin('shared@example.com')
    const elsewhere = await begin('shared@example.com', there)
    expect(elsewhere.contact).toBe(shared.contact)
    const before = await api.rowsOf(tenant)
    for (const site of [tenant.site, there]) {
      const { key } = await tenant.makeKey(site)
      const answer = await remove(`/contacts/${shared.contact}`, key)
      expect([answer.status, answer.body]).toEqual([403, muroError('permission_error', 'forbidden')])
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
    const own = await begin('own@example.com', there)
    expect((await remove(`/contacts/${own.contact}`, (await tenant.makeKey(there)).key)).status).toBe(200)
  })
})
