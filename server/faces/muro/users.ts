/** Users on the muro face. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import type { MuroRouteDeps } from './admitted.ts'

export const userRoutes: FastifyPluginAsyncZod<MuroRouteDeps> = async () => undefined
