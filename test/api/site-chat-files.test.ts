/** Files in the site chat: a visitor sends them, and downloads those of the messages that they see. */

import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { siteMessage, siteUpload } from '../../schema/site-chat.ts'
import { listener } from '../journeys/listeners.ts'
import { type Api, startApi, testApp } from '../support/api.ts'
import { type Client, call, clientOf, idOf, muroClient } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'
import { download, filePart, multipart, part, type TestFile, upload, uploadRaw } from '../support/uploads.ts'

let api: Api
beforeAll(async () => {
  api = await startApi({ ...testApp, RATE_LIMIT_PER_MINUTE: '1000', TRUST_PROXY: 'loopback' })
})
afterAll(() => api.close())

let tenant: Tenant
let site: Record<string, string>
let chat: Client
let muro: Client
let conversation: string
let addresses = 0
beforeEach(async () => {
  tenant = await api.makeTenant({ origins: ['https://shop.example'] })
  addresses += 1
  // Each test comes from a machine of its own, so that limits are not shared.
  site = { 'X-Api-Key': tenant.site.site_key, 'X-Forwarded-For': `198.51.100.${addresses}` }
  chat = clientOf(`${api.url}/api/v1/chat`, site)
  muro = muroClient(api.url, tenant.apiKey)
  conversation = await begin('jane-1')
})

const begin = async (visitor_token: string, more = {}) => {
  const person = { name: 'Jane', email: `${visitor_token}@example.com`, message: 'Hi', visitor_token }
  const { body } = await chat.post('/conversations', { ...person, ...more })
  return z.object({ conversation_id: z.string() }).parse(body).conversation_id
}

const files = (token = 'jane-1') => `${api.url}/api/v1/chat/conversations/${token}/files`
const replies = (token = 'jane-1') => `/conversations/${token}/messages`
const put = (file: TestFile, token?: string) => upload(files(token), site, file)
const get = (path: string, { token = 'jane-1', headers = site, method = 'GET' as 'GET' | 'HEAD' } = {}) =>
  download(`${files(token)}/${path}`, headers, method)
const read = async (token = 'jane-1') => z.array(siteMessage.strict()).parse((await chat.get(replies(token))).body)

/** Lets an agent send files into Jane's conversation; returns the number of the message. */
const sendAsAgent = async (kind: 'agent' | 'note', ...names: string[]) => {
  const attachment_ids: string[] = []
  for (const name of names) {
    const headers = { Authorization: `Bearer ${tenant.apiKey}` }
    attachment_ids.push(idOf(await upload(`${api.url}/api/v1/attachments`, headers, { name, bytes: `of ${name}` })))
  }
  const { body } = await muro.post(`/conversations/${conversation}/messages`, { kind, attachment_ids })
  return z.object({ conversation_seq: z.number() }).parse(body).conversation_seq
}

const notFound = { error: 'File not found' }
const times = (count: number) => Array.from({ length: count }, (_, index) => index)

