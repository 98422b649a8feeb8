/** The tools of the MCP server: what each takes, answers and refuses. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { receiveMessage } from '../../server/domain/messages.ts'
import { type Api, startApi } from '../support/api.ts'
import { type Client, muroClient, pageOf } from '../support/http.ts'
import type { Tenant, Thread } from '../support/tenant.ts'
import { type Mcp, mcpOf } from './mcp.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

let tenant: Tenant
let mcp: Mcp
let muro: Client
let thread: Thread
beforeEach(async () => {
  tenant = await api.makeTenant()
  mcp = mcpOf(api.url, tenant.apiKey)
  muro = muroClient(api.url, tenant.apiKey)
  thread = await tenant.thread()
})

const say = async (...texts: string[]) => {
  const context = { sql: api.database.sql, bus: { publish: () => undefined } }
  for (const text of texts) await receiveMessage(context, thread.visitor, text)
}

describe('finding', () => {
  it('answers what the REST API answers', async () => {
    await say('Where is my order?')
    for (const [args, query] of [
      [undefined, ''],
      [{ status: 'open', limit: 10 }, 'status=open&limit=10'],
      [{ status: 'closed' }, 'status=closed'],
      [{ q: 'ORDER' }, 'q=ORDER'],
      [{ q: 'nothing like it' }, 'q=nothing%20like%20it'],
    ] as const) {
      const rest = await muro.get(`/conversations?${query}`)
      expect(await mcp.tool('list_conversations', args)).toEqual(rest.body)
    }
    await muro.post('/contacts', { name: 'Marie', email: 'marie@example.com' })
    for (const [args, query] of [
      [undefined, ''],
      [{ q: 'mar' }, 'q=mar'],
      [{ email: 'MARIE@example.com' }, 'email=marie%40example.com'],
      [{ site_id: tenant.site.id, limit: 1 }, `website_id=${tenant.site.id}&limit=1`],
    ] as const) {
      expect(await mcp.tool('list_contacts', args)).toEqual((await muro.get(`/contacts?${query}`)).body)
    }
    expect(await mcp.tool('get_contact', { contact_id: thread.contact })).toEqual(
      (await muro.get(`/contacts/${thread.contact}`)).body,
    )
  })

  it('walks a list page by page, with a limit that may be a text', async () => {
    for (let count = 0; count < 4; count += 1) await tenant.thread()
    const all = pageOf(await muro.get('/conversations')).ids
    const seen: unknown[] = []
    for (let cursor: unknown; cursor !== null; ) {
      const page = await mcp.tool('list_conversations', { limit: '2', ...(cursor === undefined ? {} : { cursor }) })
      seen.push(...pageOf({ status: 200, headers: new Headers(), text: '', body: page }).ids)
      cursor = page.next_cursor
    }
    expect(seen).toEqual(all)
    const { next_cursor: cursor } = await mcp.tool('list_contacts', { limit: 1 })
    expect(await mcp.ask('list_conversations', { cursor })).toMatchObject({ error: { param: 'cursor' } })
  })

  it.each([
    [{ status: 'pending' }, 'status'],
    [{ limit: 0 }, 'limit'],
    [{ limit: 101 }, 'limit'],
    [{ limit: 1.5 }, 'limit'],
    [{ q: 'x'.repeat(129) }, 'q'],
    [{ q: 'a\0b' }, 'q'],
    [{ cursor: 'none of ours' }, 'cursor'],
    [{ visitor_id: 'Marie' }, 'visitor_id'],
    [{ search: 'x' }, 'search'],
    [{ constructor: 1 }, 'constructor'],
  ])('names the argument at fault in %j', async (args, param) => {
    const { error } = z.object({ error: z.looseObject({}) }).parse(await mcp.ask('list_conversations', args))
    expect(error).toMatchObject({ type: 'invalid_request_error', code: 'invalid', param })
    expect(error.message).toContain(`${param}: `)
  })

  it('tells a model that invents an argument which there are', async () => {
    expect(await mcp.ask('list_conversations', { search: 'x' })).toMatchObject({
      error: { message: expect.stringContaining('it takes status, q, visitor_id') },
    })
  })
})

describe('reading a conversation', () => {
  it('answers it as REST does, with its newest messages, and leads back to the first', async () => {
    await say(...Array.from({ length: 7 }, (_, index) => `m${index + 1}`))
    await mcp.tool('send_reply', { conversation_id: thread.conversation, content: 'psst', kind: 'note' })
    const path = `/conversations/${thread.conversation}`
    const all = pageOf(await muro.get(`${path}/messages`)).data
    const args = { conversation_id: thread.conversation, limit: 3 }
    const { messages, has_more, next_cursor, ...conversation } = await mcp.tool('get_conversation', args)
    expect(conversation).toEqual((await muro.get(path)).body)
    expect([messages, has_more]).toEqual([all.slice(5), true])

    await say('m9, said meanwhile')
    const older = await mcp.tool('get_conversation', { ...args, cursor: next_cursor })
    expect([older.messages, older.has_more]).toEqual([all.slice(2, 5), true])
    const oldest = await mcp.tool('get_conversation', { ...args, cursor: older.next_cursor })
    expect([oldest.messages, oldest.has_more, oldest.next_cursor]).toEqual([all.slice(0, 2), false, null])
    expect(await mcp.tool('get_conversation', { conversation_id: thread.conversation })).toMatchObject({
      messages: Array.from({ length: 9 }, () => ({ object: 'message' })),
      has_more: false,
      next_cursor: null,
    })
  })

  it('takes id too, but not both, and no cursor of another conversation', async () => {
    const id = thread.conversation
    expect(await mcp.tool('get_conversation', { id })).toMatchObject({ id, messages: [] })
    expect(await mcp.ask('get_conversation', { id, conversation_id: id })).toMatchObject({ error: { param: 'id' } })
    expect(await mcp.ask('get_conversation', {})).toMatchObject({
      error: { param: 'conversation_id', message: 'conversation_id: is required' },
    })
    await say('one', 'two')
    const { next_cursor: cursor } = await mcp.tool('get_conversation', { id, limit: 1 })
    const other = await tenant.thread()
    expect(await mcp.ask('get_conversation', { id: other.conversation, cursor })).toMatchObject({
      error: { param: 'cursor' },
    })
  })
})

describe('replying', () => {
  it('answers the message, which REST then shows and the log tells', async () => {
    const args = { conversation_id: thread.conversation, content: ' On it — give me 5 minutes.\n' }
    const sent = await mcp.tool('send_reply', args)
    expect(sent).toMatchObject({
      object: 'message',
      sender_type: 'agent',
      sender_id: tenant.agent.user.publicId,
      content: args.content,
    })
    expect(pageOf(await muro.get(`/conversations/${thread.conversation}/messages`)).data).toEqual([sent])
    expect((await api.eventsOf(tenant)).at(-1)).toMatchObject({ type: 'message.new', payload: { id: sent.id } })
  })

  it('sends a note as a note, and nothing for an argument that it does not know', async () => {
    const conversation_id = thread.conversation
    const note = await mcp.tool('send_reply', { conversation_id, content: 'psst', kind: 'note' })
    expect(note).toMatchObject({ sender_type: 'note' })
    const before = await api.rowsOf(tenant)
    for (const [more, param] of [
      [{ content: 'psst', private: true }, 'private'],
      [{ content: 'psst', kind: 'internal' }, 'kind'],
      [{ content: ' ' }, 'content'],
      [{ content: 'x'.repeat(32_769) }, 'content'],
      [{ content: 'a\0b' }, 'content'],
      [{}, 'content'],
      [{ attachment_ids: [] }, 'content'],
      [{ content: 'hi', idempotency_key: '' }, 'idempotency_key'],
      [{ content: 'hi', idempotency_key: 'x'.repeat(256) }, 'idempotency_key'],
    ] as const) {
      expect(await mcp.ask('send_reply', { conversation_id, ...more })).toMatchObject({
        error: { type: 'invalid_request_error', param },
      })
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
  })

  it('sends nothing where something was said since, and shows what', async () => {
    await say('one')
    const read = await mcp.tool('get_conversation', { id: thread.conversation })
    const seen = z
      .array(z.object({ conversation_seq: z.number() }))
      .parse(read.messages)
      .at(-1)?.conversation_seq
    await say('two')
    const args = { conversation_id: thread.conversation, content: 'To one.', expected_seq: seen }
    const refused = await mcp.ask('send_reply', args)
    const { data } = pageOf(await muro.get(`/conversations/${thread.conversation}/messages`))
    expect(refused).toMatchObject({
      error: {
        type: 'invalid_request_error',
        code: 'newer_messages',
        param: 'expected_seq',
        messages: data.slice(1),
        next: expect.stringContaining('expected_seq'),
      },
    })
    expect(data.map(({ content }) => content)).toEqual(['one', 'two'])
    const now = { ...args, expected_seq: data.at(-1)?.conversation_seq }
    expect(await mcp.tool('send_reply', now)).toMatchObject({ content: 'To one.' })
  })

  it('sends files that were uploaded over REST, each once', async () => {
    const form = new FormData()
    form.append('file', new Blob(['hello'], { type: 'text/plain' }), 'hello.txt')
    const headers = { Authorization: `Bearer ${tenant.apiKey}` }
    const uploaded = await fetch(`${api.url}/api/v1/attachments`, { method: 'POST', headers, body: form })
    const { id } = z.object({ id: z.string() }).parse(await uploaded.json())
    const args = { conversation_id: thread.conversation, attachment_ids: [id] }
    expect(await mcp.tool('send_reply', args)).toMatchObject({
      content: '',
      attachments: [{ id, filename: 'hello.txt' }],
    })
    expect(await mcp.ask('send_reply', args)).toMatchObject({ error: { type: 'invalid_request_error' } })
  })

  it('acts once for an idempotency_key, whatever the request is called', async () => {
    const args = { conversation_id: thread.conversation, content: 'Once.', idempotency_key: 'retry-1' }
    const twice = (id: number) =>
      mcp.send({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'send_reply', arguments: args } })
    const answers = await Promise.all([1, 2, 3, 4, 5].map(twice))
    const ids = answers.map(
      ({ body }) =>
        z.object({ result: z.object({ structuredContent: z.object({ id: z.string() }) }) }).parse(body).result
          .structuredContent.id,
    )
    expect(new Set(ids).size).toBe(1)
    expect(await mcp.tool('send_reply', { kind: 'agent', id: thread.conversation, ...pick(args) })).toMatchObject({
      id: ids[0],
    })
    expect(pageOf(await muro.get(`/conversations/${thread.conversation}/messages`)).ids).toEqual([ids[0]])

    const said = { next: expect.stringContaining('another idempotency_key') }
    const conflict = { error: { type: 'invalid_request_error', code: 'idempotency_mismatch', ...said } }
    expect(await mcp.ask('send_reply', { ...args, content: 'Twice.' })).toMatchObject(conflict)
    const other = await tenant.thread()
    expect(await mcp.ask('send_reply', { ...args, conversation_id: other.conversation })).toMatchObject(conflict)
    const another = await tenant.makeKey()
    expect((await mcpOf(api.url, another.key).tool('send_reply', args)).id).not.toBe(ids[0])
  })

  const pick = ({ content, idempotency_key }: { content: string; idempotency_key: string }) => ({
    content,
    idempotency_key,
  })
})

describe('triage', () => {
  it('changes what is given, answers the conversation and tells it once', async () => {
    await say('Hello?')
    const conversation_id = thread.conversation
    const patch = {
      status: 'closed',
      tags: ['vip', 'billing', 'vip'],
      assigned_user_id: tenant.agent.user.publicId,
      mark_read: true,
      metadata: { ticket: 'ZD-1' },
    }
    const changed = await mcp.tool('update_conversation', { conversation_id, ...patch })
    expect(changed).toMatchObject({
      id: conversation_id,
      status: 'closed',
      tags: ['vip', 'billing'],
      assigned_user_id: tenant.agent.user.publicId,
      unread_count: 0,
      metadata: { ticket: 'ZD-1' },
    })
    expect(changed).toEqual((await muro.get(`/conversations/${conversation_id}`)).body)
    const events = await api.eventsOf(tenant)
    expect(events.at(-1)).toMatchObject({ type: 'conversation.update', payload: { status: 'closed' } })
    expect(await mcp.tool('update_conversation', { id: conversation_id, ...patch })).toEqual(changed)
    expect(await api.eventsOf(tenant)).toEqual(events)
    expect(await mcp.tool('update_conversation', { id: conversation_id, assigned_user_id: null })).toMatchObject({
      assigned_user_id: null,
      tags: ['vip', 'billing'],
    })
  })

  it.each([
    [{}, 'arguments: must change'],
    [{ status: 'done' }, 'status: '],
    [{ tags: 'vip' }, 'tags: '],
    [{ tags: [''] }, 'tags.0: '],
    [{ assigned_user_id: 'usr_nobody' }, 'assigned_user_id: no such user'],
    [{ mark_read: true, mark_unread: true }, 'exclude each other'],
    [{ metadata: [] }, 'metadata: '],
    [{ assignee: 'usr_x' }, 'assignee: is not an argument'],
  ])('refuses %j', async (patch, message) => {
    expect(await mcp.ask('update_conversation', { conversation_id: thread.conversation, ...patch })).toMatchObject({
      error: { type: 'invalid_request_error', message: expect.stringContaining(message) },
    })
  })
})

describe('sites', () => {
  it('are listed as over REST, and changed by what is given', async () => {
    await tenant.makeSite({ name: 'Blog' })
    expect(await mcp.tool('list_sites')).toEqual((await muro.get('/sites')).body)
    const look = { color: '#1A2B3C', position: 'left', size: 'large', language: 'pt-BR', agent_name: 'Ada' }
    const site_id = tenant.site.id
    const changed = await mcp.tool('update_site', { site_id, welcome_message: 'Olá!', ...look })
    expect(changed).toMatchObject({ object: 'site', id: site_id, name: 'Shop', greeting: 'Olá!', ...look })
    expect(changed).toEqual((await muro.get(`/sites/${site_id}`)).body)
    expect(await mcp.tool('update_site', { id: site_id, greeting: null, colour: null })).toMatchObject({
      greeting: null,
      color: null,
      size: 'large',
    })
  })

  it.each([
    [{}, 'arguments: must change'],
    [{ color: 'red' }, 'color: '],
    [{ position: 'top' }, 'position: '],
    [{ size: 'huge' }, 'size: '],
    [{ language: 'Portuguese!' }, 'language: '],
    [{ welcome_message: 'x'.repeat(1001) }, 'welcome_message: '],
    [{ active: false }, 'active: is not an argument'],
    [{ origins: ['https://evil.example'] }, 'origins: is not an argument'],
  ])('are not changed by %j', async (patch, message) => {
    const before = await mcp.tool('list_sites')
    expect(await mcp.ask('update_site', { site_id: tenant.site.id, ...patch })).toMatchObject({
      error: { type: 'invalid_request_error', message: expect.stringContaining(message) },
    })
    expect(await mcp.tool('list_sites')).toEqual(before)
  })
})

it('a tool that does not exist is an error of the protocol', async () => {
  for (const name of ['list_everything', '', '__proto__', 'constructor', 'toString']) {
    const { status, body } = await mcp.request('tools/call', { name, arguments: {} })
    expect([status, body]).toEqual([
      200,
      { jsonrpc: '2.0', id: 1, error: { code: -32602, message: `Unknown tool: ${name}` } },
    ])
  }
})

it('arguments that are no object name nothing, and harm nothing', async () => {
  for (const args of [null, [], 'x', 1, true]) {
    const { status, body } = await mcp.request('tools/call', { name: 'list_conversations', arguments: args })
    expect([status, body]).toMatchObject([200, { error: { code: -32602 } }])
  }
})

it('a summary is not written where AI is off, and the tool says so', async () => {
  await say('Hello?')
  expect(await mcp.ask('summarize_conversation', { id: thread.conversation })).toMatchObject({
    error: {
      type: 'api_error',
      code: 'unavailable',
      message: expect.stringContaining('AI is off'),
      next: expect.stringContaining('tell the user'),
    },
  })
})
