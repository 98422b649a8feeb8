/** Webhooks on the muro face: making and managing them, and the log of what they were sent. */

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
const url = 'https://example.com/hooks'
const noWebhook = muroError('not_found', 'not_found')
const invalid = (param?: string) => muroError('invalid_request_error', 'invalid', param)
const conflict = muroError('invalid_request_error', 'conflict')

const remove = (id: string, key = tenant.apiKey) => call(api.url, 'DELETE', `/api/v1/webhooks/${id}`, { key })

const make = async (body: object = {}, client = muro) => {
  const made = await client.post('/webhooks', { url: receiver.url, events: ['message.created'], ...body })
  expect(made.status).toBe(201)
  return webhookWithSecret.parse(made.body)
}

const deliveries = async (id: string, query = '') =>
  z.object({ data: z.array(deliveryContract) }).parse((await muro.get(`/webhooks/${id}/deliveries${query}`)).body).data

/** Every way to name a webhook, and a delivery of it. */
const routesOf = (id: string, delivery = 'dlv_a') =>
  [
    ['GET', `/webhooks/${id}`, undefined],
    ['PATCH', `/webhooks/${id}`, { description: 'x' }],
    ['POST', `/webhooks/${id}/rotate`, {}],
    ['POST', `/webhooks/${id}/test`, {}],
    ['POST', `/webhooks/${id}/recover`, { since: '2026-01-01T00:00:00Z' }],
    ['GET', `/webhooks/${id}/deliveries`, undefined],
    ['GET', `/webhooks/${id}/deliveries/${delivery}`, undefined],
    ['POST', `/webhooks/${id}/deliveries/${delivery}/resend`, {}],
    ['DELETE', `/webhooks/${id}`, undefined],
  ] as const

const callAll = async (key: string, routes: ReturnType<typeof routesOf>) => {
  const answers: Awaited<ReturnType<typeof call>>[] = []
  for (const [method, path, body] of routes) answers.push(await call(api.url, method, `/api/v1${path}`, { key, body }))
  return answers
}

