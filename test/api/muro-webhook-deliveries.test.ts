/** Webhooks over the whole program: what happens is at the receiver, in the log of deliveries, and can be sent again. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  delivery as deliveryContract,
  webhook as webhookContract,
  webhookWithSecret,
} from '../../schema/muro/webhooks.ts'
import { type Api, startApi } from '../support/api.ts'
import { type Client, call, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
import { type Receiver, startReceiver } from '../support/receiver.ts'
import type { Tenant } from '../support/tenant.ts'
import { verifiesAsDocumented, verifiesAsStandard } from '../webhooks/receivers.ts'

let api: Api
let receiver: Receiver
let tenant: Tenant
let muro: Client
beforeAll(async () => {
  ;[api, receiver] = await Promise.all([startApi({ WEBHOOK_ALLOW_PRIVATE: '127.0.0.1' }), startReceiver()])
})
afterAll(async () => {
  await api.close()
  await receiver.stop()
})
beforeEach(async () => {
  tenant = await api.makeTenant()
  muro = muroClient(api.url, tenant.apiKey)
  receiver.requests.length = 0
  receiver.answer(200)
})

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const conflict = muroError('invalid_request_error', 'conflict')

const make = async (body: object = {}) => {
  const made = await muro.post('/webhooks', { url: receiver.url, events: ['message.created'], ...body })
  expect(made.status).toBe(201)
  return webhookWithSecret.parse(made.body)
}

const deliveries = async (id: string, query = '') =>
  z.object({ data: z.array(deliveryContract) }).parse((await muro.get(`/webhooks/${id}/deliveries${query}`)).body).data

describe('what happens', () => {
  it('is at the receiver within tens of milliseconds, signed, and in the log', async () => {
    const { id, secret } = await make()
    const { conversation } = await tenant.thread()
    await muro.post(`/conversations/${conversation}/messages`, { content: 'psst', kind: 'note' })
    const waits: number[] = []
    for (let n = 1; n <= 15; n += 1) {
      const begun = performance.now()
      await muro.post(`/conversations/${conversation}/messages`, { content: `${n}` })
      await receiver.received(n)
      waits.push(performance.now() - begun)
    }
    expect(waits.sort((a, b) => a - b)[7]).toBeLessThan(200)
    for (const request of receiver.requests) {
      expect([verifiesAsDocumented(request, secret), verifiesAsStandard(request, secret)]).toEqual([true, true])
    }
    await expect.poll(async () => (await deliveries(id, '?status=succeeded')).length).toBe(15)
    const [newest, ...older] = await deliveries(id)
    expect(newest).toEqual({
      object: 'webhook_delivery',
      id: expect.stringMatching(/^dlv_/),
      webhook_id: id,
      event_id: receiver.requests.at(-1)?.headers['x-muro-event-id'],
      event_type: 'message.created',
      status: 'succeeded',
      attempts: [
        { at: time, duration_ms: expect.any(Number), status: 200, failure: null, message: null, response: '' },
      ],
      next_attempt_at: null,
      created_at: time,
    })
    expect((await muro.get(`/webhooks/${id}/deliveries/${newest?.id}`)).body).toEqual({
      ...newest,
      body: receiver.requests.at(-1)?.body,
    })
    expect(older).toHaveLength(14)
    expect(receiver.requests.map(({ body }) => body).join()).not.toContain('psst')
  })

  it('is in the log with what went wrong, found by its status, page by page', async () => {
    const { id } = await make()
    const { conversation } = await tenant.thread()
    receiver.answer({ status: 500, body: 'out of order' })
    for (let n = 1; n <= 3; n += 1) await muro.post(`/conversations/${conversation}/messages`, { content: `${n}` })
    await receiver.received(3)
    await expect
      .poll(async () => (await deliveries(id, '?status=pending')).map(({ attempts }) => attempts.length))
      .toEqual([1, 1, 1])
    receiver.answer(200)
    await muro.post(`/conversations/${conversation}/messages`, { content: '4' })
    await expect.poll(async () => (await deliveries(id, '?status=succeeded')).length).toBe(1)
    const [pending] = await deliveries(id, '?status=pending&limit=1')
    expect(pending).toMatchObject({
      next_attempt_at: time,
      attempts: [{ failure: 'status', response: 'out of order' }],
    })
    const first = pageOf(await muro.get(`/webhooks/${id}/deliveries?status=pending&limit=2`))
    const second = pageOf(await muro.get(`/webhooks/${id}/deliveries?status=pending&limit=2&cursor=${first.cursor}`))
    expect(new Set([...first.ids, ...second.ids]).size).toBe(3)
    expect(second.cursor).toBeNull()
    for (const query of [`cursor=${first.cursor}`, 'status=delivered', 'limit=0', 'cursor=x']) {
      expect((await muro.get(`/webhooks/${id}/deliveries?${query}`)).status).toBe(400)
    }
    for (const path of ['dlv_unknown', 'evt_a', '%00']) {
      expect((await muro.get(`/webhooks/${id}/deliveries/${path}`)).status).toBe(404)
      expect((await muro.post(`/webhooks/${id}/deliveries/${path}/resend`)).status).toBe(404)
    }
  })

  it('is read by an operator at /metrics', async () => {
    const shown = async (metric: string) => {
      const { text } = await call(api.url, 'GET', '/metrics')
      return Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`hubbub_chat_${metric} `))
          ?.split(' ')[1],
      )
    }
    const before = await shown('webhook_deliveries_total{outcome="delivered"}')
    const { id } = await make()
    await muro.post(`/webhooks/${id}/test`)
    await expect.poll(() => shown('webhook_deliveries_total{outcome="delivered"}')).toBe(before + 1)
    for (const gauge of ['waiting', 'late_seconds']) {
      expect(await shown(`webhook_deliveries_${gauge}`)).toBeGreaterThanOrEqual(0)
    }
  })

  it('can be tried out, sent again and recovered, unless the webhook is disabled', async () => {
    const { id, secret } = await make({ events: ['conversation.closed', 'message.created'] })
    const tested = await muro.post(`/webhooks/${id}/test`)
    expect([tested.status, tested.body]).toEqual([
      202,
      expect.objectContaining({ webhook_id: id, event_type: 'conversation.closed', status: 'pending', attempts: [] }),
    ])
    const [request] = await receiver.received(1)
    if (!request) throw new Error('nothing came')
    expect(verifiesAsDocumented(request, secret)).toBe(true)
    expect(JSON.parse(request.body)).toMatchObject({
      type: 'conversation.closed',
      organization_id: tenant.workspace.publicId,
      data: { conversation: { status: 'closed' } },
    })
    const named = await muro.post(`/webhooks/${id}/test`, { event: 'visitor.identified' })
    expect(named.body).toMatchObject({ event_type: 'visitor.identified' })
    await receiver.received(2)

    await muro.patch(`/webhooks/${id}`, { enabled: false })
    const since = new Date(Date.now() - 60_000).toISOString()
    for (const [path, body] of [
      ['test', {}],
      ['recover', { since }],
      [`deliveries/${idOf(tested)}/resend`, {}],
    ] as const) {
      const answer = await muro.post(`/webhooks/${id}/${path}`, body)
      expect([answer.status, answer.body]).toEqual([409, conflict])
    }
    const { conversation } = await tenant.thread()
    await muro.post(`/conversations/${conversation}/messages`, { content: 'missed' })
    await muro.patch(`/webhooks/${id}`, { enabled: true })
    const recovered = await muro.post(`/webhooks/${id}/recover`, { since })
    expect([recovered.status, recovered.body]).toEqual([202, { object: 'webhook_recovery', webhook_id: id, since }])
    const [, , missed] = await receiver.received(3)
    expect(JSON.parse(missed?.body ?? '')).toMatchObject({ data: { message: { content: 'missed' } } })

    await expect.poll(async () => (await deliveries(id, '?status=succeeded')).length).toBe(3)
    await api.database.sql`update webhook_deliveries set body = null where public_id = ${idOf(tested)}`
    const blank = await muro.post(`/webhooks/${id}/deliveries/${idOf(tested)}/resend`)
    expect([blank.status, blank.body]).toEqual([409, conflict])
    expect(blank.text).toContain('deleted')
    expect((await muro.get(`/webhooks/${id}/deliveries/${idOf(tested)}`)).body).toMatchObject({ body: null })
  })

  it('to a receiver that is gone disables its webhook, and whoever listens is told', async () => {
    const { id } = await make()
    await make({ url: `${receiver.url}/watch`, events: ['webhook.disabled'] })
    const before = z.object({ cursor: z.string() }).parse((await muro.get('/sync')).body)
    receiver.answer(({ path }) => (path === '/watch' ? 200 : 410))
    const { conversation } = await tenant.thread()
    await muro.post(`/conversations/${conversation}/messages`, { content: 'anyone?' })
    const [, watched] = await receiver.received(2)
    const shown = webhookContract.parse((await muro.get(`/webhooks/${id}`)).body)
    expect(shown).toMatchObject({ enabled: false, disabled_reason: 'gone', disabled_at: time, failing_since: time })
    const payload = { id, url: shown.url, reason: 'gone', disabled_at: shown.disabled_at }
    expect(JSON.parse(watched?.body ?? '')).toMatchObject({ type: 'webhook.disabled', data: { webhook: payload } })
    const synced = z
      .object({ data: z.array(z.object({ type: z.string(), conversation_id: z.unknown(), data: z.unknown() })) })
      .parse((await muro.get(`/sync?cursor=${before.cursor}`)).body)
    expect(synced.data.filter(({ type }) => type === 'webhook.disabled')).toEqual([
      { type: 'webhook.disabled', conversation_id: null, data: expect.objectContaining(payload) },
    ])
  })
})
