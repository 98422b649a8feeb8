/** The conventions of the muro face: methods, headers, content types, sizes and the shape of errors. */

import { request } from 'node:http'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { type Answer, type Client, call, muroClient, muroError } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
let tenant: Tenant
let muro: Client
let conversation: string
let contact: string
beforeAll(async () => {
  api = await startApi()
  tenant = await api.makeTenant()
  muro = muroClient(api.url, tenant.apiKey)
  const thread = await tenant.thread()
  conversation = thread.conversation
  contact = thread.contact
})
afterAll(() => api.close())

const routes = () => [
  { path: '/api/v1/conversations', allow: 'GET, HEAD, POST, OPTIONS' },
  { path: '/api/v1/conversations/bulk', allow: 'POST, OPTIONS' },
  { path: `/api/v1/conversations/${conversation}`, allow: 'GET, HEAD, PATCH, DELETE, OPTIONS' },
  { path: `/api/v1/conversations/${conversation}/summary`, allow: 'GET, HEAD, POST, OPTIONS' },
  { path: `/api/v1/conversations/${conversation}/messages`, allow: 'GET, HEAD, POST, OPTIONS' },
  { path: `/api/v1/conversations/${conversation}/typing`, allow: 'POST, OPTIONS' },
  { path: '/api/v1/contacts', allow: 'GET, HEAD, POST, OPTIONS' },
  { path: '/api/v1/contacts/lookup', allow: 'POST, OPTIONS' },
  { path: `/api/v1/contacts/${contact}`, allow: 'GET, HEAD, PATCH, DELETE, OPTIONS' },
  { path: `/api/v1/contacts/${contact}/merge`, allow: 'POST, OPTIONS' },
  { path: '/api/v1/attachments', allow: 'POST, OPTIONS' },
  { path: '/api/v1/attachments/att_any', allow: 'GET, HEAD, OPTIONS' },
  { path: '/api/v1/saved-replies', allow: 'GET, HEAD, POST, OPTIONS' },
  { path: '/api/v1/saved-replies/rpl_any', allow: 'GET, HEAD, PATCH, DELETE, OPTIONS' },
  { path: '/api/v1/automation-rules', allow: 'GET, HEAD, POST, OPTIONS' },
  { path: '/api/v1/automation-rules/rul_any', allow: 'GET, HEAD, PATCH, DELETE, OPTIONS' },
  { path: '/api/v1/users', allow: 'GET, HEAD, OPTIONS' },
  { path: '/api/v1/users/usr_any', allow: 'GET, HEAD, PATCH, OPTIONS' },
  { path: '/api/v1/sites', allow: 'GET, HEAD, POST, OPTIONS' },
  { path: '/api/v1/sites/web_any', allow: 'GET, HEAD, PATCH, OPTIONS' },
  { path: '/api/v1/openapi.json', allow: 'GET, HEAD, OPTIONS' },
  { path: '/api/v1/realtime', allow: 'GET, HEAD, OPTIONS' },
  { path: '/api/v1/realtime/auth', allow: 'POST, OPTIONS' },
  { path: '/api/v1/chat/config', allow: 'GET, HEAD, OPTIONS' },
  { path: '/api/v1/chat/conversations', allow: 'POST, OPTIONS' },
  { path: '/api/v1/chat/conversations/token/messages', allow: 'GET, HEAD, POST, OPTIONS' },
]

/** Sends a path as it is, which fetch would tidy up. */
const callRaw = (method: string, path: string, headers: Record<string, string> = {}): Promise<Answer> =>
  new Promise((done, fail) => {
    const { hostname, port } = new URL(api.url)
    const sent = request({ hostname, port, method, path, headers }, (answer) => {
      let text = ''
      answer.on('data', (chunk) => {
        text += chunk
      })
      answer.on('end', () => {
        const got = Object.entries(answer.headers).map(([name, value]): [string, string] => [name, String(value)])
        done({
          status: answer.statusCode ?? 0,
          headers: new Headers(got),
          text,
          body: text ? JSON.parse(text) : undefined,
        })
      })
    })
    sent.on('error', fail)
    sent.end()
  })

