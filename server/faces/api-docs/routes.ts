/** What the document says of one route beyond its contracts: who may ask it, and how its answers are told apart. */

import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import { createJsonSchemaTransform } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { examples } from '../../../schema/muro/examples.ts'
import { zodToJsonConfig } from './tidy.ts'

type Transform = NonNullable<FastifyDynamicSwaggerOptions['transform']>

/** What is known of a route when it is made, carried to where the document is finished. */
export const noted = z.object({ takesClaim: z.boolean(), mayLackBody: z.boolean(), isCounted: z.boolean() })
export const notedAs = 'x-noted'

const toJson = createJsonSchemaTransform({ zodToJsonConfig })

/** Describes a route of the API; all others are left out. */
export const describeRoute: Transform = (given) => {
  const { schema, route } = given
  const url = given.url.replace(/(.)\/$/, '$1')
  if (!url.startsWith('/api/v1/') || schema?.hide) return { schema: { hide: true }, url }
  const transformed = toJson({ ...given, schema: schema ?? {} }).schema
  const body = schema?.body instanceof z.ZodType ? schema.body : undefined
  const example = body && examples.get(body)
  const notes: z.infer<typeof noted> = {
    takesClaim: takesClaim(route.method, url, route.config?.scope),
    mayLackBody: body !== undefined && ['optional', 'default'].includes(body.def.type),
    isCounted: url !== authorizer,
  }
  const security = securityOf(url, route.config?.scope)
  return {
    schema: {
      ...transformed,
      security,
      description: [transformed.description, ...security.flatMap(scopeText)].filter((text) => text).join('\n\n'),
      ...(example === undefined ? {} : { body: { ...asObject(transformed.body), examples: [example] } }),
      [notedAs]: notes,
    },
    url,
  }
}

const asObject = (value: unknown): object => (typeof value === 'object' && value !== null ? value : {})

const authorizer = '/api/v1/realtime/auth'

const isVisitors = (url: string): boolean => url.startsWith('/api/v1/chat/')

type Security = { apiKey?: string[]; siteKey?: string[]; visitorToken?: string[] }

// Viewers show which key is needed, and not what it has to be for.
const scopeText = ({ apiKey = [] }: Security) => apiKey.map((scope) => `Scope of the key: \`${scope}\`.`)

const securityOf = (url: string, scope = 'write'): Security[] => {
  if (isVisitors(url)) return [{ siteKey: [] }]
  if (url === authorizer) return [{ apiKey: ['read'] }, { siteKey: [], visitorToken: [] }]
  return [{ apiKey: [scope] }]
}

// A visitor claims in the name of the conversation, so only where there is one already.
const takesClaim = (method: unknown, url: string, scope: string | undefined): boolean =>
  method === 'POST' && scope !== 'read' && url !== authorizer && (!isVisitors(url) || url.includes('/:visitor_token/'))
