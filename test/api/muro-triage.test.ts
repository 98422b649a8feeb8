/** Triage on the muro face: what PATCH changes about a conversation, and what it tells. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { type Client, idOf, muroClient, muroError } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

let tenant: Tenant
let muro: Client
let conversation: string
beforeEach(async () => {
  tenant = await api.makeTenant()
  muro = muroClient(api.url, tenant.apiKey)
  conversation = (await tenant.thread()).conversation
})

const patch = (body: unknown) => muro.patch(`/conversations/${conversation}`, body)

/** Returns what the patch told, and asserts that it was accepted and answered with the conversation as it now is. */
const change = async (body: unknown) => {
  const before = (await api.eventsOf(tenant)).length
  const answer = await patch(body)
  expect(answer.status).toBe(200)
  expect(answer.body).toEqual((await muro.get(`/conversations/${conversation}`)).body)
  const told = (await api.eventsOf(tenant)).slice(before)
  return { shown: answer.body, told: told.map(({ type, payload }) => ({ type, ...payload })) }
}

/** Asserts that the patch is refused and that nothing changed. */
const refuse = async (body: unknown, param?: string) => {
  const before = await api.rowsOf(tenant)
  const answer = await patch(body)
  expect(answer.status).toBe(400)
  expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', param))
  expect(await api.rowsOf(tenant)).toEqual(before)
}

describe('status', () => {
  it('goes to closed, snoozed and open again, each told once', async () => {
    for (const status of ['closed', 'snoozed', 'open'] as const) {
      const { shown, told } = await change({ status })
      expect(shown).toMatchObject({ status, state: status })
      expect(told).toEqual([expect.objectContaining({ type: 'conversation.update', status, changed: ['status'] })])
      expect((await change({ status })).told).toEqual([])
    }
  })

  it('does not go anywhere else', async () => {
    for (const status of ['pending', 'resolved', '', null, 1, ['open']]) await refuse({ status }, 'status')
  })
})

describe('a pending conversation', () => {
  beforeEach(async () => {
    await api.database.sql`update conversations set state = 'pending' where public_id = ${conversation}`
  })

  it('is shown as open, stays pending when it is opened, and what else changes tells both', async () => {
    const opened = await change({ status: 'open' })
    expect(opened.shown).toMatchObject({ status: 'open', state: 'pending' })
    expect(opened.told).toEqual([])
    const tagged = await change({ status: 'open', tags: ['vip'] })
    expect(tagged.shown).toMatchObject({ status: 'open', state: 'pending', tags: ['vip'] })
    expect(tagged.told).toEqual([expect.objectContaining({ status: 'open', state: 'pending', changed: ['tags'] })])
  })

  it('is closed and snoozed like any other, and is open when it comes back', async () => {
    for (const status of ['closed', 'snoozed'] as const) {
      await api.database.sql`update conversations set state = 'pending' where public_id = ${conversation}`
      const { shown, told } = await change({ status })
      expect(shown).toMatchObject({ status, state: status })
      expect(told).toEqual([expect.objectContaining({ status, state: status, changed: ['status'] })])
      expect((await change({ status: 'open' })).shown).toMatchObject({ status: 'open', state: 'open' })
    }
  })
})

