/** The site chat face: a visitor begins a conversation, reads it and answers in it. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type Api, startApi } from '../support/api.ts'
import { type Client, clientOf, muroClient } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

let tenant: Tenant
let chat: Client
let muro: Client
beforeEach(async () => {
  tenant = await api.makeTenant({ greeting: 'Hi there!', autoReply: "We'll get back to you soon." })
  chat = clientOf(`${api.url}/api/v1/chat`, { 'X-Api-Key': tenant.site.site_key })
  muro = muroClient(api.url, tenant.apiKey)
})

const jane = { name: 'Jane Doe', email: 'jane@example.com', message: 'Hi, I need help.', visitor_token: 'jane-1' }
const begun = z.object({ conversation_token: z.string(), conversation_id: z.string() })
const begin = async (changes: Partial<typeof jane> = {}) =>
  begun.parse((await chat.post('/conversations', { ...jane, ...changes })).body)

const told = z.array(z.object({ body: z.string(), timestamp: z.string() }).loose())
const read = async (token: string, query = '') => {
  const answer = await chat.get(`/conversations/${token}/messages${query}`)
  expect(answer.status).toBe(200)
  return told.parse(answer.body)
}

const missing = 'Name, email, message, and visitor_token are required'
const invalidEmail = 'Invalid email address'
const tooLong = 'Message is too long (maximum 10000 characters)'
const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)

it('the config has the greeting and the look of the site and where to connect, and null without a greeting', async () => {
  const { status, body } = await chat.get('/config')
  expect(status).toBe(200)
  expect(body).toEqual({
    greeting: 'Hi there!',
    color: null,
    position: 'right',
    size: 'medium',
    language: 'en',
    agent_name: null,
    realtime: {
      key: expect.any(String),
      host: '127.0.0.1',
      port: api.realtimePort,
      forceTLS: false,
      auth_endpoint: `${api.url}/api/v1/realtime/auth`,
    },
  })
  const plain = await api.makeTenant()
  const other = clientOf(`${api.url}/api/v1/chat`, { 'X-Api-Key': plain.site.site_key })
  expect((await other.get('/config')).body).toMatchObject({ greeting: null })
})

describe('beginning a conversation', () => {
  it('answers its token and the automatic reply, which staff see as a system line and the visitor not again', async () => {
    const { status, body } = await chat.post('/conversations', {
      ...jane,
      name: ' Jane Doe ',
      email: 'JANE@example.com ',
    })
    expect(status).toBe(201)
    expect(body).toEqual({
      conversation_token: expect.stringMatching(/^ct_[A-Za-z0-9]{22}$/),
      auto_reply: "We'll get back to you soon.",
      conversation_id: expect.stringMatching(/^cnv_/),
      channel: `private-visitor-${begun.parse(body).conversation_id}`,
    })
    const path = `/conversations/${begun.parse(body).conversation_id}`
    expect((await muro.get(path)).body).toMatchObject({
      unread_count: 1,
      visitor: { name: 'Jane Doe', email: 'jane@example.com' },
      last_message: { content: jane.message, sender_type: 'visitor' },
    })
    expect((await muro.get(`${path}/messages`)).body).toMatchObject({
      data: [
        { sender_type: 'visitor', content: jane.message, sender_id: expect.stringMatching(/^vis_/) },
        { sender_type: 'system', content: "We'll get back to you soon.", sender_id: null },
      ],
    })
    expect((await read(jane.visitor_token)).map((message) => message.body)).toEqual([jane.message])
    const types = (await api.eventsOf(tenant)).map(({ type }) => type)
    expect(types).toEqual([
      'contact.update',
      'conversation.opened',
      'message.new',
      'conversation.update',
      'message.new',
    ])
  })

  it('answers null where the site has no automatic reply', async () => {
    const plain = await api.makeTenant()
    const other = clientOf(`${api.url}/api/v1/chat`, { 'X-Api-Key': plain.site.site_key })
    expect((await other.post('/conversations', jane)).body).toMatchObject({ auto_reply: null })
    expect((await api.eventsOf(plain)).filter(({ type }) => type === 'message.new')).toHaveLength(1)
  })

  it('needs all four fields, then an address, then a message of at most 10,000 characters, in that order', async () => {
    const before = await api.rowsOf(tenant)
    const long = 'x'.repeat(10_001)
    for (const [body, error] of [
      [{}, missing],
      ['null', missing],
      ['[]', missing],
      [{ ...jane, name: undefined }, missing],
      [{ ...jane, name: '  ' }, missing],
      [{ ...jane, email: '' }, missing],
      [{ ...jane, message: '\n' }, missing],
      [{ ...jane, visitor_token: ' ' }, missing],
      [{ ...jane, visitor_token: 7 }, missing],
      [{ ...jane, name: null, email: 'nonsense', message: long }, missing],
      [{ ...jane, message: 'a\0b' }, missing],
      [{ ...jane, name: '\ud800' }, missing],
      [{ ...jane, email: 'nonsense', message: long }, invalidEmail],
      [{ ...jane, email: 'jane@' }, invalidEmail],
      [{ ...jane, email: `${'j'.repeat(250)}@example.com` }, invalidEmail],
      [{ ...jane, message: long }, tooLong],
      [{ ...jane, message: '😀'.repeat(10_001) }, tooLong],
      [{ ...jane, name: 'x'.repeat(201) }, 'Name is too long (maximum 200 characters)'],
      [{ ...jane, visitor_token: 'x'.repeat(201) }, 'visitor_token is too long (maximum 200 characters)'],
    ] as const) {
      const answer = await chat.post('/conversations', body)
      expect([answer.status, answer.body]).toEqual([422, { error }])
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
    expect((await chat.post('/conversations', { ...jane, message: '😀'.repeat(10_000) })).status).toBe(201)
  })

  it('with a token that began one already is 409, also when 20 come at once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => chat.post('/conversations', jane)))
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    for (const answer of answers.filter(({ status }) => status !== 201)) {
      expect([answer.status, answer.body]).toEqual([
        409,
        { error: 'A conversation with this visitor token already exists' },
      ])
    }
    expect(await api.eventsOf(tenant)).toHaveLength(5)
    expect((await chat.post('/conversations', { ...jane, name: 'Other', email: 'o@example.com' })).status).toBe(409)
    const elsewhere = await api.makeTenant()
    const other = clientOf(`${api.url}/api/v1/chat`, { 'X-Api-Key': elsewhere.site.site_key })
    expect((await other.post('/conversations', jane)).status).toBe(201)
  })

  it('by 10 new visitors with one address at once makes one contact', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => chat.post('/conversations', { ...jane, visitor_token: `t${n}` })),
    )
    expect(answers.every(({ status }) => status === 201)).toBe(true)
    expect((await muro.get('/contacts')).body).toMatchObject({ data: [{ conversation_count: 10 }] })
  })

  it('with an address that is known joins its contact, and tells nothing of it', async () => {
    const known = await muro.post('/contacts', { name: 'Her Real Name', email: jane.email, metadata: { plan: 'PRO' } })
    const old = await muro.post('/conversations', {
      visitor_id: z.object({ id: z.string() }).parse(known.body).id,
      content: 'An old secret',
    })
    const answer = await chat.post('/conversations', { ...jane, name: 'Someone', email: 'Jane@Example.com' })
    expect(answer.status).toBe(201)
    const seen = [answer.text, (await chat.get('/conversations/jane-1/messages')).text].join()
    expect(seen).not.toMatch(/Her Real Name|An old secret|PRO/)
    expect(await read('jane-1')).toMatchObject([{ author: 'Someone', body: jane.message }])
    expect((await muro.get(`/conversations/${begun.parse(answer.body).conversation_id}`)).body).toMatchObject({
      visitor: (old.body as { visitor: unknown }).visitor,
    })
    expect((await muro.get('/contacts')).body).toMatchObject({
      data: [{ name: 'Her Real Name', conversation_count: 2 }],
    })
  })

  it('gives its name to a known contact that has none, which is a change of the contact', async () => {
    const known = (await muro.post('/contacts', { email: jane.email })).body as { id: string; updated_at: string }
    await begin()
    const { body } = await muro.get(`/contacts/${known.id}`)
    const { updated_at } = body as { updated_at: string }
    expect(body).toMatchObject({ name: 'Jane Doe' })
    expect(updated_at > known.updated_at).toBe(true)
    const told = (await api.eventsOf(tenant)).filter(({ type }) => type === 'contact.update').at(-1)
    expect(told?.payload).toMatchObject({ name: 'Jane Doe', updated_at, changed: ['name'] })
  })
})

describe('reading', () => {
  it('is a bare array of what visitor and agents said, never a note or a system line', async () => {
    const { conversation_id } = await begin()
    const path = `/conversations/${conversation_id}/messages`
    await muro.post(path, { content: 'A secret note', kind: 'note' })
    await muro.post(path, { content: 'Sure!' })
    const messages = await read(jane.visitor_token)
    expect(messages).toEqual([
      {
        direction: 'inbound',
        body: jane.message,
        timestamp: time,
        author: 'Jane Doe',
        id: expect.stringMatching(/^msg_/),
        attachments: [],
      },
      {
        direction: 'outbound',
        body: 'Sure!',
        timestamp: time,
        author: 'Ada',
        id: expect.stringMatching(/^msg_/),
        attachments: [],
      },
    ])
    expect(JSON.stringify(messages)).not.toMatch(/usr_|vis_|secret|get back/)
  })

  it('since a time has only what is later', async () => {
    await begin()
    await chat.post('/conversations/jane-1/messages', { message: 'two' })
    const [one, two] = await read('jane-1')
    expect((await read('jane-1', `?since=${one?.timestamp}`)).map(({ body }) => body)).toEqual(['two'])
    expect(await read('jane-1', `?since=${two?.timestamp}`)).toEqual([])
    expect(await read('jane-1', `?since=${two?.timestamp.replace('Z', '+00:00')}`)).toEqual([])
    for (const since of ['yesterday', '0000-01-01T00:00:00Z', '%00', '2026-01-01']) {
      const answer = await chat.get(`/conversations/jane-1/messages?since=${since}`)
      expect([answer.status, answer.body]).toEqual([400, { error: expect.stringMatching(/^since: /) }])
    }
  })
})

describe('replying', () => {
  it('answers ok, is unread for staff, and reopens what is closed or snoozed without opening it anew', async () => {
    const { conversation_id } = await begin()
    for (const status of ['closed', 'snoozed']) {
      await muro.patch(`/conversations/${conversation_id}`, { status, mark_read: true })
      const before = (await api.eventsOf(tenant)).length
      const answer = await chat.post('/conversations/jane-1/messages', { message: ' Still there? ' })
      expect([answer.status, answer.text]).toEqual([201, '{"status":"ok"}'])
      expect((await muro.get(`/conversations/${conversation_id}`)).body).toMatchObject({
        status: 'open',
        unread_count: 1,
        last_message: { content: 'Still there?', sender_type: 'visitor' },
      })
      const types = (await api.eventsOf(tenant)).slice(before).map(({ type }) => type)
      expect(types).toEqual(['message.new', 'conversation.update'])
    }
  })

  it('needs a message of at most 10,000 characters', async () => {
    await begin()
    const before = await api.rowsOf(tenant)
    for (const [body, error] of [
      [{}, 'Message is required'],
      ['null', 'Message is required'],
      [{ message: ' ' }, 'Message is required'],
      [{ message: ['hi'] }, 'Message is required'],
      [{ message: 'a\0' }, 'Message is required'],
      [{ message: 'x'.repeat(10_001) }, tooLong],
    ] as const) {
      const answer = await chat.post('/conversations/jane-1/messages', body)
      expect([answer.status, answer.body]).toEqual([422, { error }])
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
    expect((await chat.post('/conversations/jane-1/messages', { message: 'x'.repeat(10_000) })).status).toBe(201)
  })

  it('P6: acts once under an Idempotency-Key', async () => {
    await begin()
    const key = { 'Idempotency-Key': 'r1' }
    const send = () => chat.post('/conversations/jane-1/messages', { message: 'once' }, key)
    const answers = await Promise.all(Array.from({ length: 10 }, send))
    expect(answers.every(({ status, text }) => status === 201 && text === '{"status":"ok"}')).toBe(true)
    expect(await read('jane-1')).toHaveLength(2)
    expect((await chat.post('/conversations/jane-1/messages', { message: 'other' }, key)).status).toBe(409)
  })
})
