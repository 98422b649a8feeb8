/** Who may call the MCP server: by which key, how often, and from which page. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { freePort } from '../realtime/start-realtime.ts'
import { type Api, startApi } from '../support/api.ts'
import { call, muroClient } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'
import { type Mcp, mcpOf, postRaw, rpcError } from './mcp.ts'

const ours = 'https://chat.example.com'
const named = 'https://desk.example.com'
const limit = 40

let api: Api
// Where the program is; its PUBLIC_URL is another.
let url: string
beforeAll(async () => {
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  const origins = { PUBLIC_URL: `${ours}/`, MCP_ALLOWED_ORIGINS: `${named}, http://localhost:5173` }
  const counted = { RATE_LIMIT_PER_MINUTE: String(limit), TRUST_PROXY: 'loopback' }
  api = await startApi({ PORT: String(port), ...origins, ...counted })
})
afterAll(() => api.close())

let tenant: Tenant
let mcp: Mcp
beforeEach(async () => {
  tenant = await api.makeTenant()
  mcp = mcpOf(url, tenant.apiKey)
})

const ping = { jsonrpc: '2.0', id: 1, method: 'ping' }
const pong = { jsonrpc: '2.0', id: 1, result: {} }

describe('a key', () => {
  it('that opens nothing is refused before anything is read of the message', async () => {
    for (const headers of [
      {},
      { Authorization: 'Bearer mr_live_unknown' },
      { Authorization: tenant.apiKey },
      { Authorization: `Basic ${tenant.apiKey}` },
      { 'X-Api-Key': tenant.apiKey },
    ]) {
      for (const body of [ping, '{', undefined]) {
        const answer = await mcpOf(url, undefined).send(body, headers)
        expect(answer.status).toBe(401)
        expect(answer.headers.get('www-authenticate')).toBe('Bearer')
        expect(answer.body).toEqual({
          jsonrpc: '2.0',
          id: null,
          error: {
            code: 401,
            message: expect.any(String),
            data: { type: 'authentication_error', code: 'unauthenticated' },
          },
        })
      }
    }
  })

  it('that is revoked opens nothing from then on', async () => {
    const { id, key } = await tenant.makeKey()
    const revoked = mcpOf(url, key)
    expect((await revoked.send(ping)).body).toEqual(pong)
    expect((await api.run('key', 'revoke', id)).code).toBe(0)
    expect((await revoked.send(ping)).status).toBe(401)
    expect((await mcp.send(ping)).body).toEqual(pong)
  })
})

describe('where requests are counted', () => {
  it('a key has as many as for REST, in one count, whatever they are', async () => {
    const { apiKey } = await api.makeTenant()
    const muro = muroClient(url, apiKey)
    const speaker = mcpOf(url, apiKey)
    const act = (turn: number) => {
      if (turn % 4 === 0) return muro.get('/conversations')
      return speaker.send(turn % 4 === 1 ? ping : turn % 4 === 2 ? '{' : { ...ping, method: 'tools/list' })
    }
    for (let left = limit - 1; left >= 0; left -= 1) {
      const { status, headers } = await act(left)
      expect(status).toBeLessThan(401)
      expect(headers.get('x-ratelimit-limit')).toBe(String(limit))
      expect(headers.get('x-ratelimit-remaining')).toBe(String(left))
    }
    const refused = await speaker.send(ping)
    expect([refused.status, refused.body]).toEqual([429, rpcError(429)])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect((await muro.get('/conversations')).status).toBe(429)
    expect((await mcpOf(url, (await api.makeTenant()).apiKey).send(ping)).body).toEqual(pong)
  })

  it('an address without a key has as many too, in one count with REST', async () => {
    const unknown = mcpOf(url, 'mr_live_unknown')
    const seen: number[] = []
    for (let count = 0; count <= limit; count += 1) {
      const headers = { 'X-Forwarded-For': '192.0.2.7' }
      const asked = count % 2 === 0 ? unknown.send(ping, headers) : call(url, 'GET', '/api/v1/contacts', { headers })
      seen.push((await asked).status)
    }
    expect(seen).toEqual([...Array.from({ length: limit }, () => 401), 429])
    expect((await unknown.send(ping, { 'X-Forwarded-For': '192.0.2.8' })).status).toBe(401)
  })

  it('a page that may not call, and what is not served, take nothing', async () => {
    const { apiKey } = await api.makeTenant()
    const speaker = mcpOf(url, apiKey)
    for (let count = 0; count < limit; count += 1) {
      expect((await speaker.send(ping, { Origin: 'https://evil.example' })).status).toBe(403)
      expect((await call(url, 'GET', '/api/mcp', { key: apiKey })).status).toBe(405)
    }
    const { headers } = await speaker.send(ping)
    expect(headers.get('x-ratelimit-remaining')).toBe(String(limit - 1))
  })
})

describe('a page', () => {
  const from = async (origin: string | undefined, host?: string) => {
    const headers = {
      ...(origin === undefined ? {} : { Origin: origin }),
      ...(host === undefined ? {} : { Host: host }),
    }
    return (await rawPost(headers)).status
  }

  const rawPost = (headers: Record<string, string>) =>
    postRaw(
      url,
      { Authorization: `Bearer ${tenant.apiKey}`, 'Content-Type': 'application/json', ...headers },
      JSON.stringify(ping),
    )

  it('may call where it is ours, is named, or stands at the address that it calls', async () => {
    const { host, port } = new URL(url)
    for (const origin of [undefined, ours, named, 'http://localhost:5173', `http://${host}`, `https://${host}`]) {
      expect([origin, await from(origin)]).toEqual([origin, 200])
    }
    expect(await from(`http://localhost:${port}`, `localhost:${port}`)).toBe(200)
    expect(await from(`http://[::1]:${port}`, `[::1]:${port}`)).toBe(200)
  })

  it('may not call where it is anybody else’s, and is told nothing', async () => {
    const { port } = new URL(url)
    const before = await api.rowsOf(tenant)
    for (const origin of [
      'https://evil.example',
      'null',
      '',
      'https://chat.example.com.evil.example',
      'http://chat.example.com',
      'https://chat.example.com:8443',
      `http://localhost:${port}`,
      `http://127.0.0.1:${Number(port) + 1}`,
      'http://localhost:5174',
      'file://',
      'not an origin',
    ]) {
      const { status, body } = await rawPost({ Origin: origin })
      expect([origin, status, body]).toEqual([origin, 403, rpcError(403)])
      expect(body).toMatchObject({ error: { message: expect.stringContaining('MCP_ALLOWED_ORIGINS') } })
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
  })

  it('may not call under a name that somebody leads here', async () => {
    const { port } = new URL(url)
    expect(await from(`http://evil.example:${port}`, `evil.example:${port}`)).toBe(403)
    expect(await from('http://evil.example', 'evil.example')).toBe(403)
    // A program may come by any name, such as that of a service in a cluster.
    expect(await from(undefined, 'hubbub-rest:3000')).toBe(200)
  })

  it('asks first what it may send', async () => {
    const answer = await call(url, 'OPTIONS', '/api/mcp', { headers: { Origin: named } })
    expect(answer.status).toBe(204)
    expect(answer.headers.get('access-control-allow-methods')).toBe('POST, OPTIONS')
    for (const header of ['Authorization', 'Content-Type', 'MCP-Protocol-Version', 'Mcp-Method', 'Mcp-Name']) {
      expect(answer.headers.get('access-control-allow-headers')?.split(', ')).toContain(header)
    }
  })
})
