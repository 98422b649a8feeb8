/** One exchange: a message of JSON-RPC, of a client of any revision of MCP, and the answer to it. Nothing is kept after. */

import {
  createMcpHandler,
  isLegacyRequest,
  type McpServer,
  type Server,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server'

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
  return (await isLegacyRequest(request, body))
    ? await answerLegacy(request, body, makeServer())
    : await createMcpHandler(makeServer, { legacy: 'reject', onerror: onError }).fetch(request, { parsedBody: body })
}

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
