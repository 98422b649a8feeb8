/** The API described: the OpenAPI document is whole and right, and its page loads nothing from elsewhere. */

import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { errorCodes } from '../../schema/errors.ts'
import { examples } from '../../schema/muro/examples.ts'
import { webhookTypes } from '../../schema/muro/webhooks.ts'
import { tags } from '../../server/faces/api-docs/about.ts'
import { type Api, startApi } from '../support/api.ts'
import { call, muroClient } from '../support/http.ts'

const schema = z.record(z.string(), z.unknown())
const media = z.looseObject({ schema: schema.optional() })
const answer = z.looseObject({ $ref: z.string().optional(), content: z.record(z.string(), media).optional() })
const operation = z.looseObject({
  operationId: z.string().optional(),
  summary: z.string().optional(),
  tags: z.array(z.string()).default([]),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  parameters: z.array(z.looseObject({ $ref: z.string().optional(), in: z.string().optional() })).default([]),
  requestBody: z.looseObject({ required: z.boolean(), content: z.record(z.string(), media) }).optional(),
  responses: z.record(z.string(), answer),
})
const openApi = z.looseObject({
  openapi: z.literal('3.1.0'),
  info: z.looseObject({ title: z.string(), version: z.string(), description: z.string() }),
  servers: z.array(z.object({ url: z.string() })),
  tags: z.array(z.object({ name: z.string(), description: z.string().min(10) })),
  paths: z.record(z.string(), z.record(z.string(), operation)),
  webhooks: z.record(z.string(), z.object({ post: operation })),
  components: z.looseObject({
    schemas: z.record(z.string(), schema),
    responses: z.record(z.string(), answer),
    parameters: z.record(z.string(), z.looseObject({ schema })),
  }),
})

let api: Api
let text: string
let document: z.infer<typeof openApi>
/** Every operation with its method and path, such as `post /api/v1/contacts`. */
let operations: (z.infer<typeof operation> & { name: string; method: string; path: string })[]
beforeAll(async () => {
  api = await startApi()
  const served = await call(api.url, 'GET', '/api/v1/openapi.json')
  text = served.text
  document = openApi.parse(served.body)
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => ({ ...one, name: `${method} ${path}`, method, path })),
  )
})
afterAll(() => api.close())

/** Returns what is wrong with a value by a schema of the document; empty where nothing is. */
const faultsOf = (of: z.infer<typeof schema>, value: unknown): string[] => {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  const validate = ajv.compile({ ...of, components: document.components })
  return validate(value) ? [] : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
}

/** Returns an answer, also where it is said elsewhere. */
const resolve = (one: z.infer<typeof answer>): z.infer<typeof answer> => {
  const name = one.$ref?.replace('#/components/responses/', '')
  return name === undefined ? one : (document.components.responses[name] ?? {})
}

