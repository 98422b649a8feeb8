/** The muro face: `/api/v1`, by API key. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import type { Arrivals } from '../../domain/arrivals.ts'
import type { KeyCache } from '../../domain/key-cache.ts'
import { agentOf, countRequest, requireScope } from '../../http/authenticate.ts'
import type { Limiter } from '../../http/limiter.ts'
import type { MuroRouteDeps } from './admitted.ts'
import { contactRoutes } from './contacts.ts'
import { conversationRoutes } from './conversations.ts'
import { messageRoutes } from './messages.ts'
import { realtimeRoutes } from './realtime.ts'
import { snapshotRoutes } from './snapshot.ts'
import { syncRoutes } from './sync.ts'

/** What the face needs; `perMinute` requests are each key's, 0 is no limit. */
export type MuroDeps = MuroRouteDeps & { keys: KeyCache; arrivals: Arrivals; limiter: Limiter; perMinute: number }

/** Adds the face's routes. Every one needs a key with the scope that it names. */
export const muroFace: FastifyPluginAsyncZod<MuroDeps> = async (face, deps) => {
  face.decorateRequest('agent', null)
  face.addHook('onRequest', admit(deps))
  const { context, addresses, keys, arrivals } = deps
  await face.register(conversationRoutes, { context, addresses })
  await face.register(messageRoutes, { context, addresses })
  await face.register(contactRoutes, { context, addresses })
  await face.register(realtimeRoutes, { context, addresses })
  await face.register(snapshotRoutes, { context })
  await face.register(syncRoutes, { context, keys, arrivals })
}

const admit =
  ({ keys, limiter, perMinute }: MuroDeps) =>
  async (request: FastifyRequest, reply: FastifyReply) => {
    const agent = await agentOf(keys, request).catch(async (refusal: unknown) => {
      await countRequest(limiter, reply, `address ${request.ip}`, perMinute)
      throw refusal
    })
    await countRequest(limiter, reply, agent.key.publicId, perMinute)
    requireScope(agent, request.routeOptions.config.scope ?? 'write')
    request.agent = agent
  }