describe('a webhook', () => {
  it('is made with a secret that is shown once, read, changed, and deleted', async () => {
    const made = await muro.post('/webhooks', {
      url,
      events: ['message.created', 'conversation.closed', 'message.created'],
      description: ' CRM ',
    })
    expect(made.status).toBe(201)
    const shown = {
      object: 'webhook',
      id: expect.stringMatching(/^whk_/),
      url,
      events: ['message.created', 'conversation.closed'],
      description: 'CRM',
      website_id: null,
      enabled: true,
      disabled_reason: null,
      disabled_at: null,
      failing_since: null,
      created_at: time,
      updated_at: time,
    }
    expect(made.body).toEqual({ ...shown, secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/) })
    const id = idOf(made)
    expect((await muro.get(`/webhooks/${id}`)).body).toEqual(shown)
    expect((await muro.get('/webhooks')).body).toEqual({
      object: 'list',
      data: [shown],
      has_more: false,
      next_cursor: null,
    })

    const changed = await muro.patch(`/webhooks/${id}`, {
      url: `${url}/2`,
      events: ['visitor.identified'],
      description: null,
    })
    expect([changed.status, changed.body]).toEqual([
      200,
      { ...shown, url: `${url}/2`, events: ['visitor.identified'], description: null },
    ])
    expect((await muro.patch(`/webhooks/${id}`, { enabled: false })).body).toMatchObject({
      url: `${url}/2`,
      enabled: false,
      disabled_reason: 'manual',
      disabled_at: time,
    })
    expect((await muro.patch(`/webhooks/${id}`, { enabled: true })).body).toEqual({
      ...shown,
      url: `${url}/2`,
      events: ['visitor.identified'],
      description: null,
    })

    const gone = await remove(id)
    expect([gone.status, gone.body]).toEqual([200, { object: 'webhook', id, deleted: true }])
    expect((await muro.get('/webhooks')).body).toMatchObject({ data: [] })
    for (const answer of await callAll(tenant.apiKey, routesOf(id))) {
      expect([answer.status, answer.body]).toEqual([404, noWebhook])
    }
  })

  it('may be made disabled: it is told of nothing until it is enabled', async () => {
    const made = await make({ enabled: false })
    expect(made).toMatchObject({ enabled: false, disabled_reason: 'manual', disabled_at: time })
    expect((await muro.post(`/webhooks/${made.id}/test`)).status).toBe(409)
    const { conversation } = await tenant.thread()
    await muro.post(`/conversations/${conversation}/messages`, { content: 'too early' })
    await muro.patch(`/webhooks/${made.id}`, { enabled: true })
    await muro.post(`/conversations/${conversation}/messages`, { content: 'now' })
    const [first] = await receiver.received(1)
    expect(JSON.parse(first?.body ?? '')).toMatchObject({ data: { message: { content: 'now' } } })
    expect(await make({ enabled: true })).toMatchObject({ enabled: true, disabled_at: null })
  })

  it('is not made of what is wrong, and the answer names it', async () => {
    const events = ['message.created']
    for (const [body, param] of [
      [{ events }, 'url'],
      [{ url: '', events }, 'url'],
      [{ url: 'example.com', events }, 'url'],
      [{ url: 'ftp://example.com', events }, 'url'],
      [{ url: 'https:example.com', events }, 'url'],
      [{ url: 'https://user:pass@example.com', events }, 'url'],
      [{ url: 'https://example.com/\0', events }, 'url'],
      [{ url: `https://example.com/${'x'.repeat(2000)}`, events }, 'url'],
      [{ url: 5, events }, 'url'],
      [{ url }, 'events'],
      [{ url, events: [] }, 'events'],
      [{ url, events: ['message.deleted'] }, 'events.0'],
      [{ url, events: 'message.created' }, 'events'],
      [{ url, events, description: ' ' }, 'description'],
      [{ url, events, description: 'x'.repeat(201) }, 'description'],
      [{ url, events, description: 'a\0' }, 'description'],
      [{ url, events, website_id: 'web_unknown' }, 'website_id'],
      [{ url, events, website_id: 'vis_a' }, 'website_id'],
      [{ url, events, website_id: null }, 'website_id'],
      [{ url, events, enabled: 'no' }, 'enabled'],
      [[], undefined],
      [undefined, undefined],
    ] as const) {
      const answer = await muro.post('/webhooks', body)
      expect([body, answer.status, answer.body]).toEqual([body, 400, invalid(param)])
    }
    expect((await muro.get('/webhooks')).body).toMatchObject({ data: [] })
    const { id } = await make()
    for (const [body, param] of [
      [{}, undefined],
      [{ website_id: tenant.site.id }, undefined],
      [{ url: 'nope' }, 'url'],
      [{ events: [] }, 'events'],
      [{ enabled: 'yes' }, 'enabled'],
    ] as const) {
      const answer = await muro.patch(`/webhooks/${id}`, body)
      expect([body, answer.status, answer.body]).toEqual([body, 400, invalid(param)])
    }
    for (const [path, body, param] of [
      ['rotate', { overlap_seconds: -1 }, 'overlap_seconds'],
      ['rotate', { overlap_seconds: 7 * 86_400 + 1 }, 'overlap_seconds'],
      ['test', { event: 'message.deleted' }, 'event'],
      ['recover', {}, 'since'],
      ['recover', { since: 'yesterday' }, 'since'],
      ['recover', undefined, undefined],
    ] as const) {
      const answer = await muro.post(`/webhooks/${id}/${path}`, body)
      expect([path, body, answer.status, answer.body]).toEqual([path, body, 400, invalid(param)])
    }
    for (const id of ['whk_unknown', 'whk_', 'vis_a', '%00', 'a'.repeat(200)]) {
      for (const { status, body } of await callAll(tenant.apiKey, routesOf(id))) {
        expect([status, body]).toEqual([404, noWebhook])
      }
    }
  })

  it('is not made for an address that is plainly private, unless the operator names it', async () => {
    const made = await make({ url: `${receiver.url}/allowed` })
    for (const host of ['10.1.2.3', '192.168.0.1', '169.254.169.254', '[::1]', '2130706434', '127.1.1.1']) {
      for (const answer of [
        await muro.post('/webhooks', { url: `http://${host}/`, events: ['message.created'] }),
        await muro.patch(`/webhooks/${made.id}`, { url: `https://${host}:8443/` }),
      ]) {
        expect([host, answer.status, answer.body]).toEqual([host, 400, invalid('url')])
        expect(answer.text).toContain('is not a public address')
      }
    }
    expect((await muro.get(`/webhooks/${made.id}`)).body).toMatchObject({ url: `${receiver.url}/allowed` })
    await make({ url: 'https://intranet.example/' })
  })

  it('is read with the scope to read, and everything else needs the scope to write', async () => {
    const made = await make()
    const { stdout } = await api.run('key', 'create', '--scopes', 'read', '--workspace', tenant.workspace.publicId)
    const { key } = z.object({ key: z.string() }).parse(JSON.parse(stdout))
    expect((await muroClient(api.url, key).get('/webhooks')).status).toBe(200)
    expect((await muroClient(api.url, key).post('/webhooks', { url, events: ['message.created'] })).status).toBe(403)
    const routes = routesOf(made.id)
    const answers = await callAll(key, routes)
    expect(answers.map(({ status }) => status)).toEqual([200, 403, 403, 403, 403, 200, 404, 403, 403])
    expect(webhookContract.parse((await muro.get(`/webhooks/${made.id}`)).body)).toMatchObject({ description: null })
  })

  it('is nobody else’s: another workspace finds nothing of it', async () => {
    const made = await make()
    await muro.post(`/webhooks/${made.id}/test`)
    const [delivery] = await deliveries(made.id)
    const stranger = await api.makeTenant()
    for (const { status, body } of await callAll(stranger.apiKey, routesOf(made.id, delivery?.id))) {
      expect([status, body]).toEqual([404, noWebhook])
    }
    const theirs = await make({}, muroClient(api.url, stranger.apiKey))
    for (const path of ['', '/resend']) {
      const [method, answer] = path ? (['POST', 404] as const) : (['GET', 404] as const)
      const wanted = `/api/v1/webhooks/${theirs.id}/deliveries/${delivery?.id}${path}`
      expect((await call(api.url, method, wanted, { key: stranger.apiKey })).status).toBe(answer)
    }
    expect((await muro.get(`/webhooks/${made.id}`)).status).toBe(200)
  })

  it('of a site is made, seen and managed by a key of that site; no other webhook is', async () => {
    const site = await tenant.makeSite()
    const pinned = await tenant.makeKey(site)
    const client = muroClient(api.url, pinned.key)
    const [all, here, there] = [
      await make(),
      await make({ website_id: tenant.site.id }),
      await make({ website_id: site.id }),
    ]
    const own = await make({}, client)
    expect([own.website_id, there.website_id, here.website_id, all.website_id]).toEqual([
      site.id,
      site.id,
      tenant.site.id,
      null,
    ])
    expect(pageOf(await client.get('/webhooks')).ids).toEqual([there.id, own.id])
    expect(pageOf(await muro.get('/webhooks')).ids).toEqual([all.id, here.id, there.id, own.id])
    for (const { id } of [all, here]) {
      for (const { status, body } of await callAll(pinned.key, routesOf(id))) {
        expect([status, body]).toEqual([404, noWebhook])
      }
    }
    const refused = await client.post('/webhooks', { url, events: ['message.created'], website_id: tenant.site.id })
    expect([refused.status, refused.body]).toEqual([400, invalid('website_id')])
    expect((await remove(there.id, pinned.key)).status).toBe(200)
  })

  it('is listed page by page, the oldest first', async () => {
    const ids = [await make(), await make(), await make()].map(({ id }) => id)
    const first = pageOf(await muro.get('/webhooks?limit=2'))
    const second = pageOf(await muro.get(`/webhooks?limit=2&cursor=${first.cursor}`))
    expect([first.ids, second.ids, second.cursor]).toEqual([ids.slice(0, 2), ids.slice(2), null])
    const answer = await muro.get(`/webhooks/${ids[0]}/deliveries?cursor=${first.cursor}`)
    expect([answer.status, answer.body]).toEqual([400, invalid('cursor')])
  })

  it('is one of at most 50 of a workspace, however many are asked for at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 55 }, () => muro.post('/webhooks', { url, events: ['message.created'] })),
    )
    const refused = answers.filter(({ status }) => status !== 201)
    expect(refused.map(({ status, body }) => [status, body])).toEqual(Array(5).fill([409, conflict]))
    const ids = pageOf(await muro.get('/webhooks?limit=100')).ids
    expect(ids).toHaveLength(50)
    await remove(ids[0] ?? '')
    await make()
  })
})

