/** One exchange: a message of JSON-RPC, of a client of any revision of MCP, and the answer to it. Nothing is kept after. */

import {
  createMcpHandler,
  isInitializeRequest,
  isLegacyRequest,
  type McpServer,
  ProtocolErrorCode,
  type Server,
  SUPPORTED_PROTOCOL_VERSIONS,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server'
import { idOf } from './errors.ts'

/** Makes what answers one message. */
export type MakeServer = () => McpServer | Server

/** A message as it came, with the headers of its request; `signal` aborts when its sender is gone. */
export type Message = { body: unknown; headers: Record<string, string | string[] | undefined>; signal: AbortSignal }

/** Answers a message. `onError` hears of what was refused or went wrong; the answer says it too. */
export const exchange = async (
  { body, headers, signal }: Message,
  makeServer: MakeServer,
  onError: (error: Error) => void,
): Promise<Response> => {
  const request = new Request(here, { method: 'POST', headers: mcpHeaders(headers), signal })
  const revision = request.headers.get('mcp-protocol-version')
  // What says that it is of 2026 is answered as such, though it be none of its messages.
  if (revision === newest || !(await isLegacyRequest(request, body)))
    return await createMcpHandler(makeServer, { legacy: 'reject', onerror: onError }).fetch(request, {
      parsedBody: body,
    })
  return refuseLegacy(revision, body) ?? (await answerLegacy(request, body, makeServer()))
}

const newest = '2026-07-28'

const revisions = [newest, ...SUPPORTED_PROTOCOL_VERSIONS]

/**
 * Refuses what a client of 2025 cannot be answered, under the id of its request. The package would name no revision of
 * 2026 where it lists what there is, and call a hello that lacks something an error of ours.
 */
const refuseLegacy = (revision: string | null, body: unknown): Response | undefined => {
  if (isInitializeRequest(body)) return undefined
  if (typeof body === 'object' && body !== null && 'method' in body && body.method === 'initialize') {
    const message = 'Invalid params: initialize takes protocolVersion, capabilities and clientInfo.'
    return refusal(body, { code: ProtocolErrorCode.InvalidParams, message })
  }
  if (revision === null || revisions.includes(revision)) return undefined
  const message = `Unsupported protocol version: ${revision}; there are ${revisions.join(', ')}.`
  const data = { supported: revisions, requested: revision }
  return refusal(body, { code: ProtocolErrorCode.UnsupportedProtocolVersion, message, data })
}

const refusal = (body: unknown, error: { code: number; message: string; data?: unknown }): Response =>
  Response.json({ jsonrpc: '2.0', id: idOf(body), error }, { status: 400 })

/**
 * Answers a client of 2025 or one that knows no revision at all. The package would stream every answer to them, and
 * answer none to who does not accept a stream, such as curl; so each gets one JSON, whatever it says that it accepts.
 */
const answerLegacy = async (request: Request, body: unknown, server: McpServer | Server): Promise<Response> => {
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true })
  await server.connect(transport)
  try {
    return await transport.handleRequest(request, { parsedBody: body })
  } finally {
    await server.close()
  }
}

// Never asked for: a request has an address, and only its headers are read.
const here = 'http://localhost/api/mcp'

const mcpHeaders = (headers: Message['headers']): Record<string, string> => ({
  ...Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      name.startsWith('mcp-') && typeof value === 'string' ? [[name, value]] : [],
    ),
  ),
  Accept: 'application/json, text/event-stream',
  'Content-Type': 'application/json',
})
