/** Summaries on the muro face: asked for, read, and made by themselves of what was closed, whatever dies meanwhile. */

import { rm } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { summary } from '../../schema/muro/summaries.ts'
import { type FakeAi, startAi } from '../support/ai.ts'
import { type Api, makeDirectory, startApi } from '../support/api.ts'
import { freshDatabase } from '../support/database.ts'
import { call, muroClient, muroError } from '../support/http.ts'
import { startProgram } from '../support/program.ts'
import { makeTenant, type Tenant } from '../support/tenant.ts'

let fake: FakeAi
let api: Api
beforeAll(async () => {
  fake = await startAi()
  api = await startApi(fake.env)
})
afterAll(async () => {
  await api?.close()
  await fake?.stop()
})

const points = ['The visitor wanted a refund.', 'It was paid back.']

let tenant: Tenant
let muro: ReturnType<typeof muroClient>
let conversation: string
let path: string
beforeEach(async () => {
  tenant = await api.makeTenant()
  muro = muroClient(api.url, tenant.apiKey)
  conversation = (await tenant.thread()).conversation
  path = `/conversations/${conversation}/summary`
})
afterEach(() => fake.says(JSON.stringify(points)))

const say = async (content = 'Refunded.', client = muro) =>
  expect((await client.post(`/conversations/${conversation}/messages`, { content })).status).toBe(201)
const askedBefore = () => fake.requests.length

describe('POST /conversations/{id}/summary', () => {
  it('answers the summary as it is documented, and GET answers the same from then on', async () => {
    await say()
    expect((await muro.get(path)).body).toEqual(muroError('not_found', 'not_found'))
    const made = await muro.post(path)
    expect(made.status).toBe(200)
    expect(summary.strict().parse(made.body)).toEqual({
      object: 'summary',
      conversation_id: conversation,
      bullets: points,
      content: `- ${points.join('\n- ')}`,
      generated_at: expect.stringMatching(/Z$/),
      message_count: 1,
      model: 'fake-1',
    })
    const read = await muro.get(path)
    expect([read.status, read.body]).toEqual([200, made.body])
    fake.says('- Anew.')
    expect((await muro.post(path, {})).body).toMatchObject({ bullets: ['Anew.'] })
    expect((await muro.get(path)).body).toMatchObject({ bullets: ['Anew.'] })
  })

  it('takes no body, an empty one and an empty object, and nothing else', async () => {
    await say()
    const json = { 'Content-Type': 'application/json' }
    for (const [body, headers] of [
      [undefined, {}],
      [undefined, json],
      ['', json],
      ['{}', json],
      ['null', json],
    ] as const) {
      expect((await muro.post(path, body, headers)).status).toBe(200)
    }
    const before = askedBefore()
    expect((await muro.post(path, '[]')).body).toEqual(muroError('invalid_request_error', 'invalid'))
    expect((await muro.post(path, '{')).status).toBe(400)
    expect((await muro.post(path, 'x', { 'Content-Type': 'text/plain' })).status).toBe(415)
    expect((await muro.patch(path, {})).status).toBe(405)
    expect(askedBefore()).toBe(before)
  })

  it('is for keys that may write, reading for those that may read, and neither for another workspace or site', async () => {
    await say()
    const { stdout } = await api.run('key', 'create', '--scopes', 'read', '--workspace', tenant.workspace.publicId)
    const reader = muroClient(api.url, JSON.parse(stdout).key)
    const stranger = muroClient(api.url, (await api.makeTenant()).apiKey)
    const pinned = muroClient(api.url, (await tenant.makeKey(await tenant.makeSite())).key)
    const before = askedBefore()
    expect((await reader.post(path)).body).toEqual(muroError('permission_error', 'forbidden'))
    for (const one of [stranger, pinned]) {
      expect((await one.post(path)).body).toEqual(muroError('not_found', 'not_found'))
      expect((await one.get(path)).body).toEqual(muroError('not_found', 'not_found'))
    }
    expect((await call(api.url, 'POST', `/api/v1${path}`)).status).toBe(401)
    expect(askedBefore()).toBe(before)
    expect((await muro.post(path)).status).toBe(200)
    expect((await reader.get(path)).body).toMatchObject({ bullets: points })
    expect((await pinned.get(path)).status).toBe(404)
  })

  it('of a conversation that is unknown or has no messages is refused', async () => {
    const before = askedBefore()
    for (const id of ['cnv_unknown', 'nonsense', 'cnv_%00']) {
      expect((await muro.post(`/conversations/${id}/summary`)).body).toEqual(muroError('not_found', 'not_found'))
      expect((await muro.get(`/conversations/${id}/summary`)).body).toEqual(muroError('not_found', 'not_found'))
    }
    expect((await muro.post(path)).body).toEqual(muroError('invalid_request_error', 'invalid'))
    expect(askedBefore()).toBe(before)
  })

  it('takes as long as the AI does, which is longer than the database may', async () => {
    await say()
    const release = fake.holds('- Slow.')
    const making = muro.post(path)
    const from = performance.now()
    setTimeout(release, 5500)
    expect((await making).body).toMatchObject({ bullets: ['Slow.'] })
    expect(performance.now() - from).toBeGreaterThan(5000)
  })

  it('is 503 where the AI fails, in words that help and without its key; what there was stays', async () => {
    await say()
    await muro.post(path)
    for (const reply of [500, { status: 401, body: fake.env.AI_API_KEY }, { status: 200, body: '{' }]) {
      fake.answer(reply)
      const answer = await muro.post(path)
      expect([answer.status, answer.body]).toEqual([503, muroError('api_error', 'unavailable')])
      expect(answer.text).toMatch(/The AI .*(try again|check)/)
      expect(answer.text).not.toContain(fake.env.AI_API_KEY)
    }
    expect((await muro.get(path)).body).toMatchObject({ bullets: points })
  })

  it('P6: an identical retry asks the AI once', async () => {
    await say()
    const before = askedBefore()
    const first = await muro.post(path, undefined, { 'Idempotency-Key': 'k' })
    fake.says('- Other.')
    const again = await muro.post(path, undefined, { 'Idempotency-Key': 'k' })
    expect([again.status, again.text]).toEqual([200, first.text])
    expect([first, again].map(({ headers }) => headers.get('idempotent-replayed'))).toEqual([null, 'true'])
    expect(askedBefore()).toBe(before + 1)
    const other = await muro.post(path, {}, { 'Idempotency-Key': 'k' })
    expect([other.status, other.body]).toEqual([
      409,
      muroError('invalid_request_error', 'idempotency_mismatch', 'Idempotency-Key'),
    ])
  })
})

