/** The muro face: `/api/v1`, by API key. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import type { Arrivals } from '../../domain/arrivals.ts'
import type { KeyCache } from '../../domain/key-cache.ts'
import { admitAgent, requireScope } from '../../http/authenticate.ts'
import type { Limiter } from '../../http/limiter.ts'
import type { MuroRouteDeps } from './admitted.ts'
import { attachmentRoutes } from './attachments.ts'
import { automationRuleRoutes } from './automation-rules.ts'
import { contactRoutes } from './contacts.ts'
import { conversationRoutes } from './conversations.ts'
import { messageRoutes } from './messages.ts'
import { realtimeRoutes } from './realtime.ts'
import { savedReplyRoutes } from './saved-replies.ts'
import { siteRoutes } from './sites.ts'
import { snapshotRoutes } from './snapshot.ts'
import { summaryRoutes } from './summaries.ts'
import { syncRoutes } from './sync.ts'
import { userRoutes } from './users.ts'
import { webhookRoutes } from './webhooks.ts'

/** What the face needs; `perMinute` requests are each key's, 0 is no limit. */
export type MuroDeps = MuroRouteDeps & { keys: KeyCache; arrivals: Arrivals; limiter: Limiter; perMinute: number }

/** Adds the face's routes. Every one needs a key with the scope that it names. */
export const muroFace: FastifyPluginAsyncZod<MuroDeps> = async (face, deps) => {
  face.decorateRequest('agent', null)
  face.addHook('onRequest', admit(deps))
  const { context, addresses, ai, refusalOf, keys, arrivals } = deps
  const route = { context, addresses, ai, refusalOf }
  await face.register(conversationRoutes, route)
  await face.register(summaryRoutes, route)
  await face.register(messageRoutes, route)
  await face.register(attachmentRoutes, route)
  await face.register(contactRoutes, route)
  await face.register(savedReplyRoutes, route)
  await face.register(automationRuleRoutes, route)
  await face.register(webhookRoutes, route)
  await face.register(userRoutes, route)
  await face.register(siteRoutes, route)
  await face.register(realtimeRoutes, route)
  await face.register(snapshotRoutes, { context })
  await face.register(syncRoutes, { context, keys, arrivals })
}

const admit = (access: MuroDeps) => async (request: FastifyRequest, reply: FastifyReply) => {
  const agent = await admitAgent(access, request, reply)
  requireScope(agent, request.routeOptions.config.scope ?? 'write')
  request.agent = agent
}
