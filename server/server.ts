/** The REST part: the application with its faces. */

import type { FastifyBaseLogger } from 'fastify'
import type { Context } from './domain/context.ts'
import type { KeyCache } from './domain/key-cache.ts'
import type { Addresses } from './faces/addresses.ts'
import { channelAuthFace } from './faces/channel-auth.ts'
import { muroFace, renderMuroError } from './faces/muro/muro.ts'
import { renderSiteChatError, siteChatFace } from './faces/site-chat.ts'
import { statusFace } from './faces/status.ts'
import { createApp } from './http/app.ts'
import type { Limiter } from './http/limiter.ts'
import { answerOtherMethods } from './http/methods.ts'

export type ServerDeps = {
  context: Context
  keys: KeyCache
  limiter: Limiter
  perMinute: number
  addresses: Addresses
  pusherApp: { key: string; secret: string }
  ready: () => Promise<boolean>
  trustProxy: string | undefined
  logger: FastifyBaseLogger
}

/** Makes the REST part; it serves once it listens. */
export const createServer = async (deps: ServerDeps) => {
  const { context, keys, limiter, perMinute, addresses, pusherApp, ready, trustProxy, logger } = deps
  const app = createApp({
    logger,
    trustProxy,
    renderers: [
      ['/api/v1/chat', renderSiteChatError],
      ['/', renderMuroError],
    ],
  })
  const otherMethods = answerOtherMethods(app)
  await app.register(statusFace, { ready, addresses })
  await app.register(muroFace, { prefix: '/api/v1', context, keys, limiter, perMinute, addresses })
  await app.register(channelAuthFace, { prefix: '/api/v1/realtime/auth', context, keys, app: pusherApp })
  await app.register(siteChatFace, { prefix: '/api/v1/chat', context, limiter, limited: perMinute > 0, addresses })
  otherMethods()
  return app
}
