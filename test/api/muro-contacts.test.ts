/** Contacts on the muro face: making, listing, reading and enriching them. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { type Client, call, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
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

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const marie = { name: 'Marie', email: 'marie@example.com', metadata: { plan: 'PRO' } }

const make = async (body: unknown) => {
  const answer = await muro.post('/contacts', body)
  expect(answer.status).toBe(201)
  return idOf(answer)
}

/** Returns what the patch told, and asserts that it was accepted and answered with the contact as it now is. */
const change = async (id: string, body: unknown) => {
  const before = (await api.eventsOf(tenant)).length
  const answer = await muro.patch(`/contacts/${id}`, body)
  expect(answer.status).toBe(200)
  expect(answer.body).toEqual((await muro.get(`/contacts/${id}`)).body)
  return { shown: answer.body, told: (await api.eventsOf(tenant)).slice(before) }
}

/** Writes as a visitor who is seen by it. */
const visit = (visitor_token: string, email: string) =>
  call(api.url, 'POST', '/api/v1/chat/conversations', {
    headers: { 'X-Api-Key': tenant.site.site_key },
    body: { name: 'Guest', email, message: 'Hi', visitor_token },
  })

describe('a new contact', () => {
  it('is answered as it is kept, and told', async () => {
    const { status, body } = await muro.post('/contacts', { ...marie, email: ' Marie@Example.COM ' })
    expect(status).toBe(201)
    expect(body).toEqual({
      object: 'contact',
      id: expect.stringMatching(/^vis_[A-Za-z0-9]+$/),
      website_id: tenant.site.id,
      ...marie,
      conversation_count: 0,
      last_seen_at: time,
      created_at: time,
      updated_at: time,
    })
    const { object: _, ...facts } = body as Record<string, unknown>
    const [told, ...others] = await api.eventsOf(tenant)
    expect(told).toMatchObject({ type: 'contact.update', payload: { ...facts, changed: ['created'] } })
    expect(others).toEqual([])
  })

  it('may be anonymous, and may name its site', async () => {
    const nobody = { name: null, email: null, metadata: {} }
    for (const body of [{}, { name: null, email: null }]) {
      const made = await muro.post('/contacts', body)
      expect([made.status, made.body]).toMatchObject([201, nobody])
    }
    const { stdout } = await api.run('site', 'create', '--name', 'Blog', '--workspace', tenant.workspace.publicId)
    const blog: string = JSON.parse(stdout).id
    expect((await muro.post('/contacts', { website_id: blog })).body).toMatchObject({ website_id: blog })
    expect(pageOf(await muro.get(`/contacts?website_id=${blog}`)).ids).toHaveLength(1)
    expect(pageOf(await muro.get(`/contacts?website_id=${tenant.site.id}`)).ids).toHaveLength(2)
    expect(pageOf(await muro.get('/contacts?website_id=web_unknown')).ids).toEqual([])
  })

  it('does not take the address of another contact, also not when 10 try at once', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => muro.post('/contacts', marie)))
    const made = answers.filter(({ status }) => status === 201)
    expect(made).toHaveLength(1)
    for (const answer of answers.filter(({ status }) => status !== 201)) {
      expect(answer.status).toBe(409)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'conflict', 'email'))
    }
    const last = await muro.post('/contacts', { email: 'MARIE@example.com' })
    expect(last.status).toBe(409)
    expect(made[0] && last.text.includes(idOf(made[0]))).toBe(true)
    expect(await api.eventsOf(tenant)).toHaveLength(1)
  })

  it('may have the address that a contact of another workspace has', async () => {
    await make(marie)
    const other = await api.makeTenant()
    expect((await muroClient(api.url, other.apiKey).post('/contacts', marie)).status).toBe(201)
  })

  it('that cannot be kept is refused, and nothing is written', async () => {
    const before = await api.rowsOf(tenant)
    for (const [body, param] of [
      [{ email: 'nonsense' }, 'email'],
      [{ email: `${'a'.repeat(250)}@example.com` }, 'email'],
      [{ email: 'a\0@example.com' }, 'email'],
      [{ email: '' }, 'email'],
      [{ name: ' ' }, 'name'],
      [{ name: 'x'.repeat(201) }, 'name'],
      [{ name: '\ud800' }, 'name'],
      [{ metadata: [] }, 'metadata'],
      [{ metadata: { a: 'x'.repeat(16 * 1024) } }, 'metadata'],
      [{ website_id: 'web_unknown' }, 'website_id'],
      [{ website_id: 'nonsense' }, 'website_id'],
      ['[]', undefined],
    ] as const) {
      const answer = await muro.post('/contacts', body)
      expect([body, answer.status]).toEqual([body, 400])
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', param))
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
  })
})

