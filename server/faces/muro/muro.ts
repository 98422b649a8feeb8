/** The muro face: `/api/v1`, by API key. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { errorCodes } from '../../../schema/errors.ts'
import type { KeyCache } from '../../domain/key-cache.ts'
import type { RenderError } from '../../http/app.ts'
import { agentOf, countRequest, requireScope } from '../../http/authenticate.ts'
import type { Limiter } from '../../http/limiter.ts'
import type { MuroRouteDeps } from './admitted.ts'
import { contactRoutes } from './contacts.ts'
import { conversationRoutes } from './conversations.ts'
import { messageRoutes } from './messages.ts'
import { realtimeRoutes } from './realtime.ts'

/** What the face needs; `perMinute` requests are each key's, 0 is no limit. */
export type MuroDeps = MuroRouteDeps & { keys: KeyCache; limiter: Limiter; perMinute: number }

/** Shows an error as `{error: {type, message}}`, with `code` and `param` beside. */
export const renderMuroError: RenderError = ({ code, message, param }) => ({
  error: { type: errorCodes[code].type, message, code, ...(param === undefined ? {} : { param }) },
})

/** Adds the face's routes. Every one needs a key with the scope that it names. */
export const muroFace: FastifyPluginAsyncZod<MuroDeps> = async (face, deps) => {
  face.decorateRequest('agent', null)
  face.addHook('onRequest', admit(deps))
  const { context, addresses } = deps
  await face.register(conversationRoutes, { context, addresses })
  await face.register(messageRoutes, { context, addresses })
  await face.register(contactRoutes, { context, addresses })
  await face.register(realtimeRoutes, { context, addresses })
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
