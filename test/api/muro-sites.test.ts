/** Sites on the muro face: where visitors chat from, and how the widget looks there. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { site } from '../../schema/muro/sites.ts'
import { type Api, startApi } from '../support/api.ts'
import { type Client, call, clientOf, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

let tenant: Tenant
let muro: Client
beforeEach(async () => {
  tenant = await api.makeTenant({ name: 'First' })
  muro = muroClient(api.url, tenant.apiKey)
})

const rows = async () => [...(await api.database.sql`select * from sites order by id`)]
const read = async (id: string) => site.strict().parse((await muro.get(`/sites/${id}`)).body)
const config = (site_key: string, origin?: string) =>
  call(api.url, 'GET', '/api/v1/chat/config', {
    headers: { 'X-Api-Key': site_key, ...(origin === undefined ? {} : { Origin: origin }) },
  })
const notFound = muroError('not_found', 'not_found')
const forbidden = muroError('permission_error', 'forbidden')

const defaults = {
  origins: [],
  active: true,
  greeting: null,
  auto_reply: null,
  color: null,
  position: 'right',
  size: 'medium',
  language: 'en',
  agent_name: null,
}
const settings = {
  origins: ['https://shop.example', 'http://localhost:3000'],
  active: true,
  greeting: 'Hi there!',
  auto_reply: 'We will be with you shortly.',
  color: '#1a2B3c',
  position: 'left',
  size: 'large',
  language: 'pt-BR',
  agent_name: 'The shop team',
}

describe('a site', () => {
  it('is created with a name alone, or with all its settings, and shown with its keys', async () => {
    const plain = await muro.post('/sites', { name: '  Plain ' })
    expect(plain.status).toBe(201)
    const { id, widget_id, site_key, created_at, updated_at, ...rest } = site.strict().parse(plain.body)
    expect(rest).toEqual({ object: 'site', name: 'Plain', ...defaults })
    expect([id, widget_id, site_key]).toEqual([
      expect.stringMatching(/^web_/),
      expect.stringMatching(/^wgt_/),
      expect.stringMatching(/^site_[A-Za-z0-9]{22}$/),
    ])
    expect(updated_at).toBe(created_at)
    expect(await read(id)).toEqual(plain.body)

    const full = await muro.post('/sites', { name: 'Full', ...settings, site_key: 'mine', id: 'web_mine', number: 7 })
    expect(full.body).toMatchObject({ name: 'Full', ...settings, id: expect.not.stringMatching('mine') })
    expect(pageOf(await muro.get('/sites')).ids).toEqual([tenant.site.id, id, idOf(full)])
    const { body } = await muro.post('/contacts', { website_id: idOf(full) })
    expect(body).toMatchObject({ website_id: idOf(full) })
  })

  it('is created once by identical requests with an Idempotency-Key', async () => {
    const send = (name: string) => muro.post('/sites', { name }, { 'Idempotency-Key': 'k' })
    const answers = await Promise.all(Array.from({ length: 10 }, () => send('Once')))
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    expect(answers[0]?.status).toBe(201)
    expect(pageOf(await muro.get('/sites')).ids).toEqual([tenant.site.id, idOf(answers[0] ?? (await send('Once')))])
    expect((await send('Twice')).body).toEqual(
      muroError('invalid_request_error', 'idempotency_mismatch', 'Idempotency-Key'),
    )
  })

  it('is changed in what is sent and nothing else, and emptied with null', async () => {
    const before = await read(tenant.site.id)
    let shown = before
    for (const [name, value] of Object.entries({ name: 'Shop', ...settings, active: false })) {
      const answer = await muro.patch(`/sites/${tenant.site.id}`, { [name]: value })
      expect([answer.status, answer.body]).toEqual([200, { ...shown, [name]: value, updated_at: expect.any(String) }])
      shown = site.parse(answer.body)
    }
    expect(shown.updated_at > before.updated_at).toBe(true)
    const same = await muro.patch(`/sites/${tenant.site.id}`, { name: 'Shop', ...settings, active: false })
    expect(same.body).toEqual(shown)
    const emptied = { origins: [], greeting: null, auto_reply: null, color: null, agent_name: null }
    expect((await muro.patch(`/sites/${tenant.site.id}`, emptied)).body).toMatchObject({ ...emptied, size: 'large' })
  })

  it('takes no setting that is none, and says which', async () => {
    const before = await rows()
    const wrong: [string, unknown][] = [
      ['name', ' '],
      ['name', null],
      ['name', 'x'.repeat(201)],
      ['name', 'a\0'],
      ['active', 'yes'],
      ['greeting', ''],
      ['greeting', 'x'.repeat(1001)],
      ['auto_reply', 7],
      ['color', 'red'],
      ['color', '#12345'],
      ['position', 'top'],
      ['size', null],
      ['language', 'x'],
      ['language', 'en_US'],
      ['agent_name', 'x'.repeat(101)],
      ['origins', 'https://a.example'],
      ['origins', null],
      ['origins', Array.from({ length: 101 }, (_, index) => `https://a${index}.example`)],
    ]
    for (const [param, value] of wrong) {
      for (const answer of [
        await muro.patch(`/sites/${tenant.site.id}`, { [param]: value }),
        await muro.post('/sites', { name: 'New', [param]: value }),
      ]) {
        expect([param, value, answer.status, answer.body]).toEqual([
          param,
          value,
          400,
          muroError('invalid_request_error', 'invalid', param),
        ])
      }
    }
    for (const origin of [
      '*',
      'shop.example',
      'https://',
      'https://a.example/',
      'https://a.example/path',
      'https://a.example?q=1',
      'https://a.example#x',
      'https://u:p@a.example',
      'https://a b.example',
      'https://a.example:99999',
      'https://*.example',
      'https://[::1',
      'ftp://a.example',
      'null',
      `https://${'a'.repeat(300)}`,
      7,
    ]) {
      const answer = await muro.patch(`/sites/${tenant.site.id}`, { origins: ['https://ok.example', origin] })
      expect([origin, answer.status, answer.body]).toEqual([
        origin,
        400,
        muroError('invalid_request_error', 'invalid', 'origins.1'),
      ])
    }
    expect((await muro.post('/sites', {})).body).toEqual(muroError('invalid_request_error', 'invalid', 'name'))
    for (const patch of [{}, { site_key: 'x' }, { widget_id: 'x' }]) {
      expect((await muro.patch(`/sites/${tenant.site.id}`, patch)).status).toBe(400)
    }
    expect(await rows()).toEqual(before)
  })

  it('loses no setting when two change it at once', async () => {
    const entries = Object.entries({ name: 'Shop', ...settings })
    const answers = await Promise.all(
      entries.map(([name, value]) => muro.patch(`/sites/${tenant.site.id}`, { [name]: value })),
    )
    expect(answers.map(({ status }) => status)).toEqual(entries.map(() => 200))
    expect(await read(tenant.site.id)).toMatchObject({ name: 'Shop', ...settings })
  })
})

describe('the settings of a site', () => {
  it('are what the site chat shows the widget, from the next request on', async () => {
    const { site_key, id } = tenant.site
    const { greeting, color, position, size, language, agent_name } = settings
    const look = { greeting, color, position, size, language, agent_name }
    const { origins: _, active: __, auto_reply: ___, ...plain } = defaults
    expect((await config(site_key)).body).toEqual({ ...plain, realtime: expect.any(Object) })
    await muro.patch(`/sites/${id}`, settings)
    expect((await config(site_key)).body).toEqual({ ...look, realtime: expect.any(Object) })
    const chat = clientOf(`${api.url}/api/v1/chat`, { 'X-Api-Key': site_key })
    const begun = await chat.post('/conversations', {
      name: 'V',
      email: 'v@example.com',
      message: 'Hi',
      visitor_token: 'v',
    })
    expect(begun.body).toMatchObject({ auto_reply: settings.auto_reply })
  })

  it('give whoever answers one name, which the visitor is told; notes and visitors keep their own', async () => {
    const { site_key, id } = tenant.site
    const chat = clientOf(`${api.url}/api/v1/chat`, { 'X-Api-Key': site_key })
    const visitor = { name: 'Marie', email: 'm@example.com', message: 'Hi', visitor_token: 'm' }
    const { conversation_id } = (await chat.post('/conversations', visitor)).body as { conversation_id: string }
    const say = (body: object) => muro.post(`/conversations/${conversation_id}/messages`, body)
    await say({ content: 'in my own name' })
    await muro.patch(`/sites/${id}`, { agent_name: 'The shop team' })
    expect((await say({ content: 'in its name' })).body).toMatchObject({ sender_id: tenant.agent.user.publicId })
    await say({ content: 'with a condition', expected_seq: 100 })
    await say({ content: 'with a claim', client_id: '1' })
    await say({ content: 'a note', kind: 'note' })
    await chat.post('/conversations/m/messages', { message: 'Thanks' })
    const said = [
      ['Marie', 'Hi'],
      ['Ada', 'in my own name'],
      ['The shop team', 'in its name'],
      ['The shop team', 'with a condition'],
      ['The shop team', 'with a claim'],
      ['Marie', 'Thanks'],
    ]
    const { body } = await chat.get('/conversations/m/messages')
    expect((body as { author: string; body: string }[]).map(({ author, body }) => [author, body])).toEqual(said)
    const told = (await api.eventsOf(tenant)).filter(({ type }) => type === 'message.new')
    expect(told.map(({ payload: { author, content } }) => [author, content])).toEqual(
      said.toSpliced(-1, 0, ['Ada', 'a note']),
    )
    const { visitor: who } = (await muro.get(`/conversations/${conversation_id}`)).body as { visitor: { id: string } }
    await muro.post('/conversations', { visitor_id: who.id, content: 'from us' })
    expect((await api.eventsOf(tenant)).at(-1)?.payload).toMatchObject({ author: 'The shop team', content: 'from us' })
  })

  it('open the site chat to an origin at once, however it is written, and shut it again', async () => {
    const { site_key, id } = tenant.site
    const ways = {
      'https://shop.example': 'https://shop.example',
      'HTTPS://Shop.Example:443': 'https://shop.example',
      'http://localhost:80': 'http://localhost',
      'http://localhost:3000': 'http://localhost:3000',
      'https://bücher.example': 'https://xn--bcher-kva.example',
      'http://[::1]:8080': 'http://[::1]:8080',
    }
    for (const [written, sent] of Object.entries(ways)) {
      await muro.patch(`/sites/${id}`, { origins: [] })
      expect((await config(site_key, sent)).status).toBe(403)
      expect((await muro.patch(`/sites/${id}`, { origins: [written, sent] })).body).toMatchObject({ origins: [sent] })
      const answer = await config(site_key, sent)
      expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, sent])
      expect((await config(site_key, `${sent}.evil.example`)).status).toBe(403)
    }
  })

  it('switch the site chat off and on again', async () => {
    const { site_key, id } = tenant.site
    await muro.patch(`/sites/${id}`, { active: false })
    expect([(await config(site_key)).status, (await config(site_key)).body]).toEqual([
      403,
      { error: 'Chat is disabled' },
    ])
    await muro.patch(`/sites/${id}`, { active: true })
    expect((await config(site_key)).status).toBe(200)
  })
})

describe('P4: sites', () => {
  it('of another workspace are not there', async () => {
    const theirs = await api.makeTenant()
    const them = muroClient(api.url, theirs.apiKey)
    const before = await rows()
    for (const id of [tenant.site.id, 'web_unknown', 'nonsense', '%00']) {
      for (const answer of [await them.get(`/sites/${id}`), await them.patch(`/sites/${id}`, { name: 'Theirs' })]) {
        expect([id, answer.status, answer.body]).toEqual([id, 404, notFound])
      }
    }
    expect(pageOf(await them.get('/sites')).ids).toEqual([theirs.site.id])
    expect(await rows()).toEqual(before)
  })

  it('other than the one that a key is pinned to are not there for it; its own it reads and runs', async () => {
    const other = await tenant.makeSite({ name: 'Other' })
    const pinned = muroClient(api.url, (await tenant.makeKey(tenant.site)).key)
    const before = await rows()
    expect(pageOf(await pinned.get('/sites')).ids).toEqual([tenant.site.id])
    for (const answer of [await pinned.get(`/sites/${other.id}`), await pinned.patch(`/sites/${other.id}`, settings)]) {
      expect([answer.status, answer.body]).toEqual([404, notFound])
    }
    for (const headers of [{}, { 'Idempotency-Key': 'k' }]) {
      const answer = await pinned.post('/sites', { name: 'Mine' }, headers)
      expect([answer.status, answer.body]).toEqual([403, forbidden])
    }
    expect(await rows()).toEqual(before)
    const own = await pinned.patch(`/sites/${tenant.site.id}`, { ...settings, active: false })
    expect([own.status, own.body]).toEqual([200, (await muro.get(`/sites/${tenant.site.id}`)).body])
    expect(own.body).toMatchObject({ ...settings, active: false })
  })

  it('are listed page by page, the oldest first', async () => {
    const ids = [tenant.site.id]
    for (const name of ['B', 'C']) ids.push(idOf(await muro.post('/sites', { name })))
    const first = pageOf(await muro.get('/sites?limit=2'))
    const last = pageOf(await muro.get(`/sites?limit=2&cursor=${first.cursor}`))
    expect([first.ids, last.ids, last.cursor]).toEqual([ids.slice(0, 2), ids.slice(2), null])
  })

  it('need the scope write to be written', async () => {
    const { workspace } = tenant
    const { stdout } = await api.run('key', 'create', '--scopes', 'read', '--workspace', workspace.publicId)
    const reading = muroClient(api.url, JSON.parse(stdout).key)
    expect((await reading.get('/sites')).status).toBe(200)
    expect((await reading.post('/sites', { name: 'X' })).status).toBe(403)
    expect((await reading.patch(`/sites/${tenant.site.id}`, { name: 'X' })).status).toBe(403)
  })
})
