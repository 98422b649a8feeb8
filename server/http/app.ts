/** The HTTP application that the faces are put into: ids, parsing, CORS, errors. */

import { createHash } from 'node:crypto'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import { validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { randomToken } from '../../auth/random.ts'
import { HubbubError } from '../../schema/errors.ts'
import type { Use } from '../../schema/health.ts'
import { caps } from '../../schema/muro/conventions.ts'
import { answerBrokenRequest } from './broken-requests.ts'
import { setDeadlines } from './deadline.ts'
import { logFailure, toHubbubError } from './errors.ts'
import type { RequestMetrics } from './request-metrics.ts'

/** How a face shows an error; the request is absent where none could be read. */
export type RenderError = (error: HubbubError, request?: FastifyRequest) => unknown

declare module 'fastify' {
  interface FastifyRequest {
    /** SHA-256 of the bytes of the body. */
    fingerprint: Buffer | null
  }
}

const exposed = [
  'X-Request-Id',
  'X-RateLimit-Limit',
  'X-RateLimit-Remaining',
  'X-RateLimit-Reset',
  'Retry-After',
  'RateLimit',
  'RateLimit-Policy',
  'Idempotent-Replayed',
].join(', ')

/** Makes the application. `renderers` tells by the beginning of the path how an error is shown; the first that fits. */
export const createApp = ({
  logger,
  trustProxy,
  use,
  requests,
  renderers,
}: {
  logger: FastifyBaseLogger
  trustProxy: string | undefined
  use: Use | undefined
  requests?: RequestMetrics
  renderers: readonly (readonly [prefix: string, render: RenderError])[]
}) => {
  const answerError = (thrown: unknown, request: FastifyRequest, reply: FastifyReply) => {
    const error = toHubbubError(thrown)
    logFailure(logger, error, { requestId: request.id, url: request.url })
    if (error.status === 401) reply.header('WWW-Authenticate', 'Bearer')
    if (error.code === 'idempotency_in_progress') reply.header('Retry-After', 1)
    const [, render] = renderers.find(([prefix]) => request.url.startsWith(prefix)) ?? renderers[0] ?? []
    // What broke before the first hook has no headers yet.
    if (!reply.hasHeader('X-Request-Id')) reply.headers(commonHeaders(request))
    return reply.code(error.status).send(render?.(error, request))
  }

  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: caps.body,
    forceCloseConnections: 'idle',
    trustProxy: trustProxy === 'true' ? true : (trustProxy ?? false),
    routerOptions: { maxParamLength: 2000 },
    // Node would answer it by itself, without an id.
    http: { requireHostHeader: false },
    requestIdHeader: false,
    genReqId: ({ headers }) => {
      const given = headers['x-request-id']
      return typeof given === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(given) ? given : `req_${randomToken()}`
    },
    clientErrorHandler: answerBrokenRequest(renderers.at(-1)?.[1]),
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
      void answerError(error, request, reply)
    },
  }).withTypeProvider<ZodTypeProvider>()

  // Nor is a client refused that expects what nobody knows: it may be answered as any other.
  app.server.on('checkExpectation', app.routing)
  app.setValidatorCompiler(validatorCompiler)
  // The contracts of answers describe them; tests hold the answers against them, not every request.
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer))
  app.decorateRequest('fingerprint', null)
  setDeadlines(app)
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(commonHeaders(request))
    requests?.watch(request, reply)
    if (request.headers.host === undefined && request.raw.httpVersionMinor > 0)
      throw new HubbubError('invalid', 'A request of HTTP/1.1 names its host.')
    if (!use) return
    use.lastAsked = Date.now()
    // Whoever keeps its connection would have the next request cut off.
    if (use.isDraining) reply.header('Connection', 'close')
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    /^application\/([\w.-]+\+)?json\s*(;|$)/i,
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) => {
      refuseEncoding(request.headers['content-encoding'])
      request.fingerprint = createHash('sha256').update(body).digest()
      return body.length === 0 ? undefined : parseJson(body)
    },
  )
  app.setErrorHandler(answerError)
  app.setNotFoundHandler((request, reply) => answerError(new HubbubError('not_found', 'Not found.'), request, reply))
  return app
}

export type App = ReturnType<typeof createApp>

const commonHeaders = (request: FastifyRequest) => ({
  'X-Request-Id': request.id,
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': exposed,
  'Cache-Control': 'no-store',
})

const refuseEncoding = (encoding = 'identity'): void => {
  if (encoding.toLowerCase() === 'identity') return
  throw new HubbubError('unsupported_media_type', 'The body is compressed: send it as it is.', {
    param: 'Content-Encoding',
  })
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

const parseJson = (body: Buffer): unknown => {
  try {
    return JSON.parse(utf8.decode(body))
  } catch {
    throw new HubbubError('invalid', 'The body is not valid JSON in UTF-8.')
  }
}
