/** What clients of each revision of MCP, and of none, are answered. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import type { Tenant } from '../support/tenant.ts'
import { type Mcp, mcpOf, modern, postRaw, rpcError } from './mcp.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

let tenant: Tenant
let mcp: Mcp
beforeEach(async () => {
  tenant = await api.makeTenant()
  mcp = mcpOf(api.url, tenant.apiKey)
})

const ping = { jsonrpc: '2.0', id: 1, method: 'ping' }
const pong = { jsonrpc: '2.0', id: 1, result: {} }

describe('a request', () => {
  it('of curl, with no word about MCP, is answered as plain JSON', async () => {
    const { conversation } = await tenant.thread()
    const headers = {
      'User-Agent': 'curl/8.5.0',
      Accept: '*/*',
      Authorization: `Bearer ${tenant.apiKey}`,
      'Content-Type': 'application/json',
    }
    const text = `{"jsonrpc":"2.0","id":1,"method":"tools/call",
"params":{"name":"list_conversations",
"arguments":{"status":"open","limit":10}}}`
    const { status, type, body } = await postRaw(api.url, headers, text)
    expect([status, type]).toEqual([200, expect.stringMatching(/^application\/json/)])
    expect(body).toMatchObject({
      jsonrpc: '2.0',
      id: 1,
      result: { structuredContent: { object: 'list', data: [{ id: conversation, status: 'open' }], has_more: false } },
    })
  })

  it.each([
    undefined,
    '*/*',
    'application/json',
    'text/event-stream',
    'application/json, text/event-stream',
    'text/html',
    '',
  ])('that accepts %s is answered as JSON', async (accept) => {
    const listed = { jsonrpc: '2.0', id: 'a', method: 'tools/list' }
    for (const { body, headers } of [
      { body: listed, headers: {} },
      { body: listed, headers: { 'MCP-Protocol-Version': '2025-06-18' } },
      modern('tools/list', {}, 'a'),
    ]) {
      const answer = await mcp.send(body, { ...headers, ...(accept === undefined ? {} : { Accept: accept }) })
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
      expect(answer.body).toMatchObject({ id: 'a', result: { tools: expect.any(Array) } })
    }
  })

  it('has an id, is kept nowhere, and may be read by a page that may call', async () => {
    const { headers } = await mcp.send(ping, { 'X-Request-Id': 'mine' })
    expect(headers.get('x-request-id')).toBe('mine')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('access-control-allow-origin')).toBe('*')
    expect(headers.get('mcp-session-id')).toBeNull()
  })
})

describe('a client of 2025', () => {
  it('says hello and is given no session, in any revision', async () => {
    for (const [asked, given] of [
      ['2024-11-05', '2024-11-05'],
      ['2025-03-26', '2025-03-26'],
      ['2025-06-18', '2025-06-18'],
      ['2025-11-25', '2025-11-25'],
      ['1999-01-01', '2025-11-25'],
    ]) {
      const clientInfo = { name: 'test', version: '1' }
      const answer = await mcp.request('initialize', { protocolVersion: asked, capabilities: {}, clientInfo })
      expect(answer.headers.get('mcp-session-id')).toBeNull()
      expect(answer.body).toMatchObject({
        result: { protocolVersion: given, capabilities: { tools: {} }, serverInfo: { name: 'hubbub' } },
      })
    }
    const said = await mcp.send({ jsonrpc: '2.0', method: 'notifications/initialized' })
    expect([said.status, said.text]).toEqual([202, ''])
    expect((await mcp.send(ping, { 'Mcp-Session-Id': 'somebody else’s'.replace('’', '') })).body).toEqual(pong)
  })

  it('is told of a method that does not exist', async () => {
    expect(await mcp.request('resources/list')).toMatchObject({ status: 200, body: rpcError(-32601, 1) })
  })

  it('that names a revision there never was is told which there are', async () => {
    const supported = ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05', '2024-10-07']
    for (const [body, id] of [
      [ping, 1],
      [{ ...ping, method: 'tools/list', id: 'a' }, 'a'],
      [{ jsonrpc: '2.0', method: 'notifications/initialized' }, null],
    ] as const) {
      const answer = await mcp.send(body, { 'MCP-Protocol-Version': '1999-01-01' })
      expect(answer).toMatchObject({ status: 400, body: rpcError(-32022, id) })
      expect(answer.body).toMatchObject({ error: { data: { supported, requested: '1999-01-01' } } })
    }
    for (const revision of supported.slice(1)) {
      expect((await mcp.send(ping, { 'MCP-Protocol-Version': revision })).body).toEqual(pong)
    }
  })

  it('says hello whole, or is told what is missing', async () => {
    const clientInfo = { name: 'test', version: '1' }
    for (const params of [
      undefined,
      {},
      { protocolVersion: '2025-11-25' },
      { protocolVersion: 7, capabilities: {}, clientInfo },
      { protocolVersion: '2025-11-25', capabilities: {} },
    ]) {
      const answer = await mcp.request('initialize', params)
      expect([params, answer.status, answer.body]).toEqual([params, 400, rpcError(-32602, 1)])
      expect(answer.text).toContain('clientInfo')
    }
  })

  it('asks for a page of the tools where there is one only, and is told so', async () => {
    for (const cursor of ['more', '', 7]) {
      const { body, headers } = modern('tools/list', { cursor })
      for (const answer of [await mcp.request('tools/list', { cursor }), await mcp.send(body, headers)]) {
        expect([cursor, answer.status, answer.body]).toEqual([cursor, 200, rpcError(-32602, 1)])
      }
    }
    expect((await mcp.request('tools/list', { cursor: null })).body).toMatchObject({
      result: { tools: expect.arrayContaining([expect.objectContaining({ name: 'list_sites' })]) },
    })
  })

  it('has nothing to answer: nobody asks it', async () => {
    const answered = { jsonrpc: '2.0', id: 1, result: {} }
    expect(await mcp.send(answered)).toMatchObject({ status: 202, text: '' })
    const modernly = await mcp.send(answered, { 'MCP-Protocol-Version': '2026-07-28' })
    expect([modernly.status, modernly.body]).toEqual([400, rpcError(-32600)])
  })
})

