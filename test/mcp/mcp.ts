/** Speaks MCP by hand, as curl does, and reads what is answered. */

import { request } from 'node:http'
import { expect } from 'vitest'
import { z } from 'zod'
import { type Answer, call } from '../support/http.ts'

const result = z.looseObject({
  content: z.tuple([z.object({ type: z.literal('text'), text: z.string() })]),
  structuredContent: z.record(z.string(), z.unknown()).optional(),
  isError: z.boolean().optional(),
})

const answered = z.object({ jsonrpc: z.literal('2.0'), id: z.number(), result })

const refused = z.object({
  error: z.looseObject({
    type: z.string(),
    message: z.string().min(1),
    code: z.string(),
    param: z.string().optional(),
    next: z.string().regex(/^[A-Z].*\.$/),
  }),
})

/** Posts a text with exactly these headers, Host and an empty Origin among them, which fetch would not. */
export const postRaw = (
  api: string,
  headers: Record<string, string>,
  text: string,
): Promise<{ status: number; type: string | undefined; body: unknown }> =>
  new Promise((done, fail) => {
    const { hostname, port } = new URL(api)
    const sent = request({ hostname, port, method: 'POST', path: '/api/mcp', headers }, (answer) => {
      let said = ''
      answer.on('data', (piece) => {
        said += piece
      })
      answer.on('end', () =>
        done({ status: answer.statusCode ?? 0, type: answer.headers['content-type'], body: JSON.parse(said) }),
      )
    })
    sent.on('error', fail)
    sent.end(text)
  })

/** What a tool answered, or the error that it is about. */
export type ToolAnswer = { content: Record<string, unknown> } | { error: z.infer<typeof refused>['error'] }

export type Mcp = ReturnType<typeof mcpOf>

/** Returns what speaks to the server with an API key. */
export const mcpOf = (api: string, key: string | undefined) => {
  const send = (body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
    call(api, 'POST', '/api/mcp', { body, headers, ...(key === undefined ? {} : { key }) })
  const asked = (method: string, params?: unknown) => send({ jsonrpc: '2.0', id: 1, method, params })
  const ask = async (name: string, args?: Record<string, unknown>): Promise<ToolAnswer> => {
    const { status, body } = await asked('tools/call', { name, ...(args ? { arguments: args } : {}) })
    if (status !== 200) throw new Error(`${name} was answered ${status}: ${JSON.stringify(body)}`)
    const { content, structuredContent, isError } = answered.parse(body).result
    const said = JSON.parse(content[0].text)
    if (!isError) {
      if (JSON.stringify(said) !== JSON.stringify(structuredContent)) throw new Error(`${name} said two things`)
      return { content: said }
    }
    // Clients hold structured content against the schema of the answers.
    if (structuredContent !== undefined) throw new Error(`${name} answered an error with structured content`)
    return { error: refused.parse(said).error }
  }
  return {
    send,
    request: asked,
    ask,
    /** Returns what a tool answers; fails where it is an error. */
    tool: async (name: string, args?: Record<string, unknown>) => {
      const answer = await ask(name, args)
      if ('error' in answer) throw new Error(`${name}: ${JSON.stringify(answer.error)}`)
      return answer.content
    },
  }
}

/** What a request of 2026-07-28 carries: its `_meta`, and the headers that say the same. */
export const modern = (method: string, params: Record<string, unknown> = {}, id: number | string = 1) => {
  const revision = '2026-07-28'
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': revision,
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  const name = typeof params.name === 'string' ? { 'Mcp-Name': params.name } : {}
  return {
    body: { jsonrpc: '2.0', id, method, params: { ...params, _meta } },
    headers: { 'MCP-Protocol-Version': revision, 'Mcp-Method': method, ...name },
  }
}

/** Returns a matcher of an error of JSON-RPC. */
export const rpcError = (code: number, id: number | string | null = null) => ({
  jsonrpc: '2.0',
  id,
  error: expect.objectContaining({ code, message: expect.stringMatching(/./) }),
})
