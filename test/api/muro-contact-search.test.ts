/** Finding contacts: by name and address, and by the token that a browser holds. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { contactSession } from '../../schema/muro/contacts.ts'
import { type Api, startApi } from '../support/api.ts'
import { type Client, call, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'
import { beginVisit } from '../support/visits.ts'

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

const make = async (body: unknown) => idOf(await muro.post('/contacts', body))
const begin = (site = tenant.site) => beginVisit(api.url, tenant, { site })

describe('finding contacts', () => {
  const find = async (query: Record<string, string>, client = muro) => {
    const answer = await client.get(`/contacts?${new URLSearchParams(query)}`)
    expect(answer.status).toBe(200)
    return pageOf(answer).ids
  }

  it('by a part of the name or of the email, in either case', async () => {
    const zoe = await make({ name: 'Zoë Quimby', email: 'zq-1984@mail.example' })
    const anna = await make({ name: 'Anna', email: 'anna@quimby.example' })
    const nobody = await make({})
    for (const [q, found] of [
      ['ZOË', [zoe]],
      ['quimby', [anna, zoe]],
      ['Q', [anna, zoe]],
      ['1984@MAIL', [zoe]],
      ['anna', [anna]],
      ['Quimby zq', []],
      ['%', []],
      ['_nna', []],
      ['', [nobody, anna, zoe]],
      ['  ', [nobody, anna, zoe]],
    ] as const) {
      expect([q, await find({ q })]).toEqual([q, found])
    }
    await muro.patch(`/contacts/${zoe}`, { name: 'Zoë Renamed' })
    expect([await find({ q: 'quimby' }), await find({ q: 'renamed' })]).toEqual([[anna], [zoe]])
  })

  it('by exactly an email, and with all filters at once', async () => {
    const { id: blog } = await tenant.makeSite({ name: 'Blog' })
    const marie = await make({ name: 'Marie', email: 'marie@example.com' })
    const other = await make({ name: 'Marie', email: 'marie@example.co', website_id: blog })
    expect(await find({ email: ' Marie@EXAMPLE.com' })).toEqual([marie])
    expect(await find({ email: 'arie@example.com' })).toEqual([])
    expect(await find({ q: 'marie', email: 'marie@example.co' })).toEqual([other])
    expect(await find({ q: 'marie', website_id: blog })).toEqual([other])
    expect(await find({ q: 'nobody', email: 'marie@example.co' })).toEqual([])
    for (const [query, param] of [
      ['email=marie', 'email'],
      ['email=', 'email'],
      [`q=${'x'.repeat(129)}`, 'q'],
      ['q=%00', 'q'],
    ] as const) {
      const answer = await muro.get(`/contacts?${query}`)
      expect([query, answer.status, answer.body]).toEqual([
        query,
        400,
        muroError('invalid_request_error', 'invalid', param),
      ])
    }
    expect(await find({ q: 'é'.repeat(128) })).toEqual([])
  })

  it('also where more match than are looked up at once', async () => {
    await api.database.sql`
      with v as (
        insert into contacts (public_id, workspace_id, site_id, number, name, email)
        select 'vis_' || ${tenant.workspace.publicId.slice(4)}::text || n, ${tenant.workspace.id}, ${tenant.site.ref.id},
               n, 'Common Name ' || n, 'common' || n || '@example.com'
          from generate_series(1, 10050) n returning id, number
      )
      insert into contact_seen (contact_id, workspace_id, created_seq, seq) select id, ${tenant.workspace.id}, 0, 0 from v`
    const page = pageOf(await muro.get('/contacts?q=COMMON+NAME&limit=100'))
    expect([page.ids.length, page.cursor === null]).toEqual([100, false])
    expect(await find({ q: 'name 10007' })).toHaveLength(1)
    expect(await find({ q: 'common77@' })).toHaveLength(1)
  })

  it('page by page, each once, though they are seen meanwhile', async () => {
    const made: string[] = []
    for (let n = 0; n < 9; n += 1) made.unshift(await make({ name: `Walker ${n}`, email: `w${n}@example.com` }))
    await make({ name: 'Somebody else' })
    const walked: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = pageOf(await muro.get(`/contacts?q=walk&limit=2${cursor && `&cursor=${cursor}`}`))
      walked.push(...page.ids)
      cursor = page.cursor
      await beginVisit(api.url, tenant, { email: `w${walked.length % 9}@example.com` })
    }
    expect(walked).toEqual(made)
  })

  it('P4: not those of another workspace, nor those that a pinned key does not reach', async () => {
    const there = await tenant.makeSite()
    const own = await make({ name: 'Secret own', email: 'own@example.com' })
    await make({ name: 'Secret other', email: 'other@example.com', website_id: there.id })
    const pinned = muroClient(api.url, (await tenant.makeKey(tenant.site)).key)
    expect(await find({ q: 'secret' }, pinned)).toEqual([own])
    expect(await find({ email: 'other@example.com' }, pinned)).toEqual([])
    const other = await api.makeTenant()
    for (const query of [{ q: 'secret' }, { q: 's' }, { email: 'own@example.com' }]) {
      expect(await find(query, muroClient(api.url, other.apiKey))).toEqual([])
    }
  })
})

describe('looking a contact up by a token', () => {
  const lookUp = (body: unknown, client = muro) => client.post('/contacts/lookup', body)

  it('finds whose browser holds it, and the conversation that it opens, by either token and with a key that reads', async () => {
    const { id: conversation_id, conversationToken, contact, token } = await begin()
    const shown = (await muro.get(`/contacts/${contact}`)).body
    const { stdout } = await api.run('key', 'create', '--scopes', 'read', '--workspace', tenant.workspace.publicId)
    const before = await api.rowsOf(tenant)
    for (const client of [muro, muroClient(api.url, JSON.parse(stdout).key)]) {
      for (const visitor_token of [token, conversationToken]) {
        const answer = await lookUp({ visitor_token }, client)
        expect([answer.status, answer.body]).toEqual([
          200,
          { object: 'contact_session', contact: shown, conversation_id },
        ])
        expect(contactSession.parse(answer.body)).toEqual(answer.body)
      }
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
  })

  it('looks on the site that is named, else on the oldest', async () => {
    const blog = await tenant.makeSite({ name: 'Blog' })
    const { contact, token: visitor_token } = await begin(blog)
    expect((await lookUp({ visitor_token })).status).toBe(404)
    expect((await lookUp({ visitor_token, website_id: tenant.site.id })).status).toBe(404)
    expect((await lookUp({ visitor_token, website_id: blog.id })).body).toMatchObject({
      contact: { id: contact },
    })
    const pinned = muroClient(api.url, (await tenant.makeKey(blog)).key)
    expect((await lookUp({ visitor_token }, pinned)).body).toMatchObject({ contact: { id: contact } })
  })

  it('finds nobody by a token that opens nothing, and says what is wrong with a request', async () => {
    const { token } = await begin()
    for (const visitor_token of ['unknown', token.toUpperCase(), ` ${token}`, 'a\0b', '\ud800']) {
      const answer = await lookUp({ visitor_token })
      expect([answer.status, answer.body]).toEqual([404, muroError('not_found', 'not_found')])
    }
    for (const [body, param] of [
      [{}, 'visitor_token'],
      [{ visitor_token: '' }, 'visitor_token'],
      [{ visitor_token: 'x'.repeat(201) }, 'visitor_token'],
      [{ visitor_token: 7 }, 'visitor_token'],
      [{ visitor_token: token, website_id: 'web_unknown' }, 'website_id'],
      [{ visitor_token: token, website_id: '1' }, 'website_id'],
    ] as const) {
      const answer = await lookUp(body)
      expect([body, answer.status, answer.body]).toEqual([
        body,
        400,
        muroError('invalid_request_error', 'invalid', param),
      ])
    }
  })

  it('P4: shows nobody of another workspace or site, whoever holds the token', async () => {
    const { token: visitor_token } = await begin()
    const other = await api.makeTenant()
    const site = await tenant.makeSite()
    const strangers = [muroClient(api.url, other.apiKey), muroClient(api.url, (await tenant.makeKey(site)).key)]
    for (const stranger of strangers) {
      expect((await lookUp({ visitor_token }, stranger)).status).toBe(404)
      const named = await lookUp({ visitor_token, website_id: tenant.site.id }, stranger)
      expect([named.status, named.body]).toEqual([400, muroError('invalid_request_error', 'invalid', 'website_id')])
    }
    expect((await call(api.url, 'POST', '/api/v1/contacts/lookup', { body: { visitor_token } })).status).toBe(401)
  })
})