describe('a client of 2026', () => {
  it('discovers the server, and may keep what it hears', async () => {
    const { body, headers } = modern('server/discover')
    expect((await mcp.send(body, headers)).body).toMatchObject({
      result: {
        resultType: 'complete',
        supportedVersions: ['2026-07-28'],
        capabilities: { tools: {} },
        instructions: expect.stringContaining('inbox'),
        ttlMs: 300_000,
        cacheScope: 'private',
        _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'hubbub' } },
      },
    })
  })

  it('is told 404 of a method that does not exist, also of those that were removed', async () => {
    for (const method of ['nope', 'ping', 'initialize', 'resources/list', 'logging/setLevel']) {
      const { body, headers } = modern(method, {}, 7)
      expect(await mcp.send(body, headers)).toMatchObject({ status: 404, body: rpcError(-32601, 7) })
    }
  })

  it('says in its headers what it says in its message', async () => {
    const { body, headers } = modern('tools/call', { name: 'list_sites', arguments: {} })
    const { 'Mcp-Method': method, 'Mcp-Name': name, 'MCP-Protocol-Version': revision } = headers
    for (const [wrong, code] of [
      [{ 'MCP-Protocol-Version': revision, 'Mcp-Method': method }, -32020],
      [{ 'MCP-Protocol-Version': revision, 'Mcp-Name': name ?? '' }, -32020],
      [{ 'Mcp-Method': method, 'Mcp-Name': name ?? '' }, -32020],
      [{ ...headers, 'Mcp-Name': 'send_reply' }, -32020],
      [{ ...headers, 'Mcp-Method': 'tools/list' }, -32020],
      [{ ...headers, 'MCP-Protocol-Version': '2025-11-25' }, -32020],
    ] as const) {
      expect(await mcp.send(body, wrong)).toMatchObject({ status: 400, body: rpcError(code, 1) })
    }
    const encoded = { ...headers, 'Mcp-Name': `=?base64?${Buffer.from('list_sites').toString('base64')}?=` }
    expect((await mcp.send(body, encoded)).status).toBe(200)
    const bare = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }
    const claimed = { 'MCP-Protocol-Version': revision, 'Mcp-Method': 'tools/list' }
    expect(await mcp.send(bare, claimed)).toMatchObject({ status: 400, body: rpcError(-32602, 1) })
  })

  it('is told which revisions there are', async () => {
    const { body, headers } = modern('tools/list')
    const _meta = { ...body.params._meta, 'io.modelcontextprotocol/protocolVersion': '2030-01-01' }
    const asked = { ...body, params: { _meta } }
    const answer = await mcp.send(asked, { ...headers, 'MCP-Protocol-Version': '2030-01-01' })
    expect(answer).toMatchObject({ status: 400, body: rpcError(-32022, 1) })
    expect(answer.body).toMatchObject({ error: { data: { supported: ['2026-07-28'], requested: '2030-01-01' } } })
  })

  it('that listens hears that there is nothing to hear, and the answer ends', async () => {
    const { body, headers } = modern('subscriptions/listen', { notifications: { toolsListChanged: true } }, 'sub')
    const { status, headers: given, text } = await mcp.send(body, headers)
    expect(status).toBe(200)
    expect(given.get('content-type')).toBe('text/event-stream')
    expect(text).toMatch(/notifications\/subscriptions\/acknowledged[\s\S]*"id":"sub","result":/)
  })
})