describe('methods', () => {
  it('OPTIONS is answered on every route, without a key, with the methods of that path', async () => {
    for (const { path, allow } of routes()) {
      const answer = await call(api.url, 'OPTIONS', path, {
        headers: { Origin: 'https://anywhere.example', 'Access-Control-Request-Method': 'POST' },
      })
      expect([path, answer.status, answer.text]).toEqual([path, 204, ''])
      expect(answer.headers.get('access-control-allow-methods')).toBe(allow)
      expect(answer.headers.get('access-control-allow-origin')).toBe('*')
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull()
      const headers = answer.headers.get('access-control-allow-headers')?.split(', ')
      // The star is any header but Authorization, such as those of tracing; older browsers know only names.
      expect(headers).toEqual(expect.arrayContaining(['Authorization', 'Content-Type', 'Idempotency-Key', '*']))
    }
  })

  it('every other method is 405 and says which are allowed, with or without a key or a body', async () => {
    for (const { path, allow } of routes()) {
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((name) => !allow.includes(name))) {
        const answer = await call(
          api.url,
          method,
          path,
          method === 'GET' ? {} : { body: 'text', headers: { 'Content-Type': 'text/plain' } },
        )
        expect([method, path, answer.status]).toEqual([method, path, 405])
        expect(answer.headers.get('allow')).toBe(allow)
        expect(answer.body).toEqual(
          path.startsWith('/api/v1/chat')
            ? { error: expect.any(String) }
            : muroError('invalid_request_error', 'method_not_allowed'),
        )
      }
    }
  })

  it('HEAD is GET without the body', async () => {
    const get = await muro.get(`/conversations/${conversation}`)
    const head = await call(api.url, 'HEAD', `/api/v1/conversations/${conversation}`, { key: tenant.apiKey })
    expect([head.status, head.text]).toEqual([200, ''])
    expect(head.headers.get('content-length')).toBe(String(Buffer.byteLength(get.text)))
    expect((await call(api.url, 'HEAD', '/api/v1/conversations')).status).toBe(401)
  })

  it('a path that is none is 404', async () => {
    for (const path of [
      '/api/v1/nothing',
      '/api/v1',
      '/api/v2/conversations',
      '/nothing',
      '/api/v1/conversations/a/b/c',
    ]) {
      const answer = await call(api.url, 'GET', path, { key: tenant.apiKey })
      expect(answer.status).toBe(404)
      expect(answer.body).toEqual(muroError('not_found', 'not_found'))
    }
  })
})

describe('headers', () => {
  it('every answer carries an id, CORS for all and no-store, whatever its status', async () => {
    const answers = [
      await muro.get('/conversations'),
      await muro.post('/contacts', {}),
      await muro.post('/contacts', '{'),
      await muro.post('/contacts', 'x'.repeat(1024 * 1024 + 1)),
      await muro.post('/contacts', 'text', { 'Content-Type': 'text/plain' }),
      await muro.get('/conversations/cnv_unknown'),
      await call(api.url, 'GET', '/api/v1/conversations'),
      await call(api.url, 'DELETE', '/api/v1/conversations'),
      await call(api.url, 'OPTIONS', '/api/v1/conversations'),
      await call(api.url, 'GET', '/nothing'),
      await callRaw('GET', '/api/v1/conversations/%zz'),
      await callRaw('GET', '/%'),
      await callRaw('GET', `/api/v1/conversations/${'x'.repeat(3000)}`),
      await callRaw('PROPFIND', '/api/v1/conversations'),
    ]
    expect(answers.map(({ status }) => status)).toEqual([
      200, 201, 400, 413, 415, 404, 401, 405, 204, 404, 400, 400, 404, 404,
    ])
    for (const { headers } of answers) {
      expect(headers.get('x-request-id')).toMatch(/^req_[A-Za-z0-9]{22}$/)
      expect(headers.get('access-control-allow-origin')).toBe('*')
      expect(headers.get('access-control-expose-headers')).toMatch(/X-Request-Id.*X-RateLimit-Remaining.*Retry-After/)
      expect(headers.get('access-control-allow-credentials')).toBeNull()
      expect(headers.get('cache-control')).toBe('no-store')
    }
    expect(new Set(answers.map(({ headers }) => headers.get('x-request-id'))).size).toBe(answers.length)
  })

  it('the id of the request is taken from the client where it is a plain one, and made otherwise', async () => {
    for (const id of ['my-id_42', 'x'.repeat(64)]) {
      for (const path of ['/conversations', '/nothing', '/conversations/cnv_unknown']) {
        expect((await muro.get(path, { 'X-Request-Id': id })).headers.get('x-request-id')).toBe(id)
      }
    }
    for (const id of ['', 'x'.repeat(65), 'a b', 'a.b', '<script>', 'ü']) {
      const answer = await muro.get('/conversations', { 'X-Request-Id': id })
      expect(answer.headers.get('x-request-id')).toMatch(/^req_/)
    }
  })
})