describe('a file of an agent', () => {
  it('is shown in its message by two numbers, and downloaded by them', async () => {
    const activity = await sendAsAgent('agent', 'one.txt', 'zwei ü.txt')
    const message = (await read()).at(-1)
    expect(message).toMatchObject({
      direction: 'outbound',
      body: '',
      attachments: [
        { activity_id: activity, id: 1, filename: 'one.txt', content_type: 'text/plain', size: 10 },
        { activity_id: activity, id: 2, filename: 'zwei ü.txt', content_type: 'text/plain', size: 14 },
      ],
    })
    expect(JSON.stringify(message)).not.toMatch(/att_|url/)
    const { status, headers, bytes } = await get(`${activity}/2`)
    expect([status, bytes.toString()]).toEqual([200, 'of zwei ü.txt'])
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'text/plain',
      'content-length': '14',
      'content-disposition': `attachment; filename="zwei _.txt"; filename*=UTF-8''zwei%20%C3%BC.txt`,
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
    })
    const shown = await get(`${activity}/1?disposition=inline`)
    expect(shown.headers.get('content-disposition')).toBe('inline; filename="one.txt"')
    const head = await get(`${activity}/1`, { method: 'HEAD' })
    expect([head.status, head.bytes.length, head.headers.get('content-length')]).toEqual([200, 0, '10'])
  })

  it('is not there under other numbers, for another visitor or at another site', async () => {
    const activity = await sendAsAgent('agent', 'one.txt')
    await begin('joe-1')
    const other = await api.makeTenant()
    const headers = { ...site, 'X-Api-Key': other.site.site_key }
    for (const answer of [
      await get(`${activity}/2`),
      await get(`${activity}/0`),
      await get(`${activity + 1}/1`),
      await get(`${activity - 1}/1`),
      await get(`-${activity}/1`),
      await get(`${activity}/x`),
      await get('99999999999999999999/1'),
      await get(`${activity}/att_x`),
      await get(`${activity}/1`, { token: 'joe-1' }),
      await get(`${activity}/1`, { token: 'nobody' }),
      await get(`${activity}/1`, { headers }),
    ]) {
      expect([answer.status, JSON.parse(answer.bytes.toString())]).toEqual([404, notFound])
    }
    expect((await get(`${activity}/1?disposition=open`)).status).toBe(400)
    expect((await get(`${activity}/1`, { headers: { ...site, 'X-Api-Key': 'x' } })).status).toBe(401)
    expect((await get(`${activity}/1`)).status).toBe(200)
  })

  it('P4: of a note is not there, and nothing of it is shown', async () => {
    const activity = await sendAsAgent('note', 'secret.txt')
    expect([(await get(`${activity}/1`)).status, (await chat.get(replies())).text]).toEqual([
      404,
      expect.not.stringContaining('secret'),
    ])
  })
})