it('an operator reads at /metrics how many requests to the AI ended how, and how long they took', async () => {
  const counted = async (outcome: string) => {
    const { text } = await call(api.url, 'GET', '/metrics')
    const count = new RegExp(`^hubbub_ai_request_duration_seconds_count\\{outcome="${outcome}"\\} (\\d+)$`, 'm')
    return Number(count.exec(text)?.[1])
  }
  await say()
  const before = { answered: await counted('answered'), refused: await counted('refused') }
  expect((await muro.post(path)).status).toBe(200)
  fake.answer(500)
  expect((await muro.post(path)).status).toBe(503)
  expect([await counted('answered'), await counted('refused')]).toEqual([before.answered + 1, before.refused + 1])
})

it('both routes are in the OpenAPI document with what they answer', async () => {
  const { body } = await call(api.url, 'GET', '/api/v1/openapi.json')
  const routes = { get: expect.anything(), post: expect.anything() }
  expect(body).toMatchObject({ paths: { '/api/v1/conversations/{id}/summary': routes } })
  const answer = (operation: string) => ({
    [operation]: { responses: { '200': expect.anything(), '404': expect.anything(), '503': expect.anything() } },
  })
  const described = { ...answer('get'), ...answer('post') }
  expect(body).toMatchObject({ paths: { '/api/v1/conversations/{id}/summary': described } })
})

describe('a conversation that is closed', () => {
  it('is summarized by itself', async () => {
    await say()
    expect((await muro.patch(`/conversations/${conversation}`, { status: 'closed' })).status).toBe(200)
    await expect.poll(async () => (await muro.get(path)).body, { timeout: 10_000 }).toMatchObject({ bullets: points })
  })

  it('is so too where the program was killed while the AI was at it', async () => {
    const [database, directory] = await Promise.all([freshDatabase({ max: 2 }), makeDirectory()])
    const env = { DATABASE_URL: database.url, DATA_DIR: directory, RATE_LIMIT_PER_MINUTE: '0', ...fake.env }
    const { sql } = database
    const start = async (of: Tenant) => {
      const program = await startProgram(env)
      return { program, client: muroClient(program.api, of.apiKey) }
    }
    try {
      const own = await makeTenant({ sql, bus: { publish: () => undefined } })
      const { conversation: id } = await own.thread()
      const mortal = await start(own)
      fake.answer('hang')
      const before = askedBefore()
      expect((await mortal.client.post(`/conversations/${id}/messages`, { content: 'Hi' })).status).toBe(201)
      expect((await mortal.client.patch(`/conversations/${id}`, { status: 'closed' })).status).toBe(200)
      await fake.received(before + 1)
      await mortal.program.kill()
      // What it had is another's when its lease is over.
      await sql`update summaries set lease_until = clock_timestamp()`
      fake.says('- After all.')
      const next = await start(own)
      await expect
        .poll(async () => (await next.client.get(`/conversations/${id}/summary`)).body, { timeout: 10_000 })
        .toMatchObject({ bullets: ['After all.'] })
      await next.program.stop()
    } finally {
      await database.close()
      await rm(directory, { recursive: true, force: true })
    }
  })
})

describe('without an AI', () => {
  it('POST is 503, GET reads what there is, and what is closed is not summarized', async () => {
    const off = await startApi()
    try {
      const other = await off.makeTenant()
      const { conversation: id } = await other.thread()
      const client = muroClient(off.url, other.apiKey)
      await client.post(`/conversations/${id}/messages`, { content: 'Hi' })
      const answer = await client.post(`/conversations/${id}/summary`)
      expect([answer.status, answer.body]).toEqual([503, muroError('api_error', 'unavailable')])
      expect(answer.text).toContain('AI is off')
      expect((await client.post('/conversations/cnv_unknown/summary')).status).toBe(404)
      expect((await client.get(`/conversations/${id}/summary`)).body).toEqual(muroError('not_found', 'not_found'))
    } finally {
      await off.close()
    }
  })
})
