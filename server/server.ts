/** The HTTP side: the application with its faces, or with the probes alone. */

import type { FastifyBaseLogger } from 'fastify'
import { StartError } from '../schema/errors.ts'
import type { Operations } from '../schema/health.ts'
import type { Ai } from './ai/ai.ts'
import { createArrivals } from './domain/arrivals.ts'
import type { Context } from './domain/context.ts'
import { readHeads } from './domain/history.ts'
import type { KeyCache } from './domain/key-cache.ts'
import type { UrlRefusal } from './domain/webhooks.ts'
import type { Addresses } from './faces/addresses.ts'
import { apiDocsFace, describeApi } from './faces/api-docs/api-docs.ts'
import { channelAuthFace } from './faces/channel-auth.ts'
import { renderMcpError } from './faces/mcp/errors.ts'
import { mcpFace } from './faces/mcp/mcp.ts'
import { renderMuroError } from './faces/muro/errors.ts'
import { muroFace } from './faces/muro/muro.ts'
import { renderSiteChatError, siteChatFace } from './faces/site-chat.ts'
import { pageFace, probesFace } from './faces/status.ts'
import { type App, createApp } from './http/app.ts'
import { countUnserved } from './http/authenticate.ts'
import type { Limiter } from './http/limiter.ts'
import { answerOtherMethods } from './http/methods.ts'
import type { RequestMetrics } from './http/request-metrics.ts'

export type ServerDeps = {
  context: Context
  keys: KeyCache
  limiter: Limiter
  perMinute: number
  addresses: Addresses
  ai: Ai | undefined
  refusalOf: UrlRefusal
  pusherApp: { key: string; secret: string }
  /** Origins of web pages that may call the MCP face. */
  origins: readonly string[]
  operations: Operations
  requests: RequestMetrics
  trustProxy: string | undefined
  logger: FastifyBaseLogger
}

/** Makes the REST part; it serves once it listens. */
export const createServer = async (deps: ServerDeps): Promise<App> => {
  const { keys, perMinute, addresses, ai, refusalOf, pusherApp, origins, operations, requests, trustProxy, logger } =
    deps
  const limiter = requests.countRefusals(deps.limiter)
  const arrivals = createArrivals({
    heads: (workspaces) => readHeads(deps.context.sql, workspaces),
    keys,
    isDraining: () => operations.use?.isDraining ?? false,
    onFailure: (error) => logger.debug({ err: error }, 'whether there is something new was not seen'),
  })
  const context: Context = {
    ...deps.context,
    onLogged: (events) => {
      arrivals.tell(events)
      deps.context.onLogged?.(events)
    },
  }
  const app = createApp({
    logger,
    trustProxy,
    use: operations.use,
    requests,
    renderers: [
      ['/api/v1/chat', renderSiteChatError],
      ['/api/mcp', renderMcpError],
      ['/', renderMuroError],
    ],
  })
  app.addHook('onRequest', async (request, reply) => {
    const isUnserved = request.is404 || request.routeOptions.config.isUnserved
    // Every answer of this face tells what is left of the key's requests; the others count what they serve.
    if (isUnserved && /^\/api\/v1\/(?!chat\b)/.test(request.url))
      await countUnserved({ keys, limiter, perMinute }, request, reply)
  })
  const otherMethods = answerOtherMethods(app)
  await describeApi(app)
  await app.register(apiDocsFace, { addresses })
  await app.register(probesFace, { operations })
  await app.register(pageFace, { operations, addresses })
  const muro = { context, keys, arrivals, limiter, perMinute, addresses, ai, refusalOf }
  await app.register(muroFace, { prefix: '/api/v1', ...muro })
  await app.register(channelAuthFace, { prefix: '/api/v1/realtime/auth', context, keys, app: pusherApp })
  await app.register(siteChatFace, { prefix: '/api/v1/chat', context, limiter, limited: perMinute > 0, addresses })
  const openServers = async () => {
    const { toolServers } = await import('./faces/mcp/tool-server.ts')
    return toolServers({ context, ai, logger })
  }
  await app.register(mcpFace, { prefix: '/api/mcp', keys, limiter, perMinute, origins, openServers })
  otherMethods()
  return app
}

/** Makes what a process without REST and without sockets answers: how it is. */
export const createProbes = async ({
  operations,
  requests,
  logger,
}: Pick<ServerDeps, 'operations' | 'requests' | 'logger'>): Promise<App> => {
  const { use } = operations
  const app = createApp({ logger, trustProxy: undefined, use, requests, renderers: [['/', renderMuroError]] })
  const otherMethods = answerOtherMethods(app)
  await app.register(probesFace, { operations })
  otherMethods()
  return app
}

/** Opens the port and returns it; a port that cannot be opened is one line. */
export const listenOn = async (app: App, host: string, port: number): Promise<number> => {
  try {
    await app.listen({ host, port })
  } catch (error) {
    const inUse = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    const reason = inUse ? 'is already in use' : 'cannot be opened'
    throw new StartError(`PORT ${port} ${reason} on ${host}.`, { cause: error })
  }
  const address = app.server.address()
  return typeof address === 'object' && address ? address.port : port
}