describe('a file of a visitor', () => {
  it('is uploaded, sent alone or with a text, heard of by both sides, and open to both', async () => {
    const staff = listener(api, testApp.PUSHER_APP_KEY, { Authorization: `Bearer ${tenant.apiKey}` })
    const visitor = listener(api, testApp.PUSHER_APP_KEY, { ...site, 'X-Visitor-Token': 'jane-1' })
    onTestFinished(() => {
      staff.leave()
      visitor.leave()
    })
    await staff.join(`private-conv-${conversation}`)
    await visitor.join(`private-visitor-${conversation}`)

    const uploaded = await put({ name: 'me.png', type: 'image/png', bytes: 'PNG' })
    expect(uploaded.status).toBe(201)
    expect(siteUpload.strict().parse(uploaded.body)).toMatchObject({
      filename: 'me.png',
      content_type: 'image/png',
      size: 3,
    })
    const id = idOf(uploaded)
    const sent = await chat.post(replies(), { attachment_ids: [id] })
    expect([sent.status, sent.text]).toEqual([201, '{"status":"ok"}'])

    const isMessage = ({ event }: { event: string }) => event === 'message.new'
    const heard = (await staff.hears(isMessage)).data
    const activity = z.number().parse(heard.conversation_seq)
    const file = { filename: 'me.png', content_type: 'image/png', size: 3 }
    expect(heard.attachments).toEqual([{ id, url: `/api/v1/attachments/${id}`, ...file }])
    const shown = [{ activity_id: activity, id: 1, ...file }]
    expect((await visitor.hears(isMessage)).data).toMatchObject({ content: '', attachments: shown })
    expect((await read()).at(-1)).toMatchObject({ direction: 'inbound', body: '', attachments: shown })
    expect((await get(`${activity}/1`)).bytes.toString()).toBe('PNG')
    const asStaff = await download(`${api.url}/api/v1/attachments/${id}`, { Authorization: `Bearer ${tenant.apiKey}` })
    expect(asStaff.bytes.toString()).toBe('PNG')

    const more = idOf(await put({ bytes: 'x' }))
    expect((await chat.post(replies(), { message: ' Look! ', attachment_ids: [more] })).status).toBe(201)
    expect((await read()).at(-1)).toMatchObject({ body: 'Look!', attachments: [{ filename: 'file.txt' }] })
  })

  it('reopens what is closed, is unread for staff, and acts once under an Idempotency-Key', async () => {
    await muro.patch(`/conversations/${conversation}`, { status: 'closed', mark_read: true })
    const key = { 'Idempotency-Key': 'f-1' }
    const uploaded = await Promise.all(times(3).map(() => upload(files(), { ...site, ...key }, { bytes: 'x' })))
    const [first, ...others] = uploaded.filter(({ status }) => status === 201)
    for (const other of others) expect(other.text).toBe(first?.text)
    const attachment_ids = [z.object({ id: z.string() }).parse(first?.body).id]
    const answers = await Promise.all(times(5).map(() => chat.post(replies(), { attachment_ids }, key)))
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201])
    expect(await read()).toHaveLength(2)
    expect((await muro.get(`/conversations/${conversation}`)).body).toMatchObject({ status: 'open', unread_count: 1 })
  })

  it('can be sent in the conversation it was uploaded in, once, and not by staff before', async () => {
    await begin('joe-1')
    const [mine, sent, theirs] = [
      idOf(await put({ bytes: 'SECRET' })),
      idOf(await put({ bytes: 'x' })),
      idOf(await put({ bytes: 'x' }, 'joe-1')),
    ]
    const staffs = idOf(
      await upload(`${api.url}/api/v1/attachments`, { Authorization: `Bearer ${tenant.apiKey}` }, { bytes: 'x' }),
    )
    await chat.post(replies(), { attachment_ids: [sent] })
    const before = await api.rowsOf(tenant)
    for (const ids of [[sent], [theirs], [staffs], ['att_unknown'], [mine, theirs], ['x'], 7]) {
      const answer = await chat.post(replies(), { message: 'hi', attachment_ids: ids })
      expect([ids, answer.status, answer.body]).toEqual([
        ids,
        400,
        { error: expect.stringMatching(/^attachment_ids(\.0)?: /) },
      ])
    }
    const asStaff = await muro.post(`/conversations/${conversation}/messages`, { attachment_ids: [mine] })
    expect(asStaff.status).toBe(400)
    const peek = await download(`${api.url}/api/v1/attachments/${mine}`, { Authorization: `Bearer ${tenant.apiKey}` })
    expect([peek.status, peek.bytes.toString()]).toEqual([404, expect.not.stringContaining('SECRET')])
    for (const body of [{ attachment_ids: [mine], message: 'a\0' }, {}, { message: ' ' }, { attachment_ids: [] }]) {
      const answer = await chat.post(replies(), body)
      expect([answer.status, answer.body]).toEqual([422, { error: 'Message is required' }])
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
    expect((await chat.post(replies(), { attachment_ids: [mine] })).status).toBe(201)
  })

  it('is checked as every upload is, and refused in the shape of the face', async () => {
    const body = multipart(part(filePart(), 'x'))
    for (const [send, status] of [
      [() => uploadRaw(files(), { ...site, 'Content-Type': 'application/json' }, body), 415],
      [() => uploadRaw(files(), site, multipart(part(filePart(), ''))), 400],
      [() => uploadRaw(files(), site, multipart(part(filePart('filename="f"', 'text/plain', 'x'), 'x'))), 400],
      [() => uploadRaw(files(), site, Buffer.from('x')), 400],
      [() => put({ bytes: Buffer.alloc(10 * 1024 * 1024 + 1) }), 413],
      [() => put({ bytes: 'x' }, 'nobody'), 404],
      [() => upload(files(), {}, { bytes: 'x' }), 401],
      [() => upload(files(), { ...site, Origin: 'https://evil.example' }, { bytes: 'x' }), 403],
    ] as const) {
      const answer = await send()
      expect([answer.status, answer.body]).toEqual([status, { error: expect.stringMatching(/./) }])
    }
    const [row] = await api.database
      .sql`select count(*)::int as n from attachments where workspace_id = ${tenant.workspace.id}`
    expect(row?.n).toBe(0)
  })

  it('may wait with 49 others to be sent, and no more, so that nobody fills the disk', async () => {
    const cell = (n: number) => upload(files(), { ...site, 'X-Forwarded-For': `203.0.113.${n % 5}` }, { bytes: `${n}` })
    for (const n of times(50)) expect((await cell(n)).status).toBe(201)
    const answer = await cell(50)
    expect([answer.status, answer.body]).toEqual([
      422,
      { error: 'Too many files wait to be sent in this conversation' },
    ])
    await begin('joe-1')
    expect((await put({ bytes: 'x' }, 'joe-1')).status).toBe(201)
  })
})

