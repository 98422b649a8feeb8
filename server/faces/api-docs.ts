/** The API described: OpenAPI at `/api/v1/openapi.json`, made from the contracts that the routes check, and a page of it. */

import swagger from '@fastify/swagger'
import { type FastifyPluginAsyncZod, jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import type { App } from '../http/app.ts'
import type { Addresses } from './addresses.ts'

/** Collects the routes that are made from now on. */
export const describeApi = async (app: App): Promise<void> => {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Hubbub', version: '1' },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  })
}

export const apiDocsFace: FastifyPluginAsyncZod<{ addresses: Addresses }> = async (app) => {
  app.get('/api/v1/openapi.json', { schema: { hide: true } }, async () => app.swagger())
}
