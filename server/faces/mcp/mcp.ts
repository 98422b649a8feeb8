/** The MCP face: `POST /api/mcp`, by API key. */

import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { HubbubError } from '../../../schema/errors.ts'
import type { AgentScope } from '../../domain/context.ts'
import type { KeyCache } from '../../domain/key-cache.ts'
import { admitAgent } from '../../http/authenticate.ts'
import { waitOutside } from '../../http/deadline.ts'
import type { Limiter } from '../../http/limiter.ts'
import { invalidRequest, parseError } from './errors.ts'
import type { MakeServer } from './exchange.ts'
import { createOriginRule } from './origins.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** In whose name a call acts. */
    caller: AgentScope | null
  }
}

/** Who sends a message, and what waits for somebody outside, whose time does not count as the program's. */
export type Caller = { agent: AgentScope; outside<T>(wait: () => Promise<T>): Promise<T> }

/**
 * What the face needs: the origins of web pages that may call, how many requests a minute a key may make (0: no limit),
 * and what opens the servers that answer messages, at the first one: nobody who starts waits for what that loads.
 */
export type McpDeps = {
  keys: KeyCache
  limiter: Limiter
  perMinute: number
  origins: readonly string[]
  openServers(): Promise<(caller: Caller) => ReturnType<MakeServer>>
}

/** Adds the face's one route. Its errors are shown by `renderMcpError`. */
export const mcpFace: FastifyPluginAsyncZod<McpDeps> = async (face, { origins, openServers, ...access }) => {
  let opened: ReturnType<McpDeps['openServers']> | undefined
  const mayComeFrom = createOriginRule(origins)
  face.decorateRequest('caller', null)
  face.addHook('onRequest', async (request, reply) => {
    if (!mayComeFrom(request)) throw new HubbubError('forbidden', refusedPage)
    request.caller = await admitAgent(access, request, reply)
  })
  face.removeAllContentTypeParsers()
  face.addContentTypeParser(jsonType, { parseAs: 'buffer' }, async (_request: FastifyRequest, body: Buffer) =>
    readMessage(body),
  )
  face.post('/', { schema: { hide: true } }, async (request, reply) => {
    const { caller: agent, body = notJson, headers, log } = request
    if (!agent) throw new HubbubError('unauthenticated', 'This request was not admitted.')
    if (body === notJson) return refuse(reply, parseError, 'Parse error: the body is not JSON in UTF-8.')
    if (Array.isArray(body)) return refuse(reply, invalidRequest, 'Batches are not served: send one message a request.')
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    opened ??= openServers()
    const [serverFor, { exchange }] = await Promise.all([opened, import('./exchange.ts')])
    const makeServer = () => serverFor({ agent, outside: (wait) => waitOutside(request, reply, wait) })
    const onError = (error: Error) => log.debug({ err: error }, 'a message of MCP was refused')
    return await pass(await exchange({ body, headers, signal: gone.signal }, makeServer, onError), reply)
  })
}

const refusedPage = 'Pages of this Origin may not call this server; MCP_ALLOWED_ORIGINS names those that may.'

const jsonType = /^application\/([\w.-]+\+)?json\s*(;|$)/i

/** Stands for a body that is none: what is not JSON is answered by JSON-RPC, not thrown. */
const notJson = Symbol('not JSON')

const utf8 = new TextDecoder('utf-8', { fatal: true })

const readMessage = (body: Buffer): unknown => {
  try {
    return JSON.parse(utf8.decode(body))
  } catch {
    return notJson
  }
}

const refuse = (reply: FastifyReply, code: number, message: string) =>
  reply.code(400).send({ jsonrpc: '2.0', id: null, error: { code, message } })

/** Passes an answer on. What it says of the connection and of caches is for this program to say. */
const pass = async (answer: Response, reply: FastifyReply) => {
  const { status, headers, body } = answer
  for (const [name, value] of headers) if (!ours.has(name)) reply.header(name, value)
  reply.code(status)
  if (body === null) return await reply.send()
  const isStream = headers.get('content-type')?.startsWith('text/event-stream') ?? false
  return await reply.send(isStream ? Readable.fromWeb(body) : await answer.text())
}

const ours = new Set(['connection', 'cache-control'])
