/** P7 at the MCP server: whatever is sent, it is answered, and nothing ends the program. */

import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { call, muroClient } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'
import { type Mcp, mcpOf, rpcError } from './mcp.ts'

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

describe('what is no message', () => {
  it.each(['GET', 'DELETE', 'PUT', 'PATCH'])('%s is refused, with what is served', async (method) => {
    for (const path of ['/api/mcp', '/api/mcp/']) {
      const answer = await call(api.url, method, path, { key: tenant.apiKey })
      const said = [path, answer.status, answer.headers.get('allow'), answer.body]
      expect(said).toEqual([path, 405, 'POST, OPTIONS', rpcError(-32600)])
      expect((await call(api.url, 'OPTIONS', path)).status).toBe(204)
      expect((await call(api.url, 'POST', path, { key: tenant.apiKey, body: ping })).body).toEqual(pong)
    }
  })

  it.each([
    ['nothing', undefined],
    ['an empty body', ''],
    ['half of one', '{"jsonrpc":"2.0","id":1'],
    ['text', 'hello'],
    ['bytes that are no UTF-8', new Uint8Array([0x22, 0xff, 0x22])],
  ])('%s is a parse error', async (_, body) => {
    const answer = await mcp.send(body, { 'Content-Type': 'application/json' })
    expect([answer.status, answer.body]).toEqual([400, rpcError(-32700)])
  })

  it.each([
    ['a batch', [ping, ping]],
    ['an empty batch', []],
    ['null', null],
    ['a number', 1],
    ['an object', {}],
    ['another protocol', { ...ping, jsonrpc: '1.0' }],
    ['no method', { jsonrpc: '2.0', id: 1 }],
    ['a method that is none', { ...ping, method: 1 }],
    ['an id that is null', { ...ping, id: null }],
    ['an id that is an object', { ...ping, id: {} }],
    ['an id that is a fraction', { ...ping, id: 1.5 }],
    ['params that are a list', { ...ping, params: [] }],
  ])('%s is an invalid request', async (_, body) => {
    const answer = await mcp.send(JSON.stringify(body))
    expect(answer.status).toBe(400)
    expect(answer.body).toMatchObject({ jsonrpc: '2.0', error: { code: -32600 } })
  })

  it('what is too large or of another type is refused by its status', async () => {
    const large = await mcp.send({ ...ping, params: { pad: 'x'.repeat(1024 * 1024) } })
    expect([large.status, large.body]).toEqual([413, rpcError(-32600)])
    const fits = await mcp.request('tools/call', { name: 'list_sites', arguments: { pad: 'x'.repeat(1000 * 1024) } })
    expect(fits.body).toMatchObject({ result: { isError: true } })
    const typed = await mcp.send('a=b', { 'Content-Type': 'application/x-www-form-urlencoded' })
    expect([typed.status, typed.body]).toEqual([415, rpcError(-32600)])
  })

  it('depth harms nothing', async () => {
    const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
    for (const levels of [100, 10_000, 400_000]) {
      for (const text of [
        deep(levels),
        `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${deep(levels)}}`,
        `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"a":${deep(levels)}}}}`,
        `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_sites","arguments":{"a":${deep(levels)}}}}`,
        `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"update_conversation","arguments":{"id":"cnv_x","metadata":{"a":${deep(levels)}}}}}`,
        `{"jsonrpc":"2.0","id":${deep(levels)},"method":"ping"}`,
      ]) {
        expect((await mcp.send(text)).status).toBeLessThan(500)
      }
    }
    expect((await mcp.send(ping)).body).toEqual(pong)
  })

  it('whatever it is, it is answered, and the program goes on', async () => {
    const words = ['__proto__', 'constructor', 'toString', '', 'tools/call', 'tools/list', 'initialize', 'ping']
    const word = fc.oneof(
      fc.constantFrom(...words, 'notifications/initialized', 'notifications/cancelled', 'subscriptions/listen'),
      fc.string({ unit: 'binary', maxLength: 8 }),
    )
    const value = fc.oneof(word, fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(1e308, -0, 2 ** 53, 1.5))
    const named = (...names: string[]) => fc.oneof(fc.constantFrom(...names), value)
    const args = fc.oneof(
      value,
      fc.dictionary(
        fc.oneof(fc.constantFrom('id', 'conversation_id', 'content', 'metadata', 'limit', 'q'), word),
        value,
        {
          maxKeys: 4,
        },
      ),
    )
    const meta = fc.record(
      {
        'io.modelcontextprotocol/protocolVersion': named('2026-07-28', '2025-11-25'),
        'io.modelcontextprotocol/clientCapabilities': fc.oneof(fc.constant({}), value),
        'io.modelcontextprotocol/clientInfo': value,
        progressToken: value,
      },
      { requiredKeys: [] },
    )
    const params = fc.oneof(
      value,
      fc.record(
        {
          name: named('list_conversations', 'get_conversation', 'send_reply', 'update_conversation', 'get_contact'),
          arguments: args,
          _meta: fc.oneof(meta, value),
          notifications: value,
          protocolVersion: value,
          requestState: value,
        },
        { requiredKeys: [] },
      ),
    )
    const message = fc.record(
      {
        jsonrpc: named('2.0'),
        id: fc.oneof(fc.constant(1), value),
        method: named('tools/call', 'tools/list', 'initialize', 'server/discover', 'subscriptions/listen'),
        params,
        result: value,
        error: value,
      },
      { requiredKeys: [] },
    )
    const header = fc.oneof(
      fc.constantFrom('2026-07-28', '2025-11-25', 'tools/call', 'tools/list', 'list_conversations', '=?base64?!?='),
      fc.string({ maxLength: 6 }).map((text) => text.replace(/[^\x21-\x7e]/g, 'x')),
    )
    const headers = fc.record(
      { 'MCP-Protocol-Version': header, 'Mcp-Method': header, 'Mcp-Name': header, 'Mcp-Session-Id': header },
      { requiredKeys: [] },
    )
    await fc.assert(
      fc.asyncProperty(fc.oneof({ weight: 9, arbitrary: message }, value), headers, async (body, sent) => {
        const { status, text } = await mcp.send(JSON.stringify(body), sent)
        expect(status, text).toBeLessThan(500)
      }),
      { numRuns: 600 },
    )
    expect((await mcp.send(ping)).body).toEqual(pong)
    expect((await muroClient(api.url, tenant.apiKey).get('/conversations')).status).toBe(200)
  })
})
