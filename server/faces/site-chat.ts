/** The site chat face: `/api/v1/chat`, by the site key in `X-Api-Key`; a visitor is known by a token. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { visitorChannel } from '../../schema/channels.ts'
import { HubbubError } from '../../schema/errors.ts'
import * as contracts from '../../schema/site-chat.ts'
import { siteChatErrors as errors } from '../../schema/site-chat.ts'
import { email as emailContract } from '../../schema/text.ts'
import type { Context, VisitorScope } from '../domain/context.ts'
import type { MessageFacts } from '../domain/facts.ts'
import { listMessages, receiveMessage } from '../domain/messages.ts'
import { beginConversation, findVisitor } from '../domain/site-visitors.ts'
import { findSiteByKey, type Site } from '../domain/sites.ts'
import type { RenderError } from '../http/app.ts'
import { countRequest } from '../http/authenticate.ts'
import { answerOf, claimOf } from '../http/claims.ts'
import type { Limiter } from '../http/limiter.ts'
import type { Addresses } from './addresses.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The site whose key came with the request. */
    site: Site | null
  }
  interface FastifyContextConfig {
    /** Requests a minute of this route, for each site key and address. */
    perMinute?: number
  }
}

/** What the face needs; `limited` false switches its limits off. */
export type SiteChatDeps = { context: Context; limiter: Limiter; limited: boolean; addresses: Addresses }

/** Shows an error as `{error: "…"}`. */
export const renderSiteChatError: RenderError = ({ code, message }) => ({
  error: code === 'rate_limited' ? errors.limited : message,
})

// A visitor's thread is shown from its newest part; older messages than these are for staff.
const shownMessages = 1000

export const siteChatFace: FastifyPluginAsyncZod<SiteChatDeps> = async (
  app,
  { context, limiter, limited, addresses },
) => {
  app.decorateRequest('site', null)
  app.addHook('onRequest', async (request, reply) => {
    const site = await siteOf(context, request)
    allowOrigin(site, request, reply)
    if (!site) {
      await countRequest(limiter, reply, `no site ${request.ip}`, limited ? 60 : 0)
      throw new HubbubError('unauthenticated', errors.key)
    }
    const { url, config } = request.routeOptions
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const bucket = `${method} ${url} ${site.publicId} ${request.ip}`
    await countRequest(limiter, reply, bucket, limited ? (config.perMinute ?? 60) : 0)
    if (!site.active) throw new HubbubError('forbidden', errors.disabled)
    request.site = site
  })

  app.get(
    '/config',
    {
      config: { perMinute: 60 },
      schema: {
        tags: ['Site chat'],
        summary: 'Read how the widget looks, and where it connects',
        operationId: 'getSiteConfig',
        response: contracts.siteAnswers({ 200: contracts.siteConfig }),
      },
    },
    async (request) => {
      const { greeting, look } = admitted(request)
      return {
        greeting,
        ...look,
        realtime: { ...addresses.realtime(request), auth_endpoint: `${addresses.api(request)}/api/v1/realtime/auth` },
      }
    },
  )

  app.post(
    '/conversations',
    { config: { perMinute: 5 }, schema: { body: contracts.siteConversation } },
    async (request, reply) => {
      const site = admitted(request)
      const { name, email, message, visitor_token } = request.body
      if (![name, email, message, visitor_token].every(contracts.isSiteText)) throw invalid(errors.missing)
      const address = emailContract.safeParse(email)
      if (!address.success) throw invalid(errors.email)
      checkLength(message)
      if (name.length > contracts.maxVisitorName) throw invalid(errors.nameTooLong)
      if (visitor_token.length > contracts.maxVisitorToken) throw invalid(errors.tokenTooLong)
      const begun = await beginConversation(context, site, {
        name,
        email: address.data,
        message,
        visitorToken: visitor_token,
      })
      return reply.code(201).send({
        conversation_token: begun.conversationToken,
        auto_reply: site.autoReply,
        conversation_id: begun.conversation,
        channel: visitorChannel(begun.conversation),
      })
    },
  )

  app.get<{ Params: { visitor_token: string }; Querystring: contracts.SiteMessagesQuery }>(
    '/conversations/:visitor_token/messages',
    { config: { perMinute: 60 }, schema: { querystring: contracts.siteMessagesQuery } },
    async (request) => {
      const visitor = await visitorOf(context, request)
      const from = { position: 0, limit: shownMessages, since: request.query.since, heardByVisitor: true, newest: true }
      const { messages } = await listMessages(context, visitor, visitor.conversation.publicId, from)
      return messages.map(present)
    },
  )

  app.post<{ Params: { visitor_token: string }; Body: contracts.SiteReply }>(
    '/conversations/:visitor_token/messages',
    { config: { perMinute: 20 }, schema: { body: contracts.siteReply } },
    async (request, reply) => {
      const visitor = await visitorOf(context, request)
      const { message } = request.body
      if (!contracts.isSiteText(message)) throw invalid(errors.messageMissing)
      checkLength(message)
      const claim = claimOf(request, visitor.conversation.publicId)
      answerOf(await receiveMessage(context, visitor, message, claim), reply)
      return reply.code(201).send({ status: 'ok' })
    },
  )
}

const siteOf = async ({ sql }: Context, { headers }: FastifyRequest): Promise<Site | undefined> => {
  const key = headers['x-api-key'] ?? /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  return typeof key === 'string' ? await findSiteByKey(sql, key) : undefined
}

// A browser may read an answer only on the site's own origins; what comes without an origin is not a browser.
const allowOrigin = (site: Site | undefined, { headers: { origin } }: FastifyRequest, reply: FastifyReply) => {
  reply.header('Vary', 'Origin')
  if (!site || origin === undefined) return
  if (!site.origins.includes(origin)) {
    reply.removeHeader('Access-Control-Allow-Origin')
    throw new HubbubError('forbidden', errors.origin)
  }
  reply.header('Access-Control-Allow-Origin', origin)
}

const admitted = ({ site }: FastifyRequest): Site => {
  if (!site) throw new HubbubError('unauthenticated', errors.key)
  return site
}

const visitorOf = async (
  { sql }: Context,
  request: FastifyRequest<{ Params: { visitor_token: string } }>,
): Promise<VisitorScope> => {
  const visitor = await findVisitor(sql, admitted(request), request.params.visitor_token)
  if (!visitor) throw new HubbubError('not_found', errors.notFound)
  return visitor
}

const invalid = (message: string) => new HubbubError('unprocessable', message)

const checkLength = (message: string) => {
  if ([...message].length > contracts.maxSiteMessage) throw invalid(errors.tooLong)
}

const present = ({ id, sender_type, content, created_at, author, attachments }: MessageFacts) => ({
  direction: sender_type === 'visitor' ? 'inbound' : 'outbound',
  body: content,
  timestamp: created_at,
  author: author ?? (sender_type === 'visitor' ? 'Visitor' : 'Support'),
  id,
  attachments,
})