describe('an identical retry', () => {
  const key = { 'Idempotency-Key': 'once' }

  it('of making one gets the same webhook and the same secret, for a day', async () => {
    const body = { url, events: ['message.created'] }
    const answers = await Promise.all([1, 2, 3].map(() => muro.post('/webhooks', body, key)))
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true')).toHaveLength(2)
    expect(pageOf(await muro.get('/webhooks')).ids).toEqual([idOf(await muro.post('/webhooks', body, key))])
    const other = await muro.post('/webhooks', { ...body, url: `${url}/2` }, key)
    expect([other.status, other.body]).toEqual([
      409,
      muroError('invalid_request_error', 'idempotency_mismatch', 'Idempotency-Key'),
    ])
  })

  it('by a key that was pinned to a site meanwhile is not shown a webhook of all', async () => {
    const body = { url, events: ['message.created'] }
    const { id, key: text } = await tenant.makeKey()
    const client = muroClient(api.url, text)
    const made = await client.post('/webhooks', body, key)
    const rotated = await client.post(`/webhooks/${idOf(made)}/rotate`, undefined, key)
    expect([made.status, rotated.status]).toEqual([201, 200])
    await api.run('key', 'pin', id, '--site', tenant.site.id, '--workspace', tenant.workspace.publicId)
    for (const path of ['/webhooks', `/webhooks/${idOf(made)}/rotate`]) {
      await expect
        .poll(async () => (await client.post(path, path === '/webhooks' ? body : undefined, key)).status, {
          timeout: 5000,
        })
        .toBe(404)
    }
  })

  it('of a rotation, a test and a resend acts once', async () => {
    const { id } = await make()
    const paths = [`/webhooks/${id}/rotate`, `/webhooks/${id}/test`]
    for (const path of paths) {
      const [first, again] = [await muro.post(path, undefined, key), await muro.post(path, undefined, key)]
      expect([again.status, again.text, again.headers.get('idempotent-replayed')]).toEqual([
        first.status,
        first.text,
        'true',
      ])
    }
    await receiver.received(1)
    await expect.poll(async () => (await deliveries(id, '?status=succeeded')).length).toBe(1)
    const [sent, ...more] = await deliveries(id)
    expect(more).toEqual([])
    const resend = `/webhooks/${id}/deliveries/${sent?.id}/resend`
    expect([await muro.post(resend, {}, key), await muro.post(resend, {}, key)].map(({ status }) => status)).toEqual([
      202, 202,
    ])
    await receiver.received(2)
    await expect.poll(async () => (await deliveries(id))[0]?.status).toBe('succeeded')
    expect((await deliveries(id))[0]?.attempts).toHaveLength(2)
  })
})