describe('enriching a contact', () => {
  it('changes what is named, merges metadata, and is told once', async () => {
    const id = await make({ ...marie, metadata: { plan: 'FREE', old: 1 } })
    const { shown, told } = await change(id, {
      name: 'Marie C.',
      email: ' MC@Example.com',
      metadata: { plan: 'PRO', mrr: 9, old: null },
    })
    expect(shown).toMatchObject({ name: 'Marie C.', email: 'mc@example.com' })
    expect(shown).toHaveProperty('metadata', { plan: 'PRO', mrr: 9 })
    expect(told).toHaveLength(1)
    expect(told[0]).toMatchObject({ type: 'contact.update', payload: { id, changed: ['name', 'email', 'metadata'] } })
  })

  it('takes name and address away with null', async () => {
    const id = await make(marie)
    expect((await change(id, { name: null, email: null })).shown).toMatchObject({ name: null, email: null })
    expect(await make({ email: marie.email })).not.toBe(id)
  })

  it('names the email among what changed only where it is another one', async () => {
    const id = await make({ name: 'Marie', email: 'marie@example.com' })
    const changes = async (body: unknown) => (await change(id, body)).told.map(({ payload }) => payload.changed)
    expect(await changes({ name: 'M', email: ' MARIE@Example.com ' })).toEqual([['name']])
    expect(await changes({ metadata: { a: 1 } })).toEqual([['metadata']])
    expect(await changes({ email: 'Other@Example.com' })).toEqual([['email']])
    expect(await changes({ email: 'other@example.com' })).toEqual([])
    expect(await changes({ email: null })).toEqual([['email']])
    expect(await changes({ email: null })).toEqual([])
    expect(await changes({ email: 'other@example.com' })).toEqual([['email']])
  })

  it('that changes nothing tells nothing', async () => {
    const id = await make({ ...marie, metadata: { plan: { bb: 1, c: 2 } } })
    for (const body of [
      { name: ' Marie' },
      { email: 'MARIE@example.com' },
      { metadata: {} },
      { metadata: { plan: { bb: 1, c: 2 }, none: null } },
    ]) {
      expect((await change(id, body)).told).toEqual([])
    }
  })

  it('does not take the address of another contact', async () => {
    const id = await make(marie)
    const other = await make({ name: 'Other' })
    const before = await api.rowsOf(tenant)
    const answer = await muro.patch(`/contacts/${other}`, { name: 'New', email: marie.email })
    expect(answer.status).toBe(409)
    expect(answer.body).toEqual(muroError('invalid_request_error', 'conflict', 'email'))
    expect(answer.text).toContain(id)
    expect(await api.rowsOf(tenant)).toEqual(before)
  })

  it('may fill 16 KB of metadata after merging, and not one byte more', async () => {
    const id = await make({ metadata: { a: 'é'.repeat(4096) } })
    const rest = 16 * 1024 - Buffer.byteLength(JSON.stringify({ a: 'é'.repeat(4096), b: '' }))
    await change(id, { metadata: { b: 'x'.repeat(rest) } })
    const answer = await muro.patch(`/contacts/${id}`, { metadata: { c: 1 } })
    expect(answer.status).toBe(400)
    expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', 'metadata'))
  })

  it('names something known, and something that can be kept', async () => {
    const id = await make(marie)
    for (const [body, param] of [
      [{}, undefined],
      [{ plan: 'PRO' }, undefined],
      [{ email: 'nonsense' }, 'email'],
      [{ name: 'a\0' }, 'name'],
      [{ metadata: null }, 'metadata'],
    ] as const) {
      const answer = await muro.patch(`/contacts/${id}`, body)
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', param))
    }
  })

  it.each(['vis_unknown', 'cnv_abc', '%00', '1'])('finds nobody under %s', async (id) => {
    for (const answer of [await muro.get(`/contacts/${id}`), await muro.patch(`/contacts/${id}`, { name: 'X' })]) {
      expect(answer.status).toBe(404)
      expect(answer.body).toEqual(muroError('not_found', 'not_found'))
    }
  })
})

describe('the list of contacts', () => {
  it('has who was seen last first, and counts the conversations of each', async () => {
    const a = await make({ name: 'A', email: 'a@example.com' })
    const b = await make({ name: 'B', email: 'b@example.com' })
    expect(pageOf(await muro.get('/contacts')).ids).toEqual([b, a])
    expect((await visit('token-a', 'a@example.com')).status).toBe(201)
    const { data } = pageOf(await muro.get('/contacts'))
    expect(data.map(({ id, conversation_count }) => [id, conversation_count])).toEqual([
      [a, 1],
      [b, 0],
    ])
    await muro.post('/conversations', { visitor_id: b, content: 'Nobody sees b by this' })
    expect(pageOf(await muro.get('/contacts')).ids).toEqual([a, b])
    expect((await muro.get(`/contacts/${b}`)).body).toMatchObject({ conversation_count: 1 })
  })

  it('refuses a limit, a cursor or a site that is none', async () => {
    await make({})
    await make({})
    const inbox = `/conversations?limit=1`
    for (let made = 0; made < 2; made += 1) await tenant.thread()
    const { cursor } = pageOf(await muro.get(inbox))
    for (const [query, param] of [
      ['limit=0', 'limit'],
      ['limit=101', 'limit'],
      [`cursor=${cursor}`, 'cursor'],
      ['cursor=%00', 'cursor'],
      ['website_id=vis_abc', 'website_id'],
      ['website_id=web_%00', 'website_id'],
    ] as const) {
      const answer = await muro.get(`/contacts?${query}`)
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', param))
    }
  })
})