describe('bodies', () => {
  const path = () => `/conversations/${conversation}/messages`

  it('are JSON, in any of its content types', async () => {
    for (const type of [
      'application/json; charset=utf-8',
      'APPLICATION/JSON',
      'application/vnd.api+json',
      'application/json;x=y',
    ]) {
      expect((await muro.post(path(), { content: 'hi' }, { 'Content-Type': type })).status).toBe(201)
    }
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data',
      'application/jsonx',
      'json',
      '',
    ]) {
      for (const answer of [
        await muro.post(path(), '{"content":"hi"}', { 'Content-Type': type }),
        await muro.patch(`/conversations/${conversation}`, '{"status":"closed"}', { 'Content-Type': type }),
      ]) {
        expect([type, answer.status]).toEqual([type, 415])
        expect(answer.body).toEqual(muroError('invalid_request_error', 'unsupported_media_type'))
      }
    }
  })

  it('that are broken, or are no UTF-8, are refused', async () => {
    const latin = Buffer.from('{"content":"caf\xe9"}', 'latin1')
    const surrogate = Buffer.concat([Buffer.from('{"content":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')])
    for (const body of [
      '{',
      '{"content":}',
      'hello',
      "{'content':'hi'}",
      '{"content":"a\nb"}',
      '[1,]',
      '\0',
      latin,
      surrogate,
    ]) {
      const answer = await muro.post(path(), body)
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid'))
    }
  })

  it('that are compressed are refused as such', async () => {
    for (const encoding of ['gzip', 'br', 'gzip, identity']) {
      const answer = await muro.post(path(), gzipSync('{"content":"hi"}'), { 'Content-Encoding': encoding })
      expect([answer.status, answer.body]).toEqual([
        415,
        muroError('invalid_request_error', 'unsupported_media_type', 'Content-Encoding'),
      ])
    }
    expect((await muro.post(path(), { content: 'hi' }, { 'Content-Encoding': 'Identity' })).status).toBe(201)
  })

  it('that are no object are refused', async () => {
    for (const body of ['null', '[]', '"text"', '3', '']) {
      const answer = await muro.post(path(), body, { 'Content-Type': 'application/json' })
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual(muroError('invalid_request_error', 'invalid'))
    }
    expect((await muro.post(path())).status).toBe(400)
  })

  it('may have 1 MiB, and not one byte more', async () => {
    const body = (bytes: number) => `{"content":"hi","pad":"${'x'.repeat(bytes - 25)}"}`
    expect(Buffer.byteLength(body(1024 * 1024))).toBe(1024 * 1024)
    expect((await muro.post(path(), body(1024 * 1024))).status).toBe(201)
    const answer = await muro.post(path(), body(1024 * 1024 + 1))
    expect(answer.status).toBe(413)
    expect(answer.body).toEqual(muroError('invalid_request_error', 'too_large'))
  })
})

describe('GET /realtime', () => {
  it('tells what pusher-js needs, and no secret', async () => {
    const { status, body } = await muro.get('/realtime')
    const { hostname } = new URL(api.url)
    expect(status).toBe(200)
    expect(body).toEqual({
      object: 'realtime',
      enabled: true,
      config: { key: expect.any(String), host: hostname, port: api.realtimePort, forceTLS: false, cluster: '' },
      auth_endpoint: `${api.url}/api/v1/realtime/auth`,
      channels: {
        workspace: `private-org-${tenant.workspace.publicId}`,
        site: 'private-site-{id}',
        conversation: 'private-conv-{id}',
        visitor: 'private-visitor-{id}',
        workspace_presence: `presence-org-${tenant.workspace.publicId}`,
        conversation_presence: 'presence-conv-{id}',
      },
      events: expect.objectContaining({ 'message.new': expect.arrayContaining(['id', 'content', 'seq']) }),
      sync: { url: `${api.url}/api/v1/sync`, cursor: expect.any(String) },
    })
  })

  it('gives a key that is pinned to a site the channel of its site, in the place of the workspace’s', async () => {
    const { key } = await tenant.makeKey(tenant.site)
    const { status, body, text } = await muroClient(api.url, key).get('/realtime')
    expect(status).toBe(200)
    expect(body).toMatchObject({
      channels: {
        workspace: `private-site-${tenant.site.id}`,
        conversation: 'private-conv-{id}',
        visitor: 'private-visitor-{id}',
        conversation_presence: 'presence-conv-{id}',
      },
    })
    expect(text).not.toContain(tenant.workspace.publicId)
  })
})
