/** Attachments on the muro face: uploading files, sending them, hearing of them and downloading them. */

import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { attachment } from '../../schema/muro/attachments.ts'
import { message } from '../../schema/muro/messages.ts'
import { listener } from '../journeys/listeners.ts'
import { type Api, startApi, testApp } from '../support/api.ts'
import { type Answer, type Client, call, expectText, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
import { syncOf } from '../support/sync.ts'
import type { Tenant, Thread } from '../support/tenant.ts'
import {
  download,
  filePart,
  multipart,
  openUpload,
  part,
  sumOf,
  type TestFile,
  upload,
  uploadRaw,
} from '../support/uploads.ts'

let api: Api
beforeAll(async () => {
  api = await startApi(testApp)
})
afterAll(() => api.close())

let tenant: Tenant
let thread: Thread
let muro: Client
let messages: string
beforeEach(async () => {
  tenant = await api.makeTenant()
  muro = muroClient(api.url, tenant.apiKey)
  thread = await tenant.thread()
  messages = `/conversations/${thread.conversation}/messages`
})

const uploads = () => `${api.url}/api/v1/attachments`
const bearer = (key = tenant.apiKey) => ({ Authorization: `Bearer ${key}` })
const put = (file: TestFile, headers: Record<string, string> = {}) =>
  upload(uploads(), { ...bearer(), ...headers }, file)
const putRaw = (...parts: Buffer[]) => uploadRaw(uploads(), bearer(), multipart(...parts))
const get = (id: string, { query = '', key = tenant.apiKey, headers = {} } = {}) =>
  download(`${uploads()}/${id}${query}`, { ...bearer(key), ...headers })
const invalid = (param: string) => muroError('invalid_request_error', 'invalid', param)
const notFound = muroError('not_found', 'not_found')
const shownOf = ({ body }: Answer) => {
  const { object: _, message_id: _message, created_at: _created, ...shown } = attachment.parse(body)
  return shown
}

/** What a workspace has of files, to see that nothing was left or changed. */
const filesOf = async ({ workspace }: Tenant) => [
  ...(await api.database.sql`
    select a.public_id, a.message_id, a.position,
           (select count(*)::int from attachment_chunks p where p.attachment_id = a.id) as pieces
      from attachments a where workspace_id = ${workspace.id} order by id`),
]

const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
const times = (count: number) => Array.from({ length: count }, (_, index) => index)

describe('a file', () => {
  it('is uploaded, sent, heard of by staff and the visitor, and downloaded as it was', async () => {
    const visitorToken = 'vita-1'
    const begun = await call(api.url, 'POST', '/api/v1/chat/conversations', {
      headers: { 'X-Api-Key': tenant.site.site_key },
      body: { name: 'V', email: 'v@example.com', message: 'hi', visitor_token: visitorToken },
    })
    const conversation = z.object({ conversation_id: z.string() }).parse(begun.body).conversation_id
    const path = `/conversations/${conversation}/messages`
    const staff = listener(api, testApp.PUSHER_APP_KEY, bearer())
    const visitor = listener(api, testApp.PUSHER_APP_KEY, {
      'X-Api-Key': tenant.site.site_key,
      'X-Visitor-Token': visitorToken,
    })
    onTestFinished(() => {
      staff.leave()
      visitor.leave()
    })
    await staff.join(`private-org-${tenant.workspace.publicId}`)
    await visitor.join(`private-visitor-${conversation}`)
    const from = z.object({ cursor: z.string() }).parse((await muro.get('/sync')).body).cursor

    const uploaded = await put({ name: 'größe 😀.bin', type: 'application/x-thing', bytes: every })
    const id = idOf(uploaded)
    expect(uploaded.status).toBe(201)
    expect(attachment.strict().parse(uploaded.body)).toEqual({
      object: 'attachment',
      id: expect.stringMatching(/^att_[A-Za-z0-9]+$/),
      filename: 'größe 😀.bin',
      content_type: 'application/x-thing',
      size: 256,
      url: `/api/v1/attachments/${id}`,
      message_id: null,
      created_at: expectText,
    })

    const sent = await muro.post(path, { attachment_ids: [id] })
    expect(sent.status).toBe(201)
    const { conversation_seq } = message.strict().parse(sent.body)
    const shown = shownOf(uploaded)
    expect(sent.body).toMatchObject({ sender_type: 'agent', content: '', attachments: [shown] })
    expect(pageOf(await muro.get(path)).data.at(-1)).toEqual(sent.body)

    const isMessage = ({ event }: { event: string }) => event === 'message.new'
    const heard = { content: '', attachments: [shown], conversation_seq }
    expect((await staff.hears(isMessage)).data).toMatchObject(heard)
    expect(syncOf(await muro.get(`/sync?cursor=${from}`)).data).toMatchObject([{ type: 'message.new', data: heard }])
    const told = (await visitor.hears(isMessage)).data
    const { url: _url, id: _id, ...plain } = shown
    expect(told.attachments).toEqual([{ activity_id: conversation_seq, id: 1, ...plain }])
    expect(JSON.stringify(told)).not.toMatch(/att_|api\/v1/)

    const got = await get(id)
    expect([got.status, got.bytes.equals(every)]).toEqual([200, true])
    expect(Object.fromEntries(got.headers)).toMatchObject({
      'content-type': 'application/x-thing',
      'content-length': '256',
      'content-disposition': `attachment; filename="gr__e _.bin"; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%F0%9F%98%80.bin`,
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
      'cache-control': 'private, no-cache',
    })
  })

  it('may have 10 MiB, and not one byte more', async () => {
    const bytes = randomBytes(10 * 1024 * 1024)
    const uploaded = await put({ bytes })
    expect(uploaded.body).toMatchObject({ size: bytes.length })
    expect(sumOf((await get(idOf(uploaded))).bytes)).toBe(sumOf(bytes))
    const before = await filesOf(tenant)
    for (const answer of [
      await put({ bytes: Buffer.concat([bytes, Buffer.from('x')]) }),
      await put({ bytes: Buffer.concat([bytes, bytes]) }),
    ]) {
      expect(answer.status).toBe(413)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'too_large', 'file'))
      expect(answer.text).toContain('10 MiB')
    }
    // Without a length that says so at once, it is counted as it comes.
    const slow = await openUpload(uploads(), bearer())
    for (const _ of times(11)) slow.write(bytes.subarray(0, 1024 * 1024))
    expect(await slow.answer).toMatch(/^HTTP\/1.1 413 .*"code":"too_large"/s)
    expect(await filesOf(tenant)).toEqual(before)
  })
})

