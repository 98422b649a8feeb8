/** Conversations on the muro face: reading one, listing them, opening one. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { listOf } from '../../schema/muro/conventions.ts'
import * as contracts from '../../schema/muro/conversations.ts'
import { type Api, startApi } from '../support/api.ts'
import { type Client, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

const makeWorkspace = async (): Promise<{ tenant: Tenant; muro: Client }> => {
  const tenant = await api.makeTenant()
  return { tenant, muro: muroClient(api.url, tenant.apiKey) }
}

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)

describe('one conversation', () => {
  it('is shown with its visitor, its website and its last message', async () => {
    const { tenant, muro } = await makeWorkspace()
    const { conversation, contact } = await tenant.thread()
    await muro.post(`/conversations/${conversation}/messages`, { content: 'Hello' })
    const { status, body } = await muro.get(`/conversations/${conversation}`)
    expect(status).toBe(200)
    expect(body).toEqual({
      object: 'conversation',
      id: conversation,
      status: 'open',
      state: 'open',
      unread_count: 0,
      visitor: { id: contact, name: 'Vita', email: null },
      website: { id: tenant.site.id, name: 'Shop' },
      last_message: { content: 'Hello', sender_type: 'agent', at: time },
      assigned_user_id: null,
      tags: [],
      priority: null,
      metadata: {},
      snoozed_until: null,
      last_activity_at: time,
      created_at: time,
      updated_at: time,
    })
  })

  it.each(['cnv_doesnotexist', 'cnv_', 'vis_abc', '1', '%00', `cnv_${'a'.repeat(65)}`, 'cnv_a%0A', "cnv_'--"])(
    'is not found under %s',
    async (id) => {
      const { muro } = await makeWorkspace()
      for (const answer of [
        await muro.get(`/conversations/${id}`),
        await muro.patch(`/conversations/${id}`, { status: 'closed' }),
        await muro.get(`/conversations/${id}/messages`),
        await muro.post(`/conversations/${id}/messages`, { content: 'Hello' }),
        await muro.post(`/conversations/${id}/typing`),
      ]) {
        expect(answer.status).toBe(404)
        expect(answer.body).toEqual(muroError('not_found', 'not_found'))
      }
    },
  )
})

describe('the list of conversations', () => {
  it('has the newest activity first, and a message or a note moves its conversation to the front', async () => {
    const { tenant, muro } = await makeWorkspace()
    const [a, b, c] = [await tenant.thread(), await tenant.thread(), await tenant.thread()].map((t) => t.conversation)
    expect(pageOf(await muro.get('/conversations')).ids).toEqual([c, b, a])
    await muro.post(`/conversations/${a}/messages`, { content: 'up' })
    expect(pageOf(await muro.get('/conversations')).ids).toEqual([a, c, b])
    await muro.post(`/conversations/${b}/messages`, { content: 'up too', kind: 'note' })
    expect(pageOf(await muro.get('/conversations')).ids).toEqual([b, a, c])
  })

  it('stays as it is while conversations are only triaged', async () => {
    const { tenant, muro } = await makeWorkspace()
    const [a, b] = [await tenant.thread(), await tenant.thread()].map((t) => t.conversation)
    await muro.patch(`/conversations/${a}`, { tags: ['vip'], mark_unread: true, status: 'snoozed' })
    expect(pageOf(await muro.get('/conversations')).ids).toEqual([b, a])
  })

  it('is filtered by status, and pending conversations are open', async () => {
    const { tenant, muro } = await makeWorkspace()
    const [open, pending, snoozed, closed] = [
      (await tenant.thread()).conversation,
      (await tenant.thread()).conversation,
      (await tenant.thread()).conversation,
      (await tenant.thread()).conversation,
    ]
    await api.database.sql`update conversations set state = 'pending' where public_id = ${pending}`
    await muro.patch(`/conversations/${snoozed}`, { status: 'snoozed' })
    await muro.patch(`/conversations/${closed}`, { status: 'closed' })
    expect(pageOf(await muro.get('/conversations?status=open')).ids).toEqual([pending, open])
    expect(pageOf(await muro.get('/conversations?status=snoozed')).ids).toEqual([snoozed])
    expect(pageOf(await muro.get('/conversations?status=closed')).ids).toEqual([closed])
    expect(pageOf(await muro.get('/conversations')).ids).toEqual([closed, snoozed, pending, open])
    expect((await muro.get(`/conversations/${pending}`)).body).toMatchObject({ status: 'open', state: 'pending' })
  })

  it('gives 25 at a time, up to 100 on request, and never more', async () => {
    const { tenant, muro } = await makeWorkspace()
    for (let made = 0; made < 27; made += 1) await tenant.thread()
    const first = pageOf(await muro.get('/conversations'))
    expect(first.ids).toHaveLength(25)
    const second = pageOf(await muro.get(`/conversations?cursor=${first.cursor}`))
    expect(second.ids).toHaveLength(2)
    expect(second.cursor).toBeNull()
    expect(pageOf(await muro.get('/conversations?limit=27')).cursor).toBeNull()
    expect(pageOf(await muro.get('/conversations?limit=100')).ids).toHaveLength(27)
    for (const limit of ['101', '0', '-1', '1.5', 'ten', '', '5&limit=6']) {
      const answer = await muro.get(`/conversations?limit=${limit}`)
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', 'limit'))
    }
  })

  it('is empty in an empty workspace', async () => {
    const { muro } = await makeWorkspace()
    expect((await muro.get('/conversations')).body).toEqual({
      object: 'list',
      data: [],
      has_more: false,
      next_cursor: null,
    })
  })

  it('knows three statuses and no others', async () => {
    const { muro } = await makeWorkspace()
    for (const status of ['pending', 'resolved', '', '%00']) {
      const answer = await muro.get(`/conversations?status=${status}`)
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', 'status'))
    }
  })

  it('is walked only by its own cursors', async () => {
    const { tenant, muro } = await makeWorkspace()
    const { conversation } = await tenant.thread()
    await tenant.thread()
    for (const content of ['one', 'two']) await muro.post(`/conversations/${conversation}/messages`, { content })
    const contacts = pageOf(await muro.get('/contacts?limit=1')).cursor
    const messages = pageOf(await muro.get(`/conversations/${conversation}/messages?limit=1`)).cursor
    const forged = Buffer.from('[1,"conversations",-1,1e300]').toString('base64url')
    for (const cursor of [contacts, messages, forged, 'x', '%00', '%ED%A0%80', '%F0%9F%98%80', 'a'.repeat(501), '']) {
      const answer = await muro.get(`/conversations?cursor=${cursor}`)
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', 'cursor'))
    }
  })
})

describe('the description of the API', () => {
  it('has every route of conversations', async () => {
    const operation = z.looseObject({ operationId: z.string(), summary: z.string(), tags: z.tuple([z.string()]) })
    const described = z.object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) })
    const { paths } = described.parse((await muroClient(api.url, '').get('/openapi.json')).body)
    const routes = ['/conversations', '/conversations/bulk', '/conversations/{id}', '/conversations/{id}/typing']
    const found = routes.map((path) =>
      Object.entries(paths[`/api/v1${path}`] ?? {}).map(([method, route]) => {
        const { operationId, tags } = operation.parse(route)
        return `${tags[0]}: ${method} ${operationId}`
      }),
    )
    expect(found.map((of) => of.sort())).toEqual([
      ['Conversations: get listConversations', 'Conversations: post openConversation'],
      ['Conversations: post bulkUpdateConversations'],
      [
        'Conversations: delete deleteConversation',
        'Conversations: get getConversation',
        'Conversations: patch updateConversation',
      ],
      ['Conversations: post showTyping'],
    ])
  })

  it('is what is answered: nothing is left out and nothing is added', async () => {
    const { tenant, muro } = await makeWorkspace()
    const { conversation: id, contact } = await tenant.thread()
    const one = contracts.conversation.strict()
    one.parse((await muro.get(`/conversations/${id}`)).body)
    one.parse((await muro.post('/conversations', { visitor_id: contact, content: 'Hello' })).body)
    one.parse((await muro.patch(`/conversations/${id}`, { status: 'snoozed', metadata: { a: 1 } })).body)
    const page = listOf(one)
      .strict()
      .parse((await muro.get('/conversations')).body)
    expect(page.data).toHaveLength(2)
    for (const body of [undefined, {}, { is_private: true }]) {
      contracts.typingShown.strict().parse((await muro.post(`/conversations/${id}/typing`, body)).body)
    }
  })
})

describe('opening a conversation', () => {
  it('with a text is told as opened and then as a message, in that order', async () => {
    const { tenant, muro } = await makeWorkspace()
    const { contact } = await tenant.thread()
    const before = (await api.eventsOf(tenant)).length
    const { status, body } = await muro.post('/conversations', { visitor_id: contact, content: 'Need a hand?' })
    expect(status).toBe(201)
    expect(body).toMatchObject({
      object: 'conversation',
      status: 'open',
      unread_count: 0,
      visitor: { id: contact },
      last_message: { content: 'Need a hand?', sender_type: 'agent' },
    })
    const told = (await api.eventsOf(tenant)).slice(before)
    expect(told.map(({ type }) => type)).toEqual(['conversation.opened', 'message.new'])
    expect(told[0]?.payload).toEqual({
      id: z.object({ id: z.string() }).parse(body).id,
      website_id: tenant.site.id,
      visitor_id: contact,
      created_at: time,
    })
    expect(told[1]?.payload).toMatchObject({ sender_type: 'agent', sender_id: tenant.agent.user.publicId })
  })

  it('without a text makes an empty thread, beside one that is open already', async () => {
    const { tenant, muro } = await makeWorkspace()
    const { contact, conversation } = await tenant.thread()
    const before = (await api.eventsOf(tenant)).length
    const opened = await muro.post('/conversations', { visitor_id: contact })
    expect(opened.status).toBe(201)
    expect(opened.body).toMatchObject({ last_message: null })
    const told = (await api.eventsOf(tenant)).slice(before)
    expect(told).toMatchObject([{ type: 'conversation.opened', payload: { id: idOf(opened), visitor_id: contact } }])
    expect(idOf(opened)).not.toBe(conversation)
    expect(pageOf(await muro.get(`/conversations/${idOf(opened)}/messages`)).ids).toEqual([])
  })

  it('toward nobody, or with a text that cannot be kept, is refused and changes nothing', async () => {
    const { tenant, muro } = await makeWorkspace()
    const { contact } = await tenant.thread()
    const before = await api.rowsOf(tenant)
    for (const [body, param] of [
      [{}, 'visitor_id'],
      [{ visitor_id: 'vis_unknown' }, 'visitor_id'],
      [{ visitor_id: 'nonsense' }, 'visitor_id'],
      [{ visitor_id: 'vis_a\0' }, 'visitor_id'],
      [{ visitor_id: null }, 'visitor_id'],
      [{ visitor_id: contact, content: ' \n' }, 'content'],
      [{ visitor_id: contact, content: 7 }, 'content'],
      [{ visitor_id: contact, content: 'x'.repeat(32 * 1024 + 1) }, 'content'],
    ] as const) {
      const answer = await muro.post('/conversations', body)
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', param))
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
  })
})