describe('the OpenAPI document', () => {
  it('is served to anyone, is kept by its ETag, and names the address that it was asked at', async () => {
    const path = '/api/v1/openapi.json'
    const first = await call(api.url, 'GET', path, { headers: { Origin: 'https://editor.example' } })
    expect(first.status).toBe(200)
    expect(first.headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(first.headers.get('access-control-allow-origin')).toBe('*')
    expect(first.headers.get('cache-control')).toBe('no-cache')
    expect(document.servers).toEqual([{ url: api.url }])
    const etag = first.headers.get('etag') ?? ''
    expect(etag).toMatch(/^"[\w-]{43}"$/)
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await call(api.url, 'GET', path, { headers: { 'If-None-Match': known } })
      expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', etag])
    }
    expect((await call(api.url, 'GET', path, { headers: { 'If-None-Match': '"other"' } })).text).toBe(text)
    const head = await call(api.url, 'HEAD', path)
    expect([head.status, head.text, head.headers.get('etag')]).toEqual([200, '', etag])
    expect(head.headers.get('content-length')).toBe(String(Buffer.byteLength(text)))
    const elsewhere = api.url.replace('127.0.0.1', 'localhost')
    const other = await call(elsewhere, 'GET', path, { headers: { 'If-None-Match': etag } })
    expect(openApi.parse(other.body).servers).toEqual([{ url: elsewhere }])
    const options = await call(api.url, 'OPTIONS', path)
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, OPTIONS'])
    expect(options.headers.get('access-control-allow-headers')).toContain('If-None-Match')
    expect((await call(api.url, 'POST', path)).status).toBe(405)
  })

  it('says what holds everywhere, in the version of the program', async () => {
    const { default: program } = await import('../../package.json', { with: { type: 'json' } })
    expect(document.info).toMatchObject({
      title: 'Hubbub API',
      version: program.version,
      license: { identifier: 'MIT' },
    })
    for (const word of ['mr_live_', 'next_cursor', 'invalid_request_error', 'Idempotency-Key', 'Retry-After', '6 h']) {
      expect(document.info.description).toContain(word)
    }
    expect(document.components.securitySchemes).toMatchObject({
      apiKey: { type: 'http', scheme: 'bearer' },
      siteKey: { type: 'apiKey', in: 'header', name: 'X-Api-Key' },
      visitorToken: { type: 'apiKey', in: 'header', name: 'X-Visitor-Token' },
    })
  })

  it('has every face under /api/v1, and nothing that is not for its users', () => {
    for (const path of ['/conversations', '/users/me', '/realtime/auth', '/chat/config', '/saved-replies/{id}']) {
      expect(Object.keys(document.paths)).toContain(`/api/v1${path}`)
    }
    expect(Object.keys(document.paths).filter((path) => !/^\/api\/v1\/[a-z]/.test(path))).toEqual([])
    expect(operations.filter(({ method }) => !['get', 'post', 'patch', 'delete'].includes(method))).toEqual([])
  })

  it('describes every route: a name of its own, what it is for, its part, and what it answers, good and bad', () => {
    const wrong = operations.flatMap(({ name, operationId, summary, tags: parts, responses }) => {
      const good = Object.entries(responses).filter(([status]) => status.startsWith('2'))
      const bad = Object.keys(responses).filter((status) => status.startsWith('4'))
      const contents = good.flatMap(([, { content = {} }]) => Object.values(content))
      return [
        ...(/^[a-z][A-Za-z]+$/.test(operationId ?? '') ? [] : [`${name} has no operationId`]),
        ...(summary && !summary.endsWith('.') ? [] : [`${name} has no summary`]),
        ...(parts.length === 1 && tags.some((tag) => tag.name === parts[0]) ? [] : [`${name} is of no known part`]),
        ...(contents.length > 0 && contents.every((one) => one.schema) ? [] : [`${name} does not say what it answers`]),
        ...(bad.length > 0 ? [] : [`${name} does not say how it fails`]),
      ]
    })
    expect(wrong).toEqual([])
    const names = operations.map(({ operationId }) => operationId)
    expect(new Set(names).size).toBe(names.length)
  })

  it('names every part that it has, and has something in each', () => {
    expect(document.tags.map(({ name }) => name)).toEqual(tags.map(({ name }) => name))
  })

  it('says the caps of what is searched for, the codes of errors, and that sync may be a stream', () => {
    const searching = operations.flatMap(({ name, parameters }) =>
      parameters.filter((one) => one.name === 'q').map((one) => [name, one.schema]),
    )
    expect(searching.map(([name]) => name)).toEqual(['get /api/v1/conversations', 'get /api/v1/contacts'])
    for (const [, of] of searching) expect(of).toMatchObject({ maxLength: 128 })
    const error = JSON.stringify(document.components.schemas.Error)
    for (const code of Object.keys(errorCodes)) {
      expect([code, new RegExp(`\\b${code}\\b`).test(error)]).toEqual([code, code !== 'unprocessable'])
    }
    expect(document.components.responses.Conflict).toMatchObject({ headers: { 'Retry-After': {} } })
    const answered = document.paths['/api/v1/sync']?.get?.responses['200']?.content
    expect(answered).toMatchObject({
      'application/json': { schema: { $ref: '#/components/schemas/Sync' } },
      'text/event-stream': { schema: { type: 'string' } },
    })
  })

  it('says of each route which key it needs, and for what', () => {
    const scopes = operations.map(({ name, path, method, security }) => {
      if (path.startsWith('/api/v1/chat/')) return [name, security, [{ siteKey: [] }]]
      if (path === '/api/v1/realtime/auth')
        return [name, security, [{ apiKey: ['read'] }, { siteKey: [], visitorToken: [] }]]
      if (method === 'get') return [name, security, [{ apiKey: ['read'] }]]
      if (method === 'post') return [name, security, expect.arrayContaining([{ apiKey: [expect.any(String)] }])]
      return [name, security, [{ apiKey: ['write'] }]]
    })
    for (const [name, security, expected] of scopes) expect([name, security]).toEqual([name, expected])
  })

  it('offers the Idempotency-Key on every POST that takes it, and on nothing else', () => {
    const taking = operations.filter(({ parameters }) =>
      parameters.some(({ $ref }) => $ref === '#/components/parameters/IdempotencyKey'),
    )
    for (const { name, method, responses } of taking) {
      expect([name, method, Object.keys(responses)]).toEqual([name, 'post', expect.arrayContaining(['409'])])
    }
    const others = operations.filter((one) => one.method === 'post' && !taking.includes(one))
    for (const { name, path, security } of others) {
      const isReading = security.every(({ apiKey }) => apiKey?.includes('read') ?? false)
      expect([name, isReading || ['/api/v1/realtime/auth', '/api/v1/chat/conversations'].includes(path)]).toEqual([
        name,
        true,
      ])
    }
  })

  it('names headers and errors once, and nothing twice or for nothing', () => {
    const { schemas, responses } = document.components
    expect(Object.keys(schemas).filter((name) => /Input$|^def-|__/.test(name))).toEqual([])
    const unused = [
      ...Object.keys(schemas).filter((name) => !text.includes(`"#/components/schemas/${name}"`)),
      ...Object.keys(responses).filter((name) => !text.includes(`"#/components/responses/${name}"`)),
    ]
    expect(unused).toEqual([])
    const refs = [...text.matchAll(/"\$ref":"#\/components\/(\w+)\/([^"]+)"/g)]
    const dangling = refs.filter(
      ([, kind = '', name = '']) => !(name in z.record(z.string(), z.unknown()).parse(document.components[kind])),
    )
    expect(dangling).toEqual([])
    expect(responses.RateLimited).toMatchObject({
      headers: { 'Retry-After': {}, 'X-Request-Id': {}, 'X-RateLimit-Remaining': {} },
    })
    expect(text).not.toMatch(/Default Response|x-noted|additionalProperties":false[^}]*"object"/)
  })

  it('tells of each webhook, with its headers', () => {
    expect(Object.keys(document.webhooks)).toEqual(webhookTypes)
    for (const { post } of Object.values(document.webhooks)) {
      expect(post.parameters.map(({ $ref }) => $ref)).toContain('#/components/parameters/WebhookSignature')
    }
    expect(Object.values(document.components.parameters).map(({ name }) => name)).toEqual(
      expect.arrayContaining(['x-muro-event', 'x-muro-event-id', 'x-muro-timestamp', 'x-muro-signature']),
    )
  })
})

describe('the examples of the document', () => {
  it('are right by their schemas', () => {
    const faults: string[] = []
    let seen = 0
    const walk = (value: unknown, place: string): void => {
      if (typeof value !== 'object' || value === null) return
      const held = z.record(z.string(), z.unknown()).safeParse(value).data ?? {}
      const own = schema.safeParse(held.schema).data
      const check = (of: z.infer<typeof schema>, example: unknown) => {
        seen += 1
        faults.push(...faultsOf(of, example).map((fault) => `${place}: ${fault}`))
      }
      if (own && 'example' in held) check(own, held.example)
      if (Array.isArray(held.examples)) for (const example of held.examples) check(held, example)
      for (const [key, child] of Object.entries(value)) {
        if (key !== 'example' && key !== 'examples') walk(child, `${place}/${key}`)
      }
    }
    walk(document, '')
    expect(faults).toEqual([])
    expect(seen).toBeGreaterThan(40)
  })

  it('are what the contracts take', () => {
    for (const [contract, example] of examples) expect(contract.safeParse(example)).toMatchObject({ success: true })
  })

  it('are there for what is sent and answered most', () => {
    const { schemas } = document.components
    for (const name of ['Conversation', 'SavedReply', 'User', 'Site', 'MessageCreatedWebhook', 'SiteError']) {
      expect([name, schemas[name]?.examples]).toEqual([name, [expect.any(Object)]])
    }
    const body = document.paths['/api/v1/saved-replies']?.post?.requestBody?.content['application/json']
    expect(body?.example).toMatchObject({ shortcut: '/refund' })
  })

  it('are what is answered: every list and every other GET without an id fits what the document says of it', async () => {
    const tenant = await api.makeTenant()
    const muro = muroClient(api.url, tenant.apiKey)
    const { conversation } = await tenant.thread()
    await muro.post(`/conversations/${conversation}/messages`, { content: 'Hello' })
    await muro.post('/saved-replies', { shortcut: 'hi', title: 'Hi', body: 'Hi' })
    const asked = operations.filter(({ method, path }) => method === 'get' && !path.includes('{'))
    const described = asked.flatMap(({ path, responses }) => {
      const content = responses['200']?.content?.['application/json']?.schema
      return content ? [{ path, content, responses }] : []
    })
    expect(described.length).toBeGreaterThan(5)
    for (const { path, content, responses } of described) {
      const headers = path.includes('/chat/') ? { 'X-Api-Key': tenant.site.site_key } : undefined
      const got = await call(api.url, 'GET', path, headers ? { headers } : { key: tenant.apiKey })
      expect([path, got.status, faultsOf(content, got.body)]).toEqual([path, 200, []])
      const refused = await call(api.url, 'GET', path)
      const error = resolve(responses['401'] ?? {}).content?.['application/json']?.schema
      expect([path, refused.status, error && faultsOf(error, refused.body)]).toEqual([path, 401, []])
    }
  })
})

const lint = z.object({
  problems: z.array(
    z.object({
      ruleId: z.string(),
      message: z.string(),
      location: z.array(z.object({ pointer: z.string().optional() })),
    }),
  ),
})

it('the document is clean by the recommended rules of Redocly', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hubbub-test-'))
  const file = join(folder, 'openapi.json')
  await writeFile(file, text)
  const root = fileURLToPath(new URL('../..', import.meta.url))
  // Whatever it would ask the network for ends it, so that what it finds depends on nothing else.
  const offline = `import net from 'node:net'; net.Socket.prototype.connect = () => process.exit(99)`
  const { code, output } = await new Promise<{ code: unknown; output: string }>((done) => {
    execFile(
      process.execPath,
      [
        '--import',
        `data:text/javascript,${encodeURIComponent(offline)}`,
        join(root, 'node_modules/@redocly/cli/bin/cli.js'),
        ...['lint', '--config', join(root, 'redocly.yaml'), '--format', 'json', file],
      ],
      {
        timeout: 20_000,
        env: { PATH: process.env.PATH, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
      },
      (error, stdout) => done({ code: error ? error.code : 0, output: stdout }),
    )
  })
  await rm(folder, { recursive: true, force: true })
  const { problems } = lint.parse(JSON.parse(output))
  const told = problems.map(({ ruleId, location: [place], message }) => `${ruleId}: ${place?.pointer}: ${message}`)
  expect([code, told]).toEqual([0, []])
})

describe('the page at /docs', () => {
  it('is there with and without a slash at the end, and may load nothing but what is served here', async () => {
    for (const [path, prefix] of [
      ['/docs', 'docs/'],
      ['/docs/', ''],
    ] as const) {
      const page = await call(api.url, 'GET', path)
      expect([path, page.status, page.headers.get('content-type')]).toEqual([path, 200, 'text/html; charset=utf-8'])
      const policy = page.headers.get('content-security-policy')
      expect(policy).toBe(
        "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; font-src data:; " +
          `connect-src 'self' ${api.url}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      )
      expect(page.text).not.toMatch(/https?:|\/\/|<script>|<style/)
      const addresses = [...page.text.matchAll(/(?:src|href|data-url)="([^"]*)"/g)].map(([, one]) => one)
      const found = await Promise.all(
        addresses.filter((one) => one !== 'data:,').map((one) => fetch(new URL(one ?? '', api.url + path))),
      )
      expect(found.map(({ status, url }) => [status, new URL(url).pathname])).toEqual([
        [200, '/api/v1/openapi.json'],
        [200, '/api/v1/openapi.json'],
        [200, '/docs/scalar-1.40.0.js'],
      ])
      expect(page.text).toContain(`src="${prefix}scalar-1.40.0.js"`)
      const [, configuration = ''] = /data-configuration="([^"]*)"/.exec(page.text) ?? []
      expect(JSON.parse(configuration.replaceAll('&quot;', '"'))).toMatchObject({
        withDefaultFonts: false,
        telemetry: false,
        showDeveloperTools: 'never',
      })
      const head = await call(api.url, 'HEAD', path)
      expect([head.status, head.text]).toEqual([200, ''])
      expect((await call(api.url, 'OPTIONS', path)).headers.get('allow')).toBe('GET, HEAD, OPTIONS')
      expect((await call(api.url, 'POST', path)).status).toBe(405)
    }
    expect((await call(api.url, 'GET', '/docs/nothing')).status).toBe(404)
  })

  it('has the script of the package that is installed, compressed for who can read it, and to keep for good', async () => {
    const { default: scalar } = await import('../../node_modules/@scalar/fastify-api-reference/package.json', {
      with: { type: 'json' },
    })
    const path = `/docs/scalar-${scalar.version}.js`
    const plain = await call(api.url, 'GET', path, { headers: { 'Accept-Encoding': 'identity' } })
    expect([plain.status, plain.headers.get('content-type')]).toEqual([200, 'text/javascript; charset=utf-8'])
    expect(plain.headers.get('content-encoding')).toBeNull()
    expect(plain.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    expect(plain.headers.get('x-content-type-options')).toBe('nosniff')
    expect(plain.headers.get('vary')).toBe('Accept-Encoding')
    expect(plain.text.length).toBeGreaterThan(1_000_000)
    const small = await fetch(api.url + path, { headers: { 'Accept-Encoding': 'gzip' } })
    expect(small.headers.get('content-encoding')).toBe('gzip')
    expect(Number(small.headers.get('content-length'))).toBeLessThan(plain.text.length / 2)
    expect(await small.text()).toBe(plain.text)
    const etag = plain.headers.get('etag') ?? ''
    const again = await call(api.url, 'GET', path, { headers: { 'If-None-Match': etag } })
    expect([again.status, again.text]).toEqual([304, ''])
    const head = await call(api.url, 'HEAD', path, { headers: { 'Accept-Encoding': 'identity' } })
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(Buffer.byteLength(plain.text))])
  })
})