describe('tags', () => {
  it('replace what was there, trimmed and each once', async () => {
    expect((await change({ tags: [' vip ', 'billing', 'vip'] })).shown).toMatchObject({ tags: ['vip', 'billing'] })
    const { shown, told } = await change({ tags: ['ü"\\,{}', 'NULL'] })
    expect(shown).toMatchObject({ tags: ['ü"\\,{}', 'NULL'] })
    expect(told).toEqual([expect.objectContaining({ tags: ['ü"\\,{}', 'NULL'], changed: ['tags'] })])
    expect((await change({ tags: ['ü"\\,{}', 'NULL', ' NULL'] })).told).toEqual([])
    expect((await change({ tags: [] })).shown).toMatchObject({ tags: [] })
  })

  it('are at most 50 of at most 64 characters, whatever their bytes', async () => {
    const emoji = Array.from({ length: 50 }, (_, index) => '😀'.repeat(62) + String(index).padStart(2, '0'))
    expect((await change({ tags: emoji })).shown).toMatchObject({ tags: emoji })
    expect((await change({ tags: [...emoji, emoji[0]] })).told).toEqual([])
    await refuse({ tags: [...emoji, 'one more'] }, 'tags')
    await refuse({ tags: ['x'.repeat(65)] }, 'tags.0')
  })

  it('are never blank, broken or no texts', async () => {
    for (const tag of ['', '  ', 'a\0b', '\ud800', 1, null]) await refuse({ tags: ['fine', tag] }, 'tags.1')
    for (const tags of ['vip', null, { 0: 'vip' }]) await refuse({ tags }, 'tags')
  })
})

describe('assignment', () => {
  it('goes to a user of the workspace and back to nobody, each told once', async () => {
    const user = tenant.agent.user.publicId
    const assigned = await change({ assigned_user_id: user })
    expect(assigned.shown).toMatchObject({ assigned_user_id: user })
    expect(assigned.told).toEqual([expect.objectContaining({ assigned_user_id: user, changed: ['assigned_user_id'] })])
    expect((await change({ assigned_user_id: user })).told).toEqual([])
    expect((await change({ assigned_user_id: null })).shown).toMatchObject({ assigned_user_id: null })
    expect((await change({ assigned_user_id: null })).told).toEqual([])
  })

  it('does not go to a user who is unknown or of another workspace', async () => {
    const stranger = (await api.makeTenant()).agent.user.publicId
    for (const id of ['usr_unknown', stranger, 'nobody', '', 'usr_\0', 7]) {
      await refuse({ assigned_user_id: id }, 'assigned_user_id')
    }
  })
})

