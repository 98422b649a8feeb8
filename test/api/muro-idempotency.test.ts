/** P6 on the muro face: Idempotency-Key on every POST. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { type Client, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

let tenant: Tenant
let muro: Client
let conversation: string
let contact: string
beforeEach(async () => {
  tenant = await api.makeTenant()
  muro = muroClient(api.url, tenant.apiKey)
  const thread = await tenant.thread()
  conversation = thread.conversation
  contact = thread.contact
})

const key = (text: string) => ({ 'Idempotency-Key': text })

/** Every POST of the face with a body, and what changes the thing that it made. */
const posts = () => [
  {
    path: `/conversations/${conversation}/messages`,
    body: { content: 'once' },
    status: 201,
    alter: () => muro.patch(`/conversations/${conversation}`, { status: 'closed' }),
  },
  {
    path: '/conversations',
    body: { visitor_id: contact, content: 'once' },
    status: 201,
    alter: (id: string) => muro.patch(`/conversations/${id}`, { status: 'closed', tags: ['done'] }),
  },
  {
    path: '/contacts',
    body: { name: 'Once', email: 'once@example.com', metadata: { b: 1, a: { y: 1, x: 2 } } },
    status: 201,
    alter: (id: string) => muro.patch(`/contacts/${id}`, { name: 'Twice', email: null }),
  },
  {
    path: `/conversations/${conversation}/typing`,
    body: { is_private: true },
    status: 200,
    alter: () => muro.patch(`/conversations/${conversation}`, { status: 'closed' }),
  },
]

describe('P6: an identical retry acts once', () => {
  it('and is answered byte for byte what the first was, also after the thing changed', async () => {
    for (const { path, body, status, alter } of posts()) {
      const first = await muro.post(path, body, key('k-1'))
      expect([path, first.status]).toEqual([path, status])
      expect(first.headers.get('idempotent-replayed')).toBeNull()
      expect((await alter(status === 201 ? idOf(first) : '')).status).toBe(200)
      const before = await api.rowsOf(tenant)
      const again = await muro.post(path, body, key('k-1'))
      expect([again.status, again.text]).toEqual([first.status, first.text])
      expect(again.headers.get('idempotent-replayed')).toBe('true')
      expect(again.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'))
      expect(await api.rowsOf(tenant)).toEqual(before)
    }
  })

  it('also when 20 come at once', async () => {
    for (const { path, body, status } of posts()) {
      const before = (await api.eventsOf(tenant)).length
      const answers = await Promise.all(Array.from({ length: 20 }, () => muro.post(path, body, key('k-2'))))
      expect(new Set(answers.map((answer) => answer.text)).size).toBe(1)
      expect(answers.every((answer) => answer.status === status)).toBe(true)
      expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === null)).toHaveLength(1)
      const told = (await api.eventsOf(tenant)).slice(before)
      expect(told.length).toBe(path === '/conversations' ? 2 : status === 201 ? 1 : 0)
    }
  })

  it('but the same key with another body is 409 and changes nothing', async () => {
    for (const { path, body } of posts()) {
      await muro.post(path, body, key('k-3'))
      const before = await api.rowsOf(tenant)
      for (const other of [{ ...body, more: 1 }, JSON.stringify(body, null, 1)]) {
        const answer = await muro.post(path, other, key('k-3'))
        expect(answer.status).toBe(409)
        expect(answer.body).toEqual(muroError('invalid_request_error', 'idempotency_mismatch', 'Idempotency-Key'))
      }
      expect(await api.rowsOf(tenant)).toEqual(before)
    }
  })

  it('but another key, another path or another API key is another request', async () => {
    const path = `/conversations/${conversation}/messages`
    const other = `/conversations/${(await tenant.thread()).conversation}/messages`
    const made = await api.run('key', 'create', '--scopes', 'read,write', '--workspace', tenant.workspace.publicId)
    const colleague = muroClient(api.url, JSON.parse(made.stdout).key)
    const answers = [
      await muro.post(path, { content: 'hi' }, key('a')),
      await muro.post(path, { content: 'hi' }, key('b')),
      await muro.post(other, { content: 'hi' }, key('a')),
      await colleague.post(path, { content: 'hi' }, key('a')),
    ]
    expect(new Set(answers.map(idOf)).size).toBe(4)
    expect(answers.map(({ headers }) => headers.get('idempotent-replayed'))).toEqual([null, null, null, null])
  })
})

describe('a key', () => {
  it('has 1 to 255 visible ASCII characters; one pair of quotes around them does not count', async () => {
    const path = `/conversations/${conversation}/messages`
    const first = await muro.post(path, { content: 'hi' }, key('quoted'))
    expect((await muro.post(path, { content: 'hi' }, key('"quoted"'))).text).toBe(first.text)
    expect((await muro.post(path, { content: 'hi' }, key('x'.repeat(255)))).status).toBe(201)
    const before = await api.rowsOf(tenant)
    for (const wrong of ['', '""', 'a b', 'x'.repeat(256), 'ü', 'a\tb']) {
      for (const post of posts()) {
        const answer = await muro.post(post.path, post.body, key(wrong))
        expect(answer.status).toBe(400)
        expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', 'Idempotency-Key'))
      }
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
  })

  it('is free again after a request that was refused', async () => {
    await muro.post('/contacts', { email: 'taken@example.com' })
    const refused = [
      { path: `/conversations/${conversation}/messages`, body: { content: '' }, status: 400 },
      { path: '/conversations/cnv_unknown/messages', body: { content: 'hi' }, status: 404 },
      { path: '/conversations/cnv_unknown/typing', body: {}, status: 404 },
      { path: '/conversations', body: { visitor_id: 'vis_unknown' }, status: 400 },
      { path: '/contacts', body: { email: 'taken@example.com' }, status: 409 },
    ]
    const before = await api.rowsOf(tenant)
    for (const { path, body, status } of [...refused, ...refused]) {
      const answer = await muro.post(path, body, key('k-5'))
      expect([path, answer.status]).toEqual([path, status])
      expect(answer.headers.get('idempotent-replayed')).toBeNull()
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
    for (const { path, body, status } of posts()) {
      expect((await muro.post(path, body, key('k-5'))).status).toBe(status)
    }
  })

  it('is not looked at on GET and PATCH', async () => {
    for (const status of ['closed', 'open']) {
      const answer = await muro.patch(`/conversations/${conversation}`, { status }, key('same'))
      expect(answer.body).toMatchObject({ status })
    }
    expect(pageOf(await muro.get('/conversations', key('same'))).ids).toEqual([conversation])
  })
})
