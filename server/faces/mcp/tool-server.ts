/** The MCP server that answers one message with the tools of a key. */

import { type Implementation, ProtocolError, ProtocolErrorCode, Server } from '@modelcontextprotocol/server'
import type { FastifyBaseLogger } from 'fastify'
import { z } from 'zod'
import { HubbubError } from '../../../schema/errors.ts'
import { logFailure, toHubbubError } from '../../http/errors.ts'
import { readVersion } from '../../version.ts'
import { renderToolError } from './errors.ts'
import type { Caller } from './mcp.ts'
import type { Call, Tool } from './tools/tool.ts'
import { tools } from './tools/tools.ts'

/** Makes what makes the server of each message: with all tools, in the name of its caller. */
export const toolServers = ({
  context,
  ai,
  logger,
}: Pick<Call, 'context' | 'ai'> & { logger: FastifyBaseLogger }): ((caller: Caller) => Server) => {
  const hubbub = { name: 'hubbub', title: 'Hubbub', version: readVersion() }
  const onError = (error: HubbubError) => logFailure(logger, error, { line: `a tool of MCP failed: ${error.message}` })
  return (caller) => createToolServer(hubbub, { context, ai, ...caller }, onError)
}

// A tool whose scope the key lacks is not listed, and says so where it is called all the same.
const createToolServer = (hubbub: Implementation, call: Call, onError: (error: HubbubError) => void): Server => {
  const server = new Server(hubbub, { capabilities, instructions, cacheHints })
  const mayCall = ({ scope }: Tool) => call.agent.key.scopes.includes(scope)
  server.setRequestHandler('tools/list', { params: onePage }, () => ({
    tools: tools.filter(mayCall).map(({ listed }) => listed),
  }))
  server.setRequestHandler('tools/call', async ({ params: { name, arguments: args } }) => {
    const tool = tools.find(({ listed }) => listed.name === name)
    if (!tool) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${name}`)
    try {
      if (!mayCall(tool)) throw new HubbubError('forbidden', `This API key lacks the scope ${tool.scope}.`)
      const answer = await tool.call(call, args)
      return { content: [{ type: 'text', text: JSON.stringify(answer) }], structuredContent: answer }
    } catch (thrown) {
      const error = toHubbubError(thrown)
      onError(error)
      // Without structured content: clients hold it against the schema of the answers, of errors too.
      return { content: [{ type: 'text', text: renderToolError(error) }], isError: true }
    }
  })
  return server
}

// Checked here: what the package finds wrong it calls an error of ours.
const onePage = z.looseObject({ cursor: z.null('there is one page only: send no cursor').optional() })

const capabilities = { tools: {} }

const instructions =
  'The inbox of a live chat on websites. Find conversations with list_conversations, read one with get_conversation, answer with send_reply and close with update_conversation. Ids name their kind: cnv_ conversations, vis_ contacts, web_ sites, usr_ users. Times are ISO 8601 in UTC. An error names the argument at fault.'

/** What a client may keep, in ms: the tools of a key change only with its scopes, or with a new version. */
const cacheHints = {
  'tools/list': { ttlMs: 300_000, cacheScope: 'private' },
  'server/discover': { ttlMs: 300_000, cacheScope: 'private' },
} as const
