/** The methods that a path does not serve: OPTIONS tells which it does, the others are refused. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { HubbubError } from '../../schema/errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The path is there, but not for this method. */
    isUnserved?: boolean
  }
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE'] as const

// The star is any other, but Authorization has to be named, and older browsers know only names.
const requestHeaders = [
  'Authorization',
  'Content-Type',
  'Idempotency-Key',
  'If-None-Match',
  'Last-Event-ID',
  'MCP-Protocol-Version',
  'Mcp-Method',
  'Mcp-Name',
  'Mcp-Session-Id',
  'X-Api-Key',
  'X-Request-Id',
  'X-Visitor-Token',
  '*',
].join(', ')

/** Watches which routes are made from now on; call what it returns when all are made. */
export const answerOtherMethods = (app: FastifyInstance): (() => void) => {
  const served = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method, routePath }) => {
    // The one route of a prefix is served with a slash at its end too, which no hook is told.
    for (const path of routePath === '' ? [url, `${url}/`] : [url]) {
      const known = served.get(path) ?? new Set()
      for (const one of [method].flat()) known.add(one)
      served.set(path, known)
    }
  })
  return () => {
    for (const [url, known] of [...served]) {
      const allow = [...methods.filter((method) => known.has(method)), 'OPTIONS'].join(', ')
      app.options(url, { schema: { hide: true } }, (_request, reply) =>
        reply
          .code(204)
          .headers({
            Allow: allow,
            'Access-Control-Allow-Methods': allow,
            'Access-Control-Allow-Headers': requestHeaders,
            'Access-Control-Max-Age': '600',
          })
          .send(),
      )
      const others = methods.filter((method) => !known.has(method) && method !== 'HEAD')
      if (others.length > 0)
        app.route({
          method: [...others],
          url,
          config: { isUnserved: true },
          schema: { hide: true },
          onRequest: refuse(allow),
          handler: neverReached,
        })
    }
  }
}

// Refused before a body is read: what is not served needs no content type.
const refuse = (allow: string) => async (_request: FastifyRequest, reply: FastifyReply) => {
  reply.header('Allow', allow)
  throw new HubbubError('method_not_allowed', `This path answers ${allow}.`)
}

const neverReached = () => undefined
