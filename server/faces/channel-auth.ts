/** The channel auth face: `POST /api/v1/realtime/auth`, which pusher-js asks before it subscribes. */

import type { FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { maySubscribe, type Subscriber } from '../../auth/channel-rules.ts'
import { signChannel } from '../../auth/channel-signature.ts'
import {
  type ChannelGrant,
  channelAuthorization,
  channelAuthRequest,
  sinceOf,
  writeChannelData,
} from '../../schema/channel-auth.ts'
import { chatChannel, chatPresence } from '../../schema/channels.ts'
import { HubbubError } from '../../schema/errors.ts'
import { apiError } from '../../schema/muro/conventions.ts'
import type { Since } from '../../schema/recovery.ts'
import type { AgentScope, Context } from '../domain/context.ts'
import { placeOf } from '../domain/history.ts'
import type { KeyCache } from '../domain/key-cache.ts'
import { findVisitor } from '../domain/site-visitors.ts'
import { findSiteByKey } from '../domain/sites.ts'
import { agentOf, requireScope } from '../http/authenticate.ts'
import { toHubbubError } from '../http/errors.ts'

/** What the face needs; `app` is the Pusher app of the chat. */
export type ChannelAuthDeps = { context: Context; keys: KeyCache; app: { key: string; secret: string } }

// Many times what pusher-js sends of 200 channels; in 1 MiB there is room for fields that take a third of a second to read.
const maxBody = 128 * 1024

export const channelAuthFace: FastifyPluginAsyncZod<ChannelAuthDeps> = async (face, { context, keys, app }) => {
  face.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    async (_request: FastifyRequest, body: string) => Object.fromEntries(new URLSearchParams(body)),
  )

  // pusher-js takes any status but 200 for a refusal; 403 is the documented one, and the text says what is wrong.
  face.setErrorHandler((thrown) => {
    const error = toHubbubError(thrown)
    if (error.code === 'too_large') throw new HubbubError('too_large', `The body is larger than ${maxBody} bytes.`)
    if (error.status >= 500 || error.code === 'unsupported_media_type') throw error
    // What is wrong with the body is named by the text.
    const param = error.code === 'invalid' ? undefined : error.param
    throw new HubbubError('forbidden', error.message, param === undefined ? {} : { param })
  })

  face.post('/', { bodyLimit: maxBody, schema: described }, async (request) => {
    const { socket_id, channel_name } = request.body
    const agent = request.headers['x-visitor-token'] === undefined ? await agentOf(keys, request) : undefined
    if (agent) requireScope(agent, 'read')
    const subscriber = agent ? asSubscriber(agent) : await visitorOf(context, request)
    const presence = chatPresence(channel_name)
    const allowed = await maySubscribe(subscriber, presence ?? chatChannel(channel_name), (channel) =>
      placeOf(context.sql, channel),
    )
    if (!allowed)
      throw new HubbubError('forbidden', `You may not subscribe to ${channel_name}.`, { param: 'channel_name' })
    // pusher-js sends what it saw on all its channels with each request; only this channel's is signed.
    const grant = grantOf(subscriber, agent, presence ? undefined : sinceOf(request.body))
    const member = presence && agent && { user_id: agent.user.publicId, user_info: { name: agent.user.name } }
    const channel_data = writeChannelData(grant, member)
    return { auth: signChannel(app, socket_id, channel_name, channel_data), channel_data }
  })
}

const described = {
  tags: ['Realtime'],
  summary: 'Authorize a socket to subscribe to a channel',
  description:
    'Asked by pusher-js, as its `channelAuthorization.endpoint`: with the API key, or as a visitor with the site key in ' +
    '`X-Api-Key` and the visitor or conversation token in `X-Visitor-Token`. Whatever is refused is a 403.',
  operationId: 'authorizeChannel',
  consumes: ['application/x-www-form-urlencoded', 'application/json'],
  body: channelAuthRequest,
  response: { 200: channelAuthorization, 403: apiError, 413: apiError, 415: apiError, 503: apiError },
}

const asSubscriber = ({ workspace, site }: AgentScope): Subscriber => ({
  kind: 'key',
  workspace: workspace.publicId,
  site: site?.publicId ?? null,
})

const visitorOf = async ({ sql }: Context, { headers }: FastifyRequest): Promise<Subscriber> => {
  const { 'x-api-key': siteKey, 'x-visitor-token': token } = headers
  const site = typeof siteKey === 'string' ? await findSiteByKey(sql, siteKey) : undefined
  const visitor = site?.active && typeof token === 'string' ? await findVisitor(sql, site, token) : undefined
  if (!visitor) throw new HubbubError('forbidden', 'This site key and visitor token open no conversation.')
  return {
    kind: 'visitor',
    workspace: visitor.workspace.publicId,
    conversation: visitor.conversation.publicId,
  }
}

const grantOf = ({ workspace }: Subscriber, agent: AgentScope | undefined, since: Since | undefined): ChannelGrant => {
  const iat = Math.floor(Date.now() / 1000)
  const seen = since === undefined ? {} : { since }
  if (!agent) return { workspace, iat, ...seen }
  const { publicId, version, scopes, expiresAt } = agent.key
  const ends = expiresAt ? { exp: Math.floor(expiresAt.getTime() / 1000) } : {}
  const write = scopes.includes('write') ? { write: true } : {}
  return { workspace, key: publicId, version, ...write, iat, ...ends, ...seen }
}
