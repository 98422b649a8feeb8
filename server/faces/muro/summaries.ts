/** Summaries on the muro face. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import type { MuroRouteDeps } from './admitted.ts'

export const summaryRoutes: FastifyPluginAsyncZod<MuroRouteDeps> = async () => undefined
