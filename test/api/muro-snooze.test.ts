/** Snooze on the muro face: a conversation sleeps until a time or until the visitor writes, whichever comes first. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { type Client, clientOf, muroClient, muroError } from '../support/http.ts'
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

const tomorrow = new Date(Date.now() + 86_400_000).toISOString()
const nextWeek = new Date(Date.now() + 7 * 86_400_000).toISOString()

const patch = (body: unknown) => muro.patch(`/conversations/${conversation}`, body)

/** Returns what a patch shows and tells, and asserts that it was accepted. */
const change = async (body: unknown) => {
  const before = (await api.eventsOf(tenant)).length
  const { status, body: shown } = await patch(body)
  expect(status).toBe(200)
  expect(shown).toEqual((await muro.get(`/conversations/${conversation}`)).body)
  return { shown, told: (await api.eventsOf(tenant)).slice(before).map(({ payload }) => payload) }
}

/** Asserts that a patch is refused for its `snoozed_until` and that nothing changed. */
const refuse = async (body: unknown) => {
  const before = await api.rowsOf(tenant)
  const answer = await patch(body)
  expect([body, answer.status]).toEqual([body, 400])
  expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', 'snoozed_until'))
  expect(await api.rowsOf(tenant)).toEqual(before)
}

describe('a conversation is snoozed', () => {
  it('until a time, which is shown and told', async () => {
    const { shown, told } = await change({ status: 'snoozed', snoozed_until: tomorrow })
    const facts = { status: 'snoozed', state: 'snoozed', snoozed_until: tomorrow }
    expect(shown).toMatchObject(facts)
    expect(told).toEqual([expect.objectContaining({ ...facts, changed: ['status', 'snoozed_until'] })])
    expect(told[0]).not.toHaveProperty('reason')
  })

  it('until the visitor writes, where no time is named or null is', async () => {
    for (const body of [{ status: 'snoozed' }, { status: 'snoozed', snoozed_until: null }]) {
      const { shown, told } = await change(body)
      expect(shown).toMatchObject({ status: 'snoozed', snoozed_until: null })
      expect(told).toEqual([expect.objectContaining({ snoozed_until: null, changed: ['status'] })])
      await change({ status: 'open' })
    }
  })

  it('until a time that is named in any zone, to the millisecond, up to the year 9999', async () => {
    for (const [given, kept] of [
      ['2999-01-01T02:00:00+02:00', '2999-01-01T00:00:00.000Z'],
      ['2999-01-01T00:00:00.1239Z', '2999-01-01T00:00:00.123Z'],
      ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
    ]) {
      expect((await change({ status: 'snoozed', snoozed_until: given })).shown).toMatchObject({ snoozed_until: kept })
      expect((await change({ status: 'snoozed', snoozed_until: given })).told).toEqual([])
    }
  })

  it('not until a time that is past, or that is none', async () => {
    for (const snoozed_until of [
      new Date(Date.now() - 1000).toISOString(),
      '2020-01-01T00:00:00Z',
      '2999-01-01',
      '2999-01-01T00:00:00',
      'tomorrow',
      '',
      4_102_444_800,
      true,
      ['2999-01-01T00:00:00Z'],
    ]) {
      await refuse({ status: 'snoozed', snoozed_until })
      await refuse({ snoozed_until })
    }
  })
})

