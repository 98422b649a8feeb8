/** The API described: OpenAPI at `/api/v1/openapi.json`, made from the contracts that the routes check, and a page of it. */

import { createHash } from 'node:crypto'
import swagger from '@fastify/swagger'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { createJsonSchemaTransformObject, type FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import type { App } from '../../http/app.ts'
import type { Addresses } from '../addresses.ts'
import { securitySchemes } from './about.ts'
import { finishDocument } from './document.ts'
import { bundleName, bundleVersion, docsPage, docsPolicy, readBundle } from './page.ts'
import { describeRoute } from './routes.ts'
import { zodToJsonConfig } from './tidy.ts'

/** Collects the routes that are made from now on. */
export const describeApi = async (app: App): Promise<void> => {
  await app.register(swagger, {
    openapi: { openapi: '3.1.0', components: { securitySchemes } },
    transform: describeRoute,
    transformObject: createJsonSchemaTransformObject({ zodToJsonConfig }),
    convertConstToEnum: false,
  })
}

export const apiDocsFace: FastifyPluginAsyncZod<{ addresses: Addresses }> = async (app, { addresses }) => {
  const writeDocument = once(() => {
    const text = JSON.stringify(finishDocument(app.swagger()))
    return { text, hash: hashOf(text) }
  })
  const bundle = once(readBundle)

  app.get('/api/v1/openapi.json', hidden, async (request, reply) => {
    const { text, hash } = writeDocument()
    // Where no address is configured, each client is told the one by which it came.
    const servers = JSON.stringify([{ url: addresses.api(request) }])
    reply.header('Vary', 'Host').header('Access-Control-Expose-Headers', 'ETag, X-Request-Id')
    if (isKept(request, reply, hashOf(hash + servers), 'no-cache')) return await reply.code(304).send()
    return await reply.type('application/json; charset=utf-8').send(`${text.slice(0, -1)},"servers":${servers}}`)
  })

  for (const [path, around] of Object.entries(pages)) {
    app.get(path, hidden, async (request, reply) => {
      reply.headers({ 'Content-Security-Policy': docsPolicy(addresses.api(request)), 'Cache-Control': 'no-cache' })
      return await reply.type('text/html; charset=utf-8').send(docsPage(around))
    })
  }

  app.get(`/docs/${bundleName}`, hidden, async (request, reply) => {
    reply.header('Vary', 'Accept-Encoding').header('X-Content-Type-Options', 'nosniff')
    if (isKept(request, reply, bundleVersion, 'public, max-age=31536000, immutable'))
      return await reply.code(304).send()
    const { plain, gzipped } = await bundle()
    const isSmall = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
    if (isSmall) reply.header('Content-Encoding', 'gzip')
    return await reply.type('text/javascript; charset=utf-8').send(isSmall ? gzipped : plain)
  })
}

const hidden = { schema: { hide: true } }

/** The page with and without a slash at the end: how it leads up to the root, and down to its files. */
const pages = { '/docs': { up: '', below: 'docs/' }, '/docs/': { up: '../', below: '' } }

const hashOf = (text: string): string => createHash('sha256').update(text).digest('base64url')

const once = <T>(make: () => T): (() => T) => {
  let made: { value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/** Says how long an answer may be kept, and returns whether the client has kept this one. */
const isKept = ({ headers }: FastifyRequest, reply: FastifyReply, tag: string, control: string): boolean => {
  reply.headers({ ETag: `"${tag}"`, 'Cache-Control': control })
  const known = (headers['if-none-match'] ?? '').split(',').map((one) => one.trim().replace(/^W\//, ''))
  return known.includes(`"${tag}"`) || known.includes('*')
}
