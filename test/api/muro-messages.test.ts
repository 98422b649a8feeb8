/** Messages on the muro face: sending replies and notes, and reading a thread in order. */

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
let path: string
beforeEach(async () => {
  tenant = await api.makeTenant()
  muro = muroClient(api.url, tenant.apiKey)
  path = `/conversations/${(await tenant.thread()).conversation}/messages`
})

const say = async (...contents: string[]) => {
  const said: { id: string; created_at: string }[] = []
  for (const content of contents) {
    const answer = await muro.post(path, { content })
    expect(answer.status).toBe(201)
    said.push(answer.body as { id: string; created_at: string })
  }
  return said
}

const contentsAt = async (query: string) => {
  const { data, cursor } = pageOf(await muro.get(`${path}?${query}`))
  return { contents: data.map(({ content }) => content), cursor }
}

describe('sending', () => {
  it('a reply answers the message, in the name of the user who made the key', async () => {
    const { status, body } = await muro.post(path, { content: ' On it — give me 5 minutes.\n' })
    expect(status).toBe(201)
    expect(body).toEqual({
      object: 'message',
      id: expect.stringMatching(/^msg_[A-Za-z0-9]+$/),
      conversation_id: path.split('/')[2],
      sender_type: 'agent',
      sender_id: tenant.agent.user.publicId,
      content: ' On it — give me 5 minutes.\n',
      attachments: [],
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    })
    expect((await muro.get(path)).body).toEqual({ object: 'list', data: [body], has_more: false, next_cursor: null })
  })

  it('a note is a note, and nothing else is a kind', async () => {
    expect((await muro.post(path, { content: 'psst', kind: 'note' })).body).toMatchObject({ sender_type: 'note' })
    expect((await muro.post(path, { content: 'hi', kind: 'agent' })).body).toMatchObject({ sender_type: 'agent' })
    for (const kind of ['visitor', 'system', 'bot', '', null, 1]) {
      const answer = await muro.post(path, { content: 'hi', kind })
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', 'kind'))
    }
  })

  it('a note or a reply does not reopen a closed conversation', async () => {
    const conversation = path.replace('/messages', '')
    await muro.patch(conversation, { status: 'closed' })
    await muro.post(path, { content: 'psst', kind: 'note' })
    await say('bye')
    expect((await muro.get(conversation)).body).toMatchObject({ status: 'closed' })
  })

  it('a text may have exactly 32 KB of UTF-8, and not one byte more', async () => {
    const fits = ['x'.repeat(32 * 1024), 'é'.repeat(16 * 1024), '😀'.repeat(8 * 1024)]
    for (const content of fits) {
      expect((await muro.post(path, { content })).body).toMatchObject({ content })
      const answer = await muro.post(path, { content: `${content}x` })
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', 'content'))
      expect(answer.text).toContain('32 KB')
    }
    expect(pageOf(await muro.get(path)).ids).toHaveLength(fits.length)
  })

  it('a text that is absent, blank or cannot be kept is refused, and nothing is written', async () => {
    const before = await api.rowsOf(tenant)
    for (const content of [undefined, null, '', ' \t\n', 7, ['hi'], 'a\0b', '\ud83d', 'x\udc00y']) {
      const answer = await muro.post(path, { content })
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', 'content'))
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
  })
})

describe('client_id', () => {
  it('is shown, and a retry with it is the message it was, also 20 at once', async () => {
    const send = () => muro.post(path, { content: 'once', client_id: 'c-1' })
    const answers = await Promise.all(Array.from({ length: 20 }, send))
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201))
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === null)).toHaveLength(1)
    expect(answers[0]?.body).toMatchObject({ client_id: 'c-1', content: 'once' })
    expect(pageOf(await muro.get(path)).data).toEqual([answers[0]?.body])
  })

  it('is of one conversation: in another it is another message', async () => {
    const other = `/conversations/${(await tenant.thread()).conversation}/messages`
    const [here, there] = [
      await muro.post(path, { content: 'here', client_id: 'c-2' }),
      await muro.post(other, { content: 'there', client_id: 'c-2' }),
    ]
    expect(idOf(here)).not.toBe(idOf(there))
    expect(there.body).toMatchObject({ content: 'there' })
  })

  it('is a short text', async () => {
    for (const client_id of ['', 'x'.repeat(201), 'a\0', '\ud800', 5, null]) {
      const answer = await muro.post(path, { content: 'hi', client_id })
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', 'client_id'))
    }
  })
})