describe('the name of a file', () => {
  it.each([
    ['filename="../../etc/passwd"', 'passwd', 'attachment; filename="passwd"'],
    ['filename="C:\\\\Users\\\\me\\\\plan.txt"', 'plan.txt', 'attachment; filename="plan.txt"'],
    ['filename=".."', 'file', 'attachment; filename="file"'],
    ['filename=""', 'file', 'attachment; filename="file"'],
    ['filename="a\\"b;c.txt"', 'a"b;c.txt', `attachment; filename="a_b;c.txt"; filename*=UTF-8''a%22b%3Bc.txt`],
    [
      'filename="50% (1)\'s.txt"',
      "50% (1)'s.txt",
      `attachment; filename="50_ (1)'s.txt"; filename*=UTF-8''50%25%20%281%29%27s.txt`,
    ],
    ['filename="\u202egnp.exe\t\x7f\u2028x"', 'gnp.exex', 'attachment; filename="gnp.exex"'],
    [
      `filename*=UTF-8''na%C3%AFve.txt`,
      'naïve.txt',
      `attachment; filename="na_ve.txt"; filename*=UTF-8''na%C3%AFve.txt`,
    ],
    ['filename="\ud83d\ude00"', '😀', `attachment; filename="_"; filename*=UTF-8''%F0%9F%98%80`],
  ])('%s is cleaned and cannot leave its header', async (disposition, filename, header) => {
    const uploaded = await putRaw(part(filePart(disposition), 'x'))
    expect(uploaded.body).toMatchObject({ filename })
    const { headers, bytes } = await get(idOf(uploaded))
    expect([headers.get('content-disposition'), headers.get('set-cookie')]).toEqual([header, null])
    expect(bytes.toString()).toBe('x')
  })
})

describe('the content type of a file', () => {
  it('is the declared one if it has the form of one', async () => {
    for (const [declared, kept] of [
      ['IMAGE/PNG', 'image/png'],
      ['text/plain; charset=utf-8', 'text/plain'],
      ['application/vnd.oasis+xml', 'application/vnd.oasis+xml'],
      ['image', 'application/octet-stream'],
      ['a/b/c', 'application/octet-stream'],
      ['<script>/x', 'application/octet-stream'],
      [`a/${'x'.repeat(200)}`, 'application/octet-stream'],
    ]) {
      const uploaded = await putRaw(part(filePart('filename="f"', declared), 'x'))
      expect([declared, uploaded.body]).toMatchObject([declared, { content_type: kept }])
      expect((await get(idOf(uploaded))).headers.get('content-type')).toBe(kept)
    }
  })

  it('says whether a browser may show it: pictures, PDF and plain text, never what runs', async () => {
    const shown = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'application/pdf', 'text/plain']
    const saved = [
      'text/html',
      'image/svg+xml',
      'application/xhtml+xml',
      'text/xml',
      'text/javascript',
      'video/mp4',
      'x',
    ]
    for (const type of [...shown, ...saved]) {
      const id = idOf(await putRaw(part(filePart('filename="f"', type), '<script>alert(1)</script>')))
      const asked = await get(id, { query: '?disposition=inline' })
      const disposition = shown.includes(type) ? 'inline' : 'attachment'
      expect([type, asked.headers.get('content-disposition')]).toEqual([type, `${disposition}; filename="f"`])
      expect(asked.headers.get('content-security-policy')).toBe("sandbox; default-src 'none'")
      expect(asked.headers.get('x-content-type-options')).toBe('nosniff')
      for (const query of ['', '?disposition=attachment']) {
        expect((await get(id, { query })).headers.get('content-disposition')).toBe('attachment; filename="f"')
      }
    }
    expect((await get(idOf(await put({ bytes: 'x' })), { query: '?disposition=open' })).status).toBe(400)
  })
})