it('files are gone with their conversation, whoever sends or uploads meanwhile', async () => {
  const key = { key: tenant.apiKey }
  for (const token of ['a', 'b', 'c']) {
    const id = await begin(token)
    const attachment_ids = [idOf(await put({ bytes: 'x' }, token))]
    const answers = await Promise.all([
      chat.post(replies(token), { attachment_ids }),
      call(api.url, 'DELETE', `/api/v1/conversations/${id}`, key),
      put({ bytes: 'y' }, token),
      put({ bytes: 'z' }, token),
      muro.post(`/conversations/${id}/messages`, { content: 'hi', expected_seq: 100 }),
    ])
    expect(answers[1].status).toBe(200)
    for (const { status } of answers) expect(status).toBeOneOf([200, 201, 404])
    expect(
      (
        await download(`${api.url}/api/v1/attachments/${attachment_ids[0]}`, {
          Authorization: `Bearer ${tenant.apiKey}`,
        })
      ).status,
    ).toBe(404)
  }
  const [left] = await api.database.sql`
    select (select count(*)::int from attachments where workspace_id = ${tenant.workspace.id}) as files,
           (select count(*)::int from attachment_chunks p
             where not exists (select from attachments a where a.id = p.attachment_id)) as pieces`
  expect(left).toEqual({ files: 0, pieces: 0 })
})

describe('limits and origins', () => {
  it('are 20 uploads and 60 downloads a minute', async () => {
    const activity = await sendAsAgent('agent', 'one.txt')
    const uploaded = await Promise.all(times(21).map(() => put({ bytes: 'x' })))
    expect(uploaded.filter(({ status }) => status === 429).map(({ body }) => body)).toEqual([
      { error: 'Rate limit exceeded' },
    ])
    const downloaded = await Promise.all(times(61).map(() => get(`${activity}/1`)))
    expect(downloaded.filter(({ status }) => status !== 200).map(({ status }) => status)).toEqual([429])
  })

  it('are those of the site: its own pages read a file and its name, others do not', async () => {
    const activity = await sendAsAgent('agent', 'one.txt')
    const own = await get(`${activity}/1`, { headers: { ...site, Origin: 'https://shop.example' } })
    expect([own.status, own.headers.get('access-control-allow-origin')]).toEqual([200, 'https://shop.example'])
    expect(own.headers.get('access-control-expose-headers')).toContain('Content-Disposition')
    const other = await get(`${activity}/1`, { headers: { ...site, Origin: 'https://evil.example' } })
    expect([other.status, other.headers.get('access-control-allow-origin')]).toEqual([403, null])
    const path = `/api/v1/chat/conversations/jane-1/files`
    const allowed = async (at: string) =>
      (await call(api.url, 'OPTIONS', at)).headers.get('access-control-allow-methods')
    expect([await allowed(path), await allowed(`${path}/1/1`)]).toEqual(['POST, OPTIONS', 'GET, HEAD, OPTIONS'])
  })
})

it('the page where a conversation began is kept, if it is an address', async () => {
  const urlOf = async (id: string) =>
    (await api.database.sql`select url from conversations where public_id = ${id}`)[0]?.url
  expect(await urlOf(await begin('a', { url: 'https://shop.example/cart?x=1#top' }))).toBe(
    'https://shop.example/cart?x=1#top',
  )
  for (const [index, url] of [
    'javascript:alert(1)',
    'shop',
    7,
    null,
    `https://x.example/${'x'.repeat(2000)}`,
  ].entries()) {
    // Six conversations a minute are one too many for one machine.
    chat = clientOf(`${api.url}/api/v1/chat`, { ...site, 'X-Forwarded-For': `192.0.2.${index}` })
    expect(await urlOf(await begin(`b${index}`, { url }))).toBeNull()
  }
})
