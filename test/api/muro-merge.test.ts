/** Merging contacts: what moves over, who is told what, and who may not. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { receiveMessage } from '../../server/domain/messages.ts'
import { findVisitor } from '../../server/domain/site-visitors.ts'
import { findSiteByKey } from '../../server/domain/sites.ts'
import { listener } from '../journeys/listeners.ts'
import { type Api, startApi, testApp } from '../support/api.ts'
import { plantDeliveries, silenced } from '../support/deliveries.ts'
import { type Client, call, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
import { snapshotOf } from '../support/sync.ts'
import type { Tenant, TestSite } from '../support/tenant.ts'
import { beginVisit, type Visit } from '../support/visits.ts'

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

const merge = (into: string, from: string, client = muro, headers = {}) =>
  client.post(`/contacts/${into}/merge`, { from }, headers)

const make = async (body: object) => idOf(await muro.post('/contacts', body))

const begin = (email?: string, site: TestSite = tenant.site): Promise<Visit> =>
  beginVisit(api.url, tenant, { ...(email ? { email } : {}), site })

const visitorOf = async (conversation: string): Promise<string> => {
  const { body } = await muro.get(`/conversations/${conversation}`)
  return z.object({ visitor: z.object({ id: z.string() }) }).parse(body).visitor.id
}

const say = ({ headers }: Visit, token: string, message: string) =>
  call(api.url, 'POST', `/api/v1/chat/conversations/${token}/messages`, { headers, body: { message } })

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)

describe('two contacts that are merged', () => {
  it('are one, which keeps what it had and takes what it lacked', async () => {
    const into = await make({ email: 'kept@example.com', metadata: { plan: 'PRO', both: 'kept' } })
    const from = await make({ name: 'Marie', email: 'gone@example.com', metadata: { both: 'gone', old: { a: [1] } } })
    const { created_at } = z.object({ created_at: z.string() }).parse((await muro.get(`/contacts/${into}`)).body)
    const answer = await merge(into, from)
    expect([answer.status, answer.body]).toEqual([
      200,
      {
        object: 'contact',
        id: into,
        website_id: tenant.site.id,
        name: 'Marie',
        email: 'kept@example.com',
        metadata: { plan: 'PRO', both: 'kept', old: { a: [1] } },
        conversation_count: 0,
        last_seen_at: time,
        created_at,
        updated_at: time,
      },
    ])
    expect((await muro.get(`/contacts/${into}`)).body).toEqual(answer.body)
    expect((await muro.get(`/contacts/${from}`)).status).toBe(404)
    expect((await muro.patch(`/contacts/${from}`, { name: 'X' })).status).toBe(404)
    expect(pageOf(await muro.get('/contacts')).ids).toEqual([into])
    // Nobody has that address any more.
    expect((await muro.post('/contacts', { email: 'gone@example.com' })).status).toBe(201)
  })

  it('are told: what became of the one that stays, and that the other has ended; its past is blank', async () => {
    const into = await make({ name: 'Known' })
    const from = await make({ name: 'Anon', email: 'SECRET@example.com', metadata: { a: 1 } })
    await muro.patch(`/contacts/${from}`, { metadata: { b: 2 } })
    const before = await api.eventsOf(tenant)
    const staff = listener(api, testApp.PUSHER_APP_KEY, { Authorization: `Bearer ${tenant.apiKey}` })
    await staff.join(`private-org-${tenant.workspace.publicId}`)
    const { body } = await merge(into, from)
    await staff.hearsCount(2)
    const { object: _, ...facts } = z.record(z.string(), z.unknown()).parse(body)
    const numbers = (n: number) => ({ event_id: expect.stringMatching(/^evt_/), seq: before.length + n })
    expect(staff.heard.map(({ event, data }) => [event, data])).toEqual([
      ['contact.update', { ...facts, changed: ['merged', 'email', 'metadata'], ...numbers(1) }],
      ['contact.deleted', { id: from, merged_into: into, ...numbers(2) }],
    ])
    staff.leave()
    const after = await api.eventsOf(tenant)
    const payload = { id: from, merged_into: into }
    expect(after.slice(0, before.length)).toEqual(
      before.map((row) => (row.payload.id === from ? { ...row, type: 'contact.deleted', payload } : row)),
    )
    expect(after.map(({ seq }) => seq)).toEqual(after.map((_, index) => index + 1))
  })

  it('have all conversations of both, what the visitor said in them, and when who was seen last', async () => {
    const known = await begin('known@example.com')
    const first = await begin('anon@example.com')
    const second = await begin('anon@example.com')
    await muro.post(`/conversations/${second.id}/messages`, { content: 'a reply' })
    const others = [await begin(), await begin()]
    const seen = (await muro.get(`/contacts/${first.contact}`)).body as { last_seen_at: string }
    const { status, body } = await merge(known.contact, first.contact)
    expect([status, body]).toEqual([
      200,
      expect.objectContaining({ conversation_count: 3, last_seen_at: seen.last_seen_at, email: 'known@example.com' }),
    ])
    for (const { id } of [known, first, second]) {
      const { visitor } = (await muro.get(`/conversations/${id}`)).body as { visitor: unknown }
      expect(visitor).toEqual({ id: known.contact, name: 'Vita', email: 'known@example.com' })
      const senders = pageOf(await muro.get(`/conversations/${id}/messages`)).data
      expect(senders.map(({ sender_type, sender_id }) => [sender_type, sender_id])).toEqual([
        ['visitor', known.contact],
        ...(id === second.id ? [['agent', tenant.agent.user.publicId]] : []),
      ])
    }
    for (const { id, contact } of others) {
      expect((await muro.get(`/conversations/${id}`)).body).toMatchObject({ visitor: { id: contact } })
    }
    // Seen before those who came after the merged one.
    const [three, two] = [others[1]?.contact, others[0]?.contact]
    expect(pageOf(await muro.get('/contacts')).ids).toEqual([three, two, known.contact])
    expect(pageOf(await muro.get('/conversations?q=anon@example')).ids).toEqual([])
    const snapshot = snapshotOf(await muro.get('/snapshot'))
    expect(snapshot.contacts.map(({ id }) => id)).toEqual([known.contact, two, three])
  })

  it('let every visitor go on in their conversation, with either token, as the one that is left', async () => {
    const [known, gone] = [await begin(), await begin()]
    // Who it is was looked up a moment before.
    const site = await findSiteByKey(api.database.sql, tenant.site.site_key)
    const scope = site && (await findVisitor(api.database.sql, site, gone.token))
    if (!scope) throw new Error('no visitor')
    await merge(known.contact, gone.contact)
    for (const token of [gone.token, gone.conversationToken]) {
      expect((await say(gone, token, 'still here')).status).toBe(201)
    }
    const { answer } = await receiveMessage({ sql: api.database.sql, bus: { publish: () => undefined } }, scope, 'late')
    expect(answer).toMatchObject({ sender_id: known.contact, author: 'Vita' })
    const { data } = pageOf(await muro.get(`/conversations/${gone.id}/messages`))
    expect(data.map(({ content, sender_id }) => [content, sender_id])).toEqual(
      ['Hello', 'still here', 'still here', 'late'].map((content) => [content, known.contact]),
    )
    expect((await muro.get(`/contacts/${known.contact}`)).body).toMatchObject({ last_seen_at: answer.created_at })
  })

  it('may hold 16 KB of metadata together, and not one byte more', async () => {
    const into = await make({ metadata: { a: 'x'.repeat(8000) } })
    const from = await make({ metadata: { b: 'x'.repeat(8500) } })
    const before = await api.rowsOf(tenant)
    const answer = await merge(into, from)
    expect([answer.status, answer.body]).toEqual([400, muroError('invalid_request_error', 'invalid', 'metadata')])
    expect(await api.rowsOf(tenant)).toEqual(before)
    await muro.patch(`/contacts/${from}`, { metadata: { b: 'x'.repeat(8000) } })
    expect((await merge(into, from)).status).toBe(200)
  })

  it('are no longer what webhooks were to be told of the one that ended', async () => {
    const into = await make({ email: 'kept@example.com' })
    const from = await make({ email: 'gone@example.com' })
    const of = (id: string) =>
      plantDeliveries(api.database, tenant, { type: 'visitor.identified', body: { data: { visitor: { id } } } })
    const [ofInto, ofFrom] = [await of(into), await of(from)]
    const before = await ofInto()
    await merge(into, from)
    expect(await ofFrom()).toEqual(silenced)
    expect(await ofInto()).toEqual(before)
  })

  it('can be merged on: into a third, and no number is lost', async () => {
    const begun = [await begin(), await begin(), await begin()]
    const [a = '', b = '', c = ''] = begun.map(({ contact }) => contact)
    expect((await merge(b, a)).status).toBe(200)
    expect((await merge(a, b)).status).toBe(404)
    expect((await merge(c, b)).body).toMatchObject({ conversation_count: 3 })
    for (const { id } of begun)
      expect((await muro.get(`/conversations/${id}`)).body).toMatchObject({ visitor: { id: c } })
    const log = await api.eventsOf(tenant)
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1))
  })
})

describe('a merge', () => {
  it('acts once, and is answered again only while its contact is there', async () => {
    const [into, from] = [await make({ name: 'A' }), await make({ name: 'B' })]
    const keyed = { 'Idempotency-Key': 'once' }
    const answers = await Promise.all(Array.from({ length: 5 }, () => merge(into, from, muro, keyed)))
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    expect(answers[0]?.status).toBe(200)
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === null)).toHaveLength(1)
    expect((await merge(into, await make({}), muro, keyed)).body).toEqual(
      muroError('invalid_request_error', 'idempotency_mismatch', 'Idempotency-Key'),
    )
    await call(api.url, 'DELETE', `/api/v1/contacts/${into}`, { key: tenant.apiKey })
    const answer = await merge(into, from, muro, keyed)
    expect([answer.status, answer.body]).toEqual([404, muroError('not_found', 'not_found')])
  })

  it('is of two contacts, which both are there', async () => {
    const id = await make({})
    const before = await api.rowsOf(tenant)
    for (const [into, body, status, error] of [
      [id, { from: id }, 400, muroError('invalid_request_error', 'invalid', 'from')],
      [id, {}, 400, muroError('invalid_request_error', 'invalid', 'from')],
      [id, { from: 'cnv_abc' }, 400, muroError('invalid_request_error', 'invalid', 'from')],
      [id, { from: 'vis_\0' }, 400, muroError('invalid_request_error', 'invalid', 'from')],
      [id, { from: 'vis_unknown' }, 404, muroError('not_found', 'not_found', 'from')],
      ['vis_unknown', { from: id }, 404, muroError('not_found', 'not_found')],
      ['%00', { from: id }, 404, muroError('not_found', 'not_found')],
    ] as const) {
      const answer = await muro.post(`/contacts/${into}/merge`, body)
      expect([into, body, answer.status, answer.body]).toEqual([into, body, status, error])
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
  })

  it('P4: needs a key that writes and that reaches both, whole', async () => {
    const there = await tenant.makeSite()
    const [own, second] = [await begin(), await begin()]
    const shared = await begin('shared@example.com')
    const away = await begin('shared@example.com', there)
    const foreign = await begin(undefined, there)
    const pinned = muroClient(api.url, (await tenant.makeKey(tenant.site)).key)
    const other = await api.makeTenant()
    const { stdout } = await api.run('key', 'create', '--scopes', 'read', '--workspace', tenant.workspace.publicId)
    const reader = muroClient(api.url, JSON.parse(stdout).key)
    const before = await api.rowsOf(tenant)
    const forbidden = [403, muroError('permission_error', 'forbidden')]
    const missing = [404, muroError('not_found', 'not_found')]
    const missingFrom = [404, muroError('not_found', 'not_found', 'from')]
    expect(shared.contact).toBe(away.contact)
    for (const [client, into, from, refusal] of [
      [pinned, own, foreign, missingFrom],
      [pinned, foreign, own, missing],
      [pinned, own, shared, forbidden],
      [pinned, shared, own, forbidden],
      [reader, own, second, forbidden],
      [muroClient(api.url, other.apiKey), own, second, missing],
    ] as const) {
      const answer = await merge(into.contact, from.contact, client)
      expect([answer.status, answer.body]).toEqual(refusal)
      expect(answer.text).not.toContain(foreign.contact)
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
    const merged = await merge(own.contact, second.contact, pinned)
    expect([merged.status, merged.body]).toEqual([200, expect.objectContaining({ conversation_count: 2 })])
    expect((await merge(foreign.contact, shared.contact)).body).toMatchObject({
      website_id: there.id,
      conversation_count: 3,
    })
  })

  it('loses nothing that visitors say and begin meanwhile, on either side', async () => {
    for (let round = 0; round < 3; round += 1) {
      const [one, two] = [await begin(`one${round}@example.com`), await begin(`two${round}@example.com`)]
      const begins: Promise<Visit>[] = []
      const [merged, ...said] = await Promise.all([
        merge(one.contact, two.contact),
        ...Array.from({ length: 24 }, (_, n) => {
          if (n % 4 === 0) begins.push(begin(`${n % 8 ? 'one' : 'two'}${round}@example.com`))
          const of = n % 2 ? one : two
          return n % 3 === 2
            ? muro.post('/conversations', { visitor_id: of.contact, content: `opened ${n}` })
            : say(of, of.token, `said ${n}`)
        }),
      ])
      expect(merged.status).toBe(200)
      // Who opens toward the one that has ended is told that there is none.
      expect(said.filter(({ status }) => status !== 201).every(({ status }) => status === 400)).toBe(true)
      const begun = await Promise.all(begins)
      const opened = said.filter(
        ({ status, body }) => status === 201 && z.object({ id: z.string() }).safeParse(body).success,
      )
      // An address that ended with its contact makes a new one; and who began before the merge was moved by it.
      const visitors = await Promise.all(begun.map(({ id }) => visitorOf(id)))
      const joined = visitors.filter((visitor) => visitor === one.contact).length
      expect((await muro.get(`/contacts/${one.contact}`)).body).toMatchObject({
        conversation_count: 2 + opened.length + joined,
      })
      expect((await muro.get(`/contacts/${two.contact}`)).status).toBe(404)
      const texts = await Promise.all(
        [one, two].map(async ({ id }) => pageOf(await muro.get(`/conversations/${id}/messages?limit=100`)).data),
      )
      const spoken = said.filter(({ body }) => (body as { status?: string }).status === 'ok')
      expect(texts.flat().filter(({ content }) => content !== 'Hello')).toHaveLength(spoken.length)
      for (const { sender_id } of texts.flat()) expect(sender_id).toBe(one.contact)
    }
  })

  it('moves an address to the one that stays, also for who begins with it at that moment', async () => {
    for (let round = 0; round < 3; round += 1) {
      const email = `moves${round}@example.com`
      const [into, from] = [await make({}), (await begin(email)).contact]
      const [merged, ...begun] = await Promise.all([
        merge(into, from),
        ...Array.from({ length: 8 }, () => begin(email)),
      ])
      expect(merged.status).toBe(200)
      const [found, ...others] = pageOf(await muro.get(`/contacts?email=${email}`)).data
      expect([found?.id, found?.conversation_count, others]).toEqual([into, 1 + begun.length, []])
      for (const { id } of begun) {
        expect((await muro.get(`/conversations/${id}`)).body).toMatchObject({ visitor: { id: into, email } })
      }
    }
  })
})