describe('reading a thread', () => {
  it('goes from the oldest to the newest by cursor, and what is written meanwhile comes at the end', async () => {
    await say('1', '2', '3')
    const first = await contentsAt('limit=2')
    expect(first.contents).toEqual(['1', '2'])
    await say('4', '5')
    const second = await contentsAt(`limit=2&cursor=${first.cursor}`)
    expect(second.contents).toEqual(['3', '4'])
    expect(await contentsAt(`limit=2&cursor=${second.cursor}`)).toEqual({ contents: ['5'], cursor: null })
  })

  it('begins after a time, in any zone and precision, and after a message', async () => {
    const [one, two] = await say('1', '2', '3')
    if (!one || !two) throw new Error('nothing was said')
    expect((await contentsAt(`since=${one.created_at}`)).contents).toEqual(['2', '3'])
    expect((await contentsAt(`since=${one.created_at.replace('Z', '999Z')}`)).contents).toEqual(['2', '3'])
    const abroad = new Date(Date.parse(one.created_at) + 2 * 3_600_000).toISOString().replace('Z', '+02:00')
    expect((await contentsAt(`since=${encodeURIComponent(abroad)}`)).contents).toEqual(['2', '3'])
    const before = new Date(Date.parse(one.created_at) - 1).toISOString()
    expect((await contentsAt(`since=${before}`)).contents).toEqual(['1', '2', '3'])
    expect((await contentsAt(`after=${two.id}`)).contents).toEqual(['3'])
  })

  it('takes a page of what is new, and the cursor goes on from there', async () => {
    const [one] = await say('1', '2', '3', '4')
    const page = await contentsAt(`since=${one?.created_at}&limit=2`)
    expect(page.contents).toEqual(['2', '3'])
    expect((await contentsAt(`since=${one?.created_at}&limit=2&cursor=${page.cursor}`)).contents).toEqual(['4'])
    expect((await contentsAt(`limit=2&cursor=${page.cursor}`)).contents).toEqual(['4'])
  })

  it('begins at any time there ever was, and at none there never was', async () => {
    await say('1')
    for (const since of ['0001-01-01T00:00:00Z', '1969-12-31T23:59:59-23:59', '2000-01-01T00:00:00.123456789123Z']) {
      expect((await contentsAt(`since=${since}`)).contents).toEqual(['1'])
    }
    expect((await contentsAt('since=9999-12-31T23:59:59.9999999Z')).contents).toEqual([])
    for (const since of [
      ...['', 'yesterday', '2026-02-30T00:00:00Z', '2026-01-01T25:00:00Z', '2026-01-01', '2026-01-01T00:00:00'],
      ...[
        '1767225600',
        '0000-01-01T00:00:00Z',
        '0001-01-01T00:00:00%2B23:59',
        '9999-12-31T23:59:59-23:59',
        '%00',
        '2026-01-01T00:00:00Z%00',
      ],
    ]) {
      const answer = await muro.get(`${path}?since=${since}`)
      expect([since, answer.status]).toEqual([since, 400])
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', 'since'))
    }
  })

  it('does not begin after a message that is unknown or of another conversation', async () => {
    const elsewhere = `/conversations/${(await tenant.thread()).conversation}/messages`
    const other = idOf(await muro.post(elsewhere, { content: 'elsewhere' }))
    for (const after of ['msg_unknown', other, 'cnv_x', '', '%00']) {
      const answer = await muro.get(`${path}?after=${after}`)
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', 'after'))
    }
  })

  it('begins either after a time or after a message', async () => {
    const [one] = await say('1')
    const answer = await muro.get(`${path}?since=${one?.created_at}&after=${one?.id}`)
    expect(answer.status).toBe(400)
    expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid'))
  })

  it('does not go on with a cursor of another thread or list', async () => {
    await say('1', '2')
    const elsewhere = `/conversations/${(await tenant.thread()).conversation}/messages`
    const { cursor } = pageOf(await muro.get(`${path}?limit=1`))
    const { cursor: inbox } = pageOf(await muro.get('/conversations?limit=1'))
    for (const wrong of [`${elsewhere}?cursor=${cursor}`, `${path}?cursor=${inbox}`, `${path}?cursor=WzFd`]) {
      const answer = await muro.get(wrong)
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', 'cursor'))
    }
  })
})

describe('typing', () => {
  it('is taken with an empty body, with {} and with is_private', async () => {
    const conversation = path.split('/')[2]
    const typing = path.replace('messages', 'typing')
    const before = await api.rowsOf(tenant)
    const json = { 'Content-Type': 'application/json' }
    for (const answer of [
      await muro.post(typing),
      await muro.post(typing, '', json),
      await muro.post(typing, {}),
      await muro.post(typing, 'null'),
      await muro.post(typing, { is_private: true }),
    ]) {
      expect(answer.status).toBe(200)
      expect(answer.body).toEqual({ object: 'typing', conversation_id: conversation, expires_in_ms: 6000 })
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
  })

  it('is not taken with anything else', async () => {
    const typing = path.replace('messages', 'typing')
    for (const [body, param] of [[{ is_private: 'yes' }, 'is_private'], ['[]'], ['3']] as const) {
      const answer = await muro.post(typing, body)
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid', param))
    }
  })
})