describe('downloading', () => {
  it('is not repeated to who has the file; HEAD is GET without the bytes', async () => {
    const id = idOf(await put({ bytes: every }))
    const { headers } = await get(id)
    const etag = headers.get('etag') ?? ''
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await get(id, { headers: { 'If-None-Match': known } })
      expect([again.status, again.bytes.length, again.headers.get('etag')]).toEqual([304, 0, etag])
    }
    expect((await get(id, { headers: { 'If-None-Match': '"other"' } })).bytes.equals(every)).toBe(true)
    const head = await download(`${uploads()}/${id}`, bearer(), 'HEAD')
    expect([head.status, head.bytes.length]).toEqual([200, 0])
    const varying = new Set(['x-request-id', 'date', 'connection', 'keep-alive'])
    const same = (of: Headers) => [...of].filter(([name]) => !varying.has(name) && !name.startsWith('x-ratelimit'))
    expect(same(head.headers)).toEqual(same(headers))
  })

  it('P4: is for keys that read, in the workspace, at the site', async () => {
    const [here, there] = [await tenant.makeSite(), await tenant.makeSite()]
    const [pinned, elsewhere] = [await tenant.makeKey(here), await tenant.makeKey(there)]
    const other = await api.makeTenant()
    const place = await tenant.thread(here)
    const unsent = idOf(await put({ bytes: 'SECRET' }, bearer(pinned.key)))
    const free = idOf(await put({ bytes: 'SECRET' }))
    const sent = idOf(await put({ bytes: 'SECRET' }))
    await muro.post(`/conversations/${place.conversation}/messages`, { kind: 'note', attachment_ids: [sent] })
    const may = async (key: string) => {
      const answers = await Promise.all([unsent, free, sent].map((id) => get(id, { key })))
      for (const { status, bytes } of answers.filter(({ status }) => status !== 200)) {
        expect([status, JSON.parse(bytes.toString())]).toEqual([404, notFound])
      }
      return answers.map(({ status }) => status)
    }
    expect(await may(tenant.apiKey)).toEqual([200, 200, 200])
    expect(await may(pinned.key)).toEqual([200, 404, 200])
    expect(await may(elsewhere.key)).toEqual([404, 404, 404])
    expect(await may(other.apiKey)).toEqual([404, 404, 404])
    for (const id of ['att_unknown', 'msg_x', '%00', 'x'.repeat(300)]) expect((await get(id)).status).toBe(404)
    expect((await download(`${uploads()}/${free}`, {})).status).toBe(401)
  })

  it('needs the scope to read, and uploading the scope to write', async () => {
    const make = async (scopes: string) =>
      JSON.parse((await api.run('key', 'create', '--scopes', scopes, '--workspace', tenant.workspace.publicId)).stdout)
        .key
    const [reader, writer] = [await make('read'), await make('write')]
    expect((await put({ bytes: 'x' }, bearer(reader))).status).toBe(403)
    const uploaded = await put({ bytes: 'x' }, bearer(writer))
    expect(uploaded.status).toBe(201)
    expect((await get(idOf(uploaded), { key: writer })).status).toBe(403)
    expect((await get(idOf(uploaded), { key: reader })).status).toBe(200)
  })
})

