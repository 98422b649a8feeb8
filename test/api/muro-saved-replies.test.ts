/** Saved replies on the muro face: canned texts of a workspace, each under its own shortcut. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { savedReply } from '../../schema/muro/saved-replies.ts'
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

const remove = (id: string, key = tenant.apiKey) => call(api.url, 'DELETE', `/api/v1/saved-replies/${id}`, { key })
const hello = { shortcut: 'hello', title: 'Greeting', body: 'Hi! How can we help?' }
const make = async (changes: Partial<typeof hello> = {}) =>
  idOf(await muro.post('/saved-replies', { ...hello, ...changes }))
const shortcuts = async () => pageOf(await muro.get('/saved-replies?limit=100')).data.map(({ shortcut }) => shortcut)
const rows = () => api.database.sql`select * from saved_replies order by id`
const notFound = muroError('not_found', 'not_found')
const taken = muroError('invalid_request_error', 'conflict', 'shortcut')

describe('a saved reply', () => {
  it('is created, read, changed and deleted', async () => {
    const made = await muro.post('/saved-replies', hello)
    expect(made.status).toBe(201)
    const { created_at, updated_at, ...rest } = savedReply.strict().parse(made.body)
    expect(rest).toEqual({ object: 'saved_reply', id: expect.stringMatching(/^rpl_[A-Za-z0-9]{22}$/), ...hello })
    expect(created_at).toMatch(/\.\d{3}Z$/)
    expect(updated_at).toBe(created_at)
    const { id } = rest
    expect((await muro.get(`/saved-replies/${id}`)).body).toEqual(made.body)

    const changed = await muro.patch(`/saved-replies/${id}`, { title: 'Welcome' })
    expect(changed.status).toBe(200)
    const now = savedReply.parse(changed.body)
    expect(now).toEqual({ ...savedReply.parse(made.body), title: 'Welcome', updated_at: expect.any(String) })
    expect(now.updated_at > created_at).toBe(true)
    const same = await muro.patch(`/saved-replies/${id}`, { shortcut: '/HELLO', title: 'Welcome', body: hello.body })
    expect(same.body).toEqual(changed.body)

    const gone = await remove(id)
    expect([gone.status, gone.body]).toEqual([200, { object: 'saved_reply', id, deleted: true }])
    for (const answer of [
      await muro.get(`/saved-replies/${id}`),
      await muro.patch(`/saved-replies/${id}`, { title: 'x' }),
      await remove(id),
    ]) {
      expect([answer.status, answer.body]).toEqual([404, notFound])
    }
    expect(await shortcuts()).toEqual([])
  })

  it('keeps its body as it was written, and its title and shortcut tidied up', async () => {
    const body = '  two\n\nlines  '
    const made = await muro.post('/saved-replies', { shortcut: ' /Re_Fund-2 ', title: '  Refund  ', body })
    expect(made.body).toMatchObject({ shortcut: 're_fund-2', title: 'Refund', body })
  })

  it('needs a shortcut that can be typed, a title and a body', async () => {
    const before = await rows()
    for (const [changes, param] of [
      [{ shortcut: undefined }, 'shortcut'],
      [{ shortcut: '' }, 'shortcut'],
      [{ shortcut: '/' }, 'shortcut'],
      [{ shortcut: '//a' }, 'shortcut'],
      [{ shortcut: 'two words' }, 'shortcut'],
      [{ shortcut: 'ümlaut' }, 'shortcut'],
      [{ shortcut: '-a' }, 'shortcut'],
      [{ shortcut: 'x'.repeat(65) }, 'shortcut'],
      [{ shortcut: 7 }, 'shortcut'],
      [{ title: undefined }, 'title'],
      [{ title: ' ' }, 'title'],
      [{ title: 'x'.repeat(201) }, 'title'],
      [{ title: 'a\0b' }, 'title'],
      [{ body: undefined }, 'body'],
      [{ body: ' \n' }, 'body'],
      [{ body: 'é'.repeat(16_385) }, 'body'],
      [{ body: '\ud800' }, 'body'],
      [{ body: null }, 'body'],
    ] as const) {
      const answer = await muro.post('/saved-replies', { ...hello, ...changes })
      expect([changes, answer.status, answer.body]).toEqual([
        changes,
        400,
        muroError('invalid_request_error', 'invalid', param),
      ])
    }
    const id = await make({ shortcut: 'x'.repeat(64), title: 'x'.repeat(200), body: 'é'.repeat(16_384) })
    for (const patch of [{}, { unknown: 1 }, { title: null }, { shortcut: 'a b' }]) {
      expect((await muro.patch(`/saved-replies/${id}`, patch)).status).toBe(400)
    }
    expect(await rows()).toHaveLength(before.length + 1)
  })

  it('is listed with the others, the oldest first, page by page', async () => {
    for (const shortcut of ['a', 'b', 'c', 'd', 'e']) await make({ shortcut })
    const first = await muro.get('/saved-replies?limit=2')
    expect(pageOf(first).data).toMatchObject([{ shortcut: 'a' }, { shortcut: 'b' }])
    const second = pageOf(await muro.get(`/saved-replies?limit=2&cursor=${pageOf(first).cursor}`))
    expect(second.data).toMatchObject([{ shortcut: 'c' }, { shortcut: 'd' }])
    await make({ shortcut: 'f' })
    const last = pageOf(await muro.get(`/saved-replies?cursor=${second.cursor}`))
    expect([last.data, last.cursor]).toMatchObject([[{ shortcut: 'e' }, { shortcut: 'f' }], null])
    for (const query of ['limit=0', 'limit=101', 'limit=x', 'cursor=x', `cursor=${await usersCursor()}`]) {
      const answer = await muro.get(`/saved-replies?${query}`)
      expect([query, answer.status, answer.body]).toEqual([
        query,
        400,
        muroError('invalid_request_error', 'invalid', query.split('=')[0]),
      ])
    }
  })

  const usersCursor = async () => {
    await api.run('user', 'create', '--email', 'b@example.com', '--name', 'B', '--workspace', tenant.workspace.publicId)
    return pageOf(await muro.get('/users?limit=1')).cursor
  }
})

describe('a shortcut', () => {
  it('is one saved reply’s only, however it is written: 409 names it and the one that has it', async () => {
    const id = await make()
    for (const shortcut of ['hello', '/hello', ' HELLO ']) {
      const answer = await muro.post('/saved-replies', { ...hello, shortcut })
      expect([answer.status, answer.body]).toEqual([409, taken])
      expect(answer.text).toContain(id)
    }
    const other = await make({ shortcut: 'other' })
    const answer = await muro.patch(`/saved-replies/${other}`, { shortcut: '/Hello', title: 'New' })
    expect([answer.status, answer.body]).toEqual([409, taken])
    expect((await muro.get(`/saved-replies/${other}`)).body).toMatchObject({ shortcut: 'other', title: 'Greeting' })
    await remove(id)
    expect((await muro.patch(`/saved-replies/${other}`, { shortcut: 'hello' })).status).toBe(200)
  })

  it('is given to one of 20 who want it at once, created or renamed, with an Idempotency-Key or without', async () => {
    const renamed = await Promise.all(Array.from({ length: 5 }, (_, index) => make({ shortcut: `r${index}` })))
    const answers = await Promise.all([
      ...renamed.map((id) => muro.patch(`/saved-replies/${id}`, { shortcut: 'hello' })),
      ...Array.from({ length: 15 }, (_, index) =>
        muro.post('/saved-replies', hello, index % 2 ? { 'Idempotency-Key': `k-${index}` } : {}),
      ),
    ])
    const lost = answers.filter(({ status }) => status === 409)
    expect([lost.length, answers.length]).toEqual([19, 20])
    for (const { body } of lost) expect(body).toEqual(taken)
    expect((await shortcuts()).filter((shortcut) => shortcut === 'hello')).toHaveLength(1)
  })
})

describe('an Idempotency-Key', () => {
  const once = { 'Idempotency-Key': 'once' }

  it('makes one saved reply of 10 identical requests', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => muro.post('/saved-replies', hello, once)))
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 201))
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true')).toHaveLength(9)
    expect(await shortcuts()).toEqual(['hello'])
    const other = await muro.post('/saved-replies', { ...hello, shortcut: 'other' }, once)
    expect([other.status, other.body]).toEqual([
      409,
      muroError('invalid_request_error', 'idempotency_mismatch', 'Idempotency-Key'),
    ])
  })

  it('keeps nothing of a request that was refused: once the shortcut is free, the same request is done', async () => {
    const id = await make()
    const refused = await muro.post('/saved-replies', hello, once)
    expect([refused.status, refused.body]).toEqual([409, taken])
    await remove(id)
    const done = await muro.post('/saved-replies', hello, once)
    expect([done.status, done.headers.get('idempotent-replayed')]).toEqual([201, null])
  })
})

describe('P4: saved replies', () => {
  it('of another workspace are not there, and their shortcuts are free', async () => {
    const id = await make()
    const theirs = await api.makeTenant()
    const them = muroClient(api.url, theirs.apiKey)
    const before = await rows()
    for (const name of [id, 'rpl_unknown', 'nonsense', '%00', `${id}x`]) {
      for (const answer of [
        await them.get(`/saved-replies/${name}`),
        await them.patch(`/saved-replies/${name}`, { title: 'Theirs' }),
        await remove(name, theirs.apiKey),
      ]) {
        expect([name, answer.status, answer.body]).toEqual([name, 404, notFound])
      }
    }
    expect(pageOf(await them.get('/saved-replies')).data).toEqual([])
    expect(await rows()).toEqual(before)
    expect((await them.post('/saved-replies', hello)).status).toBe(201)
  })

  it('may be read by a key that is pinned to a site, and not be written', async () => {
    const id = await make()
    const { key } = await tenant.makeKey(tenant.site)
    const pinned = muroClient(api.url, key)
    expect((await pinned.get(`/saved-replies/${id}`)).body).toMatchObject(hello)
    expect(pageOf(await pinned.get('/saved-replies')).ids).toEqual([id])
    const before = await rows()
    for (const answer of [
      await pinned.post('/saved-replies', { ...hello, shortcut: 'mine' }),
      await pinned.post('/saved-replies', { ...hello, shortcut: 'mine' }, { 'Idempotency-Key': 'k' }),
      await pinned.patch(`/saved-replies/${id}`, { title: 'Mine' }),
      await remove(id, key),
    ]) {
      expect([answer.status, answer.body]).toEqual([403, muroError('permission_error', 'forbidden')])
    }
    expect(await rows()).toEqual(before)
  })

  it('need the scope write to be written, and read to be read', async () => {
    const id = await make()
    const keyWith = async (scopes: string) => {
      const { stdout } = await api.run('key', 'create', '--scopes', scopes, '--workspace', tenant.workspace.publicId)
      return JSON.parse(stdout).key
    }
    const reading = await keyWith('read')
    expect((await muroClient(api.url, reading).get(`/saved-replies/${id}`)).status).toBe(200)
    expect((await muroClient(api.url, reading).post('/saved-replies', hello)).status).toBe(403)
    expect((await remove(id, reading)).status).toBe(403)
    const writing = muroClient(api.url, await keyWith('write'))
    expect((await writing.get('/saved-replies')).status).toBe(403)
    expect((await writing.patch(`/saved-replies/${id}`, { title: 'x' })).status).toBe(200)
  })
})