describe('the time of a snooze', () => {
  it('is moved, taken away and set again without the status, each told once', async () => {
    await change({ status: 'snoozed' })
    for (const snoozed_until of [tomorrow, nextWeek, null, tomorrow]) {
      const { shown, told } = await change({ snoozed_until })
      expect(shown).toMatchObject({ status: 'snoozed', snoozed_until })
      expect(told).toEqual([expect.objectContaining({ snoozed_until, changed: ['snoozed_until'] })])
      expect((await change({ snoozed_until })).told).toEqual([])
    }
    expect((await change({ status: 'snoozed', snoozed_until: nextWeek })).told).toEqual([
      expect.objectContaining({ changed: ['snoozed_until'] }),
    ])
  })

  it('stays where the conversation is only snoozed once more', async () => {
    await change({ status: 'snoozed', snoozed_until: tomorrow })
    const { shown, told } = await change({ status: 'snoozed' })
    expect(shown).toMatchObject({ snoozed_until: tomorrow })
    expect(told).toEqual([])
  })

  it('is refused where the conversation is not snoozed, and with a status that wakes it', async () => {
    const states = ['open', 'pending', 'closed']
    for (const state of states) {
      await api.database.sql`update conversations set state = ${state} where public_id = ${conversation}`
      await refuse({ snoozed_until: tomorrow })
      await refuse({ snoozed_until: null })
      await refuse({ snoozed_until: tomorrow, tags: ['later'] })
      await refuse({ status: 'open', snoozed_until: tomorrow })
      await refuse({ status: 'closed', snoozed_until: tomorrow })
    }
    await change({ status: 'snoozed', snoozed_until: tomorrow })
    await refuse({ status: 'open', snoozed_until: nextWeek })
  })

  it('may be sent back as it is shown: null beside a status that has none', async () => {
    expect((await change({ status: 'open', snoozed_until: null })).told).toEqual([])
    await change({ status: 'snoozed', snoozed_until: tomorrow })
    expect((await change({ status: 'closed', snoozed_until: null })).shown).toMatchObject({ snoozed_until: null })
  })

  it('is gone when the conversation is opened or closed, and is told to be', async () => {
    for (const status of ['open', 'closed'] as const) {
      await change({ status: 'snoozed', snoozed_until: tomorrow })
      const { shown, told } = await change({ status })
      expect(shown).toMatchObject({ status, snoozed_until: null })
      expect(told).toEqual([expect.objectContaining({ snoozed_until: null, changed: ['status', 'snoozed_until'] })])
    }
  })

  it('is gone when the visitor writes, which opens the conversation', async () => {
    const chat = clientOf(`${api.url}/api/v1/chat`, { 'X-Api-Key': tenant.site.site_key })
    const visitor = { name: 'Marie', email: 'marie@example.com', message: 'Hi!', visitor_token: 'marie' }
    conversation = ((await chat.post('/conversations', visitor)).body as { conversation_id: string }).conversation_id
    const writing = async () => {
      const before = (await api.eventsOf(tenant)).length
      await chat.post('/conversations/marie/messages', { message: 'Still there?' })
      const [, update] = (await api.eventsOf(tenant)).slice(before)
      return update?.payload
    }
    await change({ status: 'snoozed', snoozed_until: tomorrow })
    const woken = { status: 'open', snoozed_until: null }
    expect(await writing()).toMatchObject({ ...woken, changed: ['status', 'snoozed_until', 'unread_count'] })
    const { body } = await muro.get(`/conversations/${conversation}`)
    expect(body).toMatchObject({ ...woken, unread_count: 2 })
    await refuse({ snoozed_until: nextWeek })
    // There is no time any more that could end with the next one.
    expect(await writing()).toMatchObject({ changed: ['unread_count'] })
    for (const body of [{ status: 'closed' }, { status: 'snoozed' }]) {
      await change(body)
      expect(await writing()).toMatchObject({ ...woken, changed: ['status', 'unread_count'] })
    }
  })
})

describe('when the time has come', () => {
  it('the conversation is open again, told once and with the reason', async () => {
    const until = new Date(Date.now() + 600)
    await change({ status: 'snoozed', snoozed_until: until.toISOString() })
    const before = await api.eventsOf(tenant)
    const told = async () => (await api.eventsOf(tenant)).slice(before.length)
    await expect.poll(async () => (await told()).length, { interval: 20, timeout: 5000 }).toBe(1)
    expect(Date.now()).toBeGreaterThanOrEqual(until.getTime())
    expect(Date.now()).toBeLessThan(until.getTime() + 2000)
    const [woken] = await told()
    expect(woken).toMatchObject({
      type: 'conversation.update',
      payload: {
        id: conversation,
        status: 'open',
        state: 'open',
        snoozed_until: null,
        changed: ['status', 'snoozed_until'],
        reason: 'snooze_elapsed',
      },
    })
    const { body } = await muro.get(`/conversations/${conversation}`)
    expect(body).toMatchObject({ status: 'open', snoozed_until: null })
    // Whoever opens it by hand afterwards finds it open.
    expect((await change({ status: 'open' })).told).toEqual([])
    expect(await told()).toHaveLength(1)
  })

  it('what was snoozed by bulk wakes too', async () => {
    const others = [(await tenant.thread()).conversation, (await tenant.thread()).conversation]
    const snoozed_until = new Date(Date.now() + 400).toISOString()
    const { status } = await muro.post('/conversations/bulk', { ids: others, action: 'snooze', snoozed_until })
    expect(status).toBe(200)
    const woken = async () =>
      (await api.eventsOf(tenant)).flatMap(({ payload }) => (payload.reason === 'snooze_elapsed' ? [payload.id] : []))
    await expect.poll(async () => (await woken()).length, { interval: 20, timeout: 5000 }).toBe(2)
    expect((await woken()).sort()).toEqual(others.sort())
  })
})