describe('sending files', () => {
  it('shows up to ten of them, in the order in which they are named', async () => {
    const all = await Promise.all(times(11).map((n) => put({ name: `${n}.txt`, bytes: `${n}` })))
    const ids = all.map(idOf)
    expect((await muro.post(messages, { attachment_ids: ids })).body).toEqual(invalid('attachment_ids'))
    const order = [...ids.slice(1)].reverse()
    const sent = await muro.post(messages, { content: 'Here you are', attachment_ids: [...order, order[0]] })
    expect(sent.status).toBe(201)
    expect(sent.body).toMatchObject({ content: 'Here you are', attachments: [...all.slice(1)].reverse().map(shownOf) })
    const places = new Map((await filesOf(tenant)).map(({ public_id, position }) => [public_id, position]))
    expect(ids.map((id) => places.get(id))).toEqual([null, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
  })

  it('needs files that are there, within reach and not sent; a message that is refused sends none of them', async () => {
    const [here, there] = [await tenant.makeSite(), await tenant.makeSite()]
    const [pinned, elsewhere] = [await tenant.makeKey(here), await tenant.makeKey(there)]
    const other = await api.makeTenant()
    const file = idOf(await put({ bytes: 'x' }))
    const sent = idOf(await put({ bytes: 'x' }))
    await muro.post(messages, { attachment_ids: [sent] })
    const foreign = idOf(await upload(uploads(), bearer(other.apiKey), { bytes: 'x' }))
    const pinnedElsewhere = idOf(await put({ bytes: 'x' }, bearer(elsewhere.key)))
    const place = await tenant.thread(here)
    const before = [await api.rowsOf(tenant), await filesOf(tenant)]
    for (const ids of [[sent], [foreign], ['att_unknown'], [file, sent], ['msg_x'], [7], 'att_x', null]) {
      const answer = await muro.post(messages, { content: 'hi', attachment_ids: ids })
      expect([ids, answer.status]).toEqual([ids, 400])
      expect(answer.body).toEqual(
        invalid(typeof ids?.[0] === 'number' || ids?.[0] === 'msg_x' ? 'attachment_ids.0' : 'attachment_ids'),
      )
    }
    for (const ids of [[file], [pinnedElsewhere]]) {
      const path = `/conversations/${place.conversation}/messages`
      expect((await muroClient(api.url, pinned.key).post(path, { attachment_ids: ids })).body).toEqual(
        invalid('attachment_ids'),
      )
    }
    expect((await muro.post('/conversations/cnv_unknown/messages', { attachment_ids: [file] })).body).toEqual(notFound)
    expect((await muro.post(messages, { attachment_ids: [], content: ' ' })).body).toEqual(invalid('content'))
    expect((await muro.post(messages, { attachment_ids: [] })).body).toEqual(invalid('content'))
    expect([await api.rowsOf(tenant), await filesOf(tenant)]).toEqual(before)
    const own = idOf(await put({ bytes: 'x' }, bearer(pinned.key)))
    const path = `/conversations/${place.conversation}/messages`
    expect((await muroClient(api.url, pinned.key).post(path, { attachment_ids: [own] })).status).toBe(201)
    expect((await muro.post(messages, { attachment_ids: [file, pinnedElsewhere] })).status).toBe(201)
  })

  it('may say nothing beside them, and may have none beside what it says', async () => {
    const file = idOf(await put({ bytes: 'x' }))
    const mute = await muro.post(messages, { content: ' ', attachment_ids: [file] })
    expect([mute.status, mute.body]).toEqual([
      201,
      expect.objectContaining({ content: '', attachments: [expect.objectContaining({ id: file })] }),
    ])
    const plain = await muro.post(messages, { content: 'hi', attachment_ids: [] })
    expect([plain.status, plain.body]).toEqual([201, expect.objectContaining({ content: 'hi', attachments: [] })])
  })

  it('a file once: of many messages at the same moment exactly one has it', async () => {
    const elsewhere = `/conversations/${(await tenant.thread()).conversation}/messages`
    for (const _ of times(5)) {
      const ids = (await Promise.all(times(2).map(() => put({ bytes: 'x' })))).map(idOf)
      const answers = await Promise.all(
        times(8).map((turn) =>
          muro.post(turn % 2 ? messages : elsewhere, { attachment_ids: turn % 3 ? ids : [...ids].reverse() }),
        ),
      )
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
      for (const { body } of answers.filter(({ status }) => status !== 201))
        expect(body).toEqual(invalid('attachment_ids'))
    }
  })

  it('P6: acts once, by Idempotency-Key and by client_id, and is answered the same', async () => {
    const [one, two] = [idOf(await put({ bytes: '1' })), idOf(await put({ bytes: '2' }))]
    const byKey = () => muro.post(messages, { attachment_ids: [one] }, { 'Idempotency-Key': 'k' })
    const byClient = (headers = {}) => muro.post(messages, { attachment_ids: [two], client_id: 'c' }, headers)
    for (const send of [byKey, byClient]) {
      const answers = [...(await Promise.all(times(10).map(() => send()))), await send()]
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201))
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
      expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === null)).toHaveLength(1)
    }
    const first = await byClient({ 'Idempotency-Key': 'other' })
    expect((await byClient({ 'Idempotency-Key': 'other' })).text).toBe(first.text)
    expect(pageOf(await muro.get(messages)).ids).toHaveLength(2)
    const mismatch = await muro.post(messages, { attachment_ids: [two] }, { 'Idempotency-Key': 'k' })
    expect(mismatch.body).toEqual(muroError('invalid_request_error', 'idempotency_mismatch', 'Idempotency-Key'))
  })
})
