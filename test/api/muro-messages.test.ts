/** Messages on the muro face: sending replies and notes, and reading a thread in order. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { notSent } from '../../schema/muro/messages.ts'
import { type Api, startApi } from '../support/api.ts'
import { type Answer, type Client, clientOf, expectText, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
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
      conversation_seq: 2,
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

describe('expected_seq', () => {
  const seqOf = ({ body }: Answer) => z.object({ conversation_seq: z.int() }).parse(body).conversation_seq
  const newer = (...messages: unknown[]) => ({
    error: {
      type: 'invalid_request_error',
      message: expectText,
      code: 'newer_messages',
      param: 'expected_seq',
      messages,
    },
  })

  it('lets a reply through that knows the last message, and refuses the next with what is newer', async () => {
    const first = await muro.post(path, { content: 'one', expected_seq: 0 })
    expect(first.status).toBe(201)
    const note = await muro.post(path, { content: 'psst', kind: 'note', expected_seq: seqOf(first) })
    const before = await api.rowsOf(tenant)
    const late = await muro.post(path, { content: 'two', expected_seq: seqOf(first) })
    expect([late.status, late.body]).toEqual([409, newer(note.body)])
    const later = await muro.post(path, { content: 'two', expected_seq: 0 })
    expect(later.body).toEqual(newer(first.body, note.body))
    expect(notSent.safeParse(later.body).success).toBe(true)
    expect(await api.rowsOf(tenant)).toEqual(before)
    expect((await muro.post(path, { content: 'two', expected_seq: seqOf(note) })).status).toBe(201)
  })

  it('sees what the visitor says, and not what is no message', async () => {
    const seen = seqOf(await muro.post(path, { content: 'one' }))
    await muro.patch(path.replace('/messages', ''), { tags: ['vip'], status: 'closed' })
    expect((await muro.post(path, { content: 'two', expected_seq: seen })).status).toBe(201)
    const { conversation_id } = await beginAsVisitor()
    const thread = `/conversations/${conversation_id}/messages`
    const [hello] = pageOf(await muro.get(thread)).data
    expect((await muro.post(thread, { content: 'x', expected_seq: 0 })).body).toEqual(newer(hello))
    // The automatic reply after it is a line of the system.
    expect((await muro.post(thread, { content: 'x', expected_seq: hello?.conversation_seq })).status).toBe(201)
  })

  /** A visitor says something and is answered by the site itself. */
  const beginAsVisitor = async () => {
    await api.database.sql`update sites set auto_reply = 'Soon!' where public_id = ${tenant.site.id}`
    const { body } = await clientOf(`${api.url}/api/v1/chat`, { 'X-Api-Key': tenant.site.site_key }).post(
      '/conversations',
      { name: 'V', email: 'v@example.com', message: 'hello', visitor_token: 'v-1' },
    )
    return z.object({ conversation_id: z.string() }).parse(body)
  }

  it('shows the hundred that come next, so that one can go on from them', async () => {
    const said = await say(...Array.from({ length: 103 }, (_, n) => `${n}`))
    const answer = await muro.post(path, { content: 'late', expected_seq: 0 })
    expect(answer.body).toEqual(newer(...said.slice(0, 100)))
  })

  it('P6: does not refuse the retry of what was sent, by Idempotency-Key or by client_id', async () => {
    const byKey = () => muro.post(path, { content: 'a', expected_seq: 0 }, { 'Idempotency-Key': 'k' })
    const first = await byKey()
    const byClient = () => muro.post(path, { content: 'b', expected_seq: seqOf(first), client_id: 'c' })
    const second = await byClient()
    await say('newer')
    for (const [send, sent] of [
      [byKey, first],
      [byClient, second],
    ] as const) {
      const answers = await Promise.all([send(), send(), send()])
      expect(answers.map(({ status, text }) => [status, text])).toEqual(answers.map(() => [201, sent.text]))
      expect(answers.map(({ headers }) => headers.get('idempotent-replayed'))).toEqual(['true', 'true', 'true'])
    }
    // A refusal is not kept: the same request may be right later.
    const refused = () => muro.post(path, { content: 'c', expected_seq: 0 }, { 'Idempotency-Key': 'k2' })
    expect([(await refused()).status, (await refused()).status]).toEqual([409, 409])
    expect((await muro.post(path, { content: 'd' }, { 'Idempotency-Key': 'k2' })).status).toBe(201)
  })

  it('is a whole number from 0 on, of a conversation that is there', async () => {
    for (const expected_seq of [-1, 1.5, '2', null, true, 2 ** 60]) {
      const answer = await muro.post(path, { content: 'hi', expected_seq })
      expect([answer.status, answer.body]).toEqual([400, muroError('invalid_request_error', 'invalid', 'expected_seq')])
    }
    const other = await api.makeTenant()
    const theirs = `/conversations/${(await other.thread()).conversation}/messages`
    for (const unknown of ['/conversations/cnv_none/messages', theirs]) {
      const answer = await muro.post(unknown, { content: 'hi', expected_seq: 0 })
      expect([answer.status, answer.body]).toEqual([404, muroError('not_found', 'not_found')])
    }
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
    // Who does not escape the + of a zone sends a space.
    for (const since of [encodeURIComponent(abroad), abroad, abroad.replace('+', '%20')]) {
      expect((await contentsAt(`since=${since}`)).contents).toEqual(['2', '3'])
    }
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