describe('the unread badge', () => {
  const site = (path: string, body: unknown) =>
    fetch(`${api.url}/api/v1/chat${path}`, {
      method: 'POST',
      headers: { 'X-Api-Key': tenant.site.site_key, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    })

  it('counts what the visitor says, and is cleared and put back', async () => {
    const visitor = { name: 'Marie', email: 'marie@example.com', visitor_token: 'marie' }
    const begun = await site('/conversations', { ...visitor, message: 'Hi!' })
    conversation = ((await begun.json()) as { conversation_id: string }).conversation_id
    await site('/conversations/marie/messages', { message: 'Anyone?' })
    expect((await muro.get(`/conversations/${conversation}`)).body).toMatchObject({ unread_count: 2 })
    expect((await change({ mark_unread: true })).told).toEqual([])
    const read = await change({ mark_read: true })
    expect(read.told).toEqual([expect.objectContaining({ unread_count: 0, changed: ['unread_count'] })])
    expect((await change({ mark_read: true })).told).toEqual([])
    expect((await change({ mark_unread: true })).shown).toMatchObject({ unread_count: 1 })
  })

  it('is not cleared by an answer, which may be a bot’s', async () => {
    await change({ mark_unread: true })
    await muro.post(`/conversations/${conversation}/messages`, { content: 'An answer' })
    expect((await muro.get(`/conversations/${conversation}`)).body).toMatchObject({ unread_count: 1 })
  })

  it('is not cleared and put back at once', async () => {
    await refuse({ mark_read: true, mark_unread: true })
    expect((await change({ mark_read: false, mark_unread: false })).told).toEqual([])
    await refuse({ mark_read: 'yes' }, 'mark_read')
  })
})

describe('metadata', () => {
  it('is merged one level deep, and null drops a key', async () => {
    await change({ metadata: { ticket: 'ZD-1', plan: { name: 'pro', seats: 3 }, gone: true } })
    const { shown, told } = await change({ metadata: { plan: { seats: 4 }, gone: null, never: null } })
    expect(shown).toMatchObject({ metadata: { ticket: 'ZD-1', plan: { seats: 4 } } })
    expect(shown).toHaveProperty('metadata', { ticket: 'ZD-1', plan: { seats: 4 } })
    expect(told).toEqual([expect.objectContaining({ changed: ['metadata'] })])
  })

  it('that says what is there already tells nothing, in whatever order its keys come', async () => {
    const metadata = { plan: { bb: 1, c: [2, { dd: 1, e: 2 }] }, zero: -0, big: 1e21 }
    await change({ metadata })
    expect((await change({ metadata })).told).toEqual([])
    expect((await change({ metadata: { plan: { c: [2, { e: 2, dd: 1 }], bb: 1 } } })).told).toEqual([])
    expect((await change({ metadata: {} })).told).toEqual([])
  })

  it('may take 16 KB of UTF-8 after merging, and not one byte more', async () => {
    const around = JSON.stringify({ a: '', b: '' }).length
    const half = 'é'.repeat(4096)
    await change({ metadata: { a: half } })
    const { shown } = await change({ metadata: { b: 'x'.repeat(8192 - around) } })
    expect(Buffer.byteLength(JSON.stringify((shown as { metadata: unknown }).metadata))).toBe(16 * 1024)
    await refuse({ metadata: { b: 'x'.repeat(8192 - around + 1) } }, 'metadata')
    await change({ metadata: { a: null, b: 'x'.repeat(16_000) } })
  })

  it('is measured after merging also where the patch alone would fit, or what was there already fills it', async () => {
    const emoji = '😀'.repeat(2000)
    await change({ metadata: { a: emoji, b: emoji } })
    await refuse({ metadata: { c: '€'.repeat(150) } }, 'metadata')
    expect((await change({ metadata: { a: null, c: emoji } })).shown).toMatchObject({
      metadata: { b: emoji, c: emoji },
    })
  })

  it('is an object that can be stored', async () => {
    for (const metadata of ['text', [], null, 3, { a: 'b\0' }, { 'k\0': 1 }, { a: ['\udc00'] }]) {
      await refuse({ metadata }, 'metadata')
    }
    await refuse('{"metadata":{"a":[-1e400]}}', 'metadata')
    await refuse(`{"metadata":{"a":${'['.repeat(5000)}${']'.repeat(5000)}}}`, 'metadata')
  })
})

describe('a patch', () => {
  it('changes everything it names at once and is told once', async () => {
    const { shown, told } = await change({
      status: 'closed',
      tags: ['done'],
      assigned_user_id: tenant.agent.user.publicId,
      mark_unread: true,
      metadata: { a: 1 },
    })
    expect(shown).toMatchObject({ status: 'closed', tags: ['done'], unread_count: 1, metadata: { a: 1 } })
    expect(told).toHaveLength(1)
    expect(told[0]).toMatchObject({
      type: 'conversation.update',
      changed: ['status', 'tags', 'assigned_user_id', 'unread_count', 'metadata'],
    })
  })

  it('that is partly wrong changes nothing', async () => {
    await refuse({ status: 'closed', tags: [''] }, 'tags.0')
    await refuse({ status: 'closed', assigned_user_id: 'usr_unknown' }, 'assigned_user_id')
  })

  it('that names nothing known is refused, but an unknown field beside a known one is passed over', async () => {
    for (const body of [{}, { color: 'red' }, { id: 'cnv_x' }, [], 'null', '3', '"text"']) await refuse(body)
    expect((await change({ status: 'closed', color: 'red' })).shown).toMatchObject({ status: 'closed' })
  })

  it('many at once are all kept, and each is told once', async () => {
    const before = (await api.eventsOf(tenant)).length
    await Promise.all(Array.from({ length: 20 }, (_, n) => patch({ metadata: { [`key${n}`]: n } })))
    const { body } = await muro.get(`/conversations/${conversation}`)
    expect(Object.keys((body as { metadata: object }).metadata)).toHaveLength(20)
    expect(await api.eventsOf(tenant)).toHaveLength(before + 20)
    expect(idOf(await patch({ mark_read: true }))).toBe(conversation)
  })
})
