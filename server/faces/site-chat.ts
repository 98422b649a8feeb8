/** The site chat face: `/api/v1/chat`, by the site key in `X-Api-Key`; a visitor is known by a token. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { networkOf } from '../../auth/networks.ts'
import { visitorChannel } from '../../schema/channels.ts'
import { HubbubError } from '../../schema/errors.ts'
import * as contracts from '../../schema/site-chat.ts'
import { siteChatErrors as errors } from '../../schema/site-chat.ts'
import { email as emailContract } from '../../schema/text.ts'
import type { Context } from '../domain/context.ts'
import { listMessages, receiveMessage } from '../domain/messages.ts'
import type { SentMessage } from '../domain/sent-messages.ts'
import { beginConversation } from '../domain/site-visitors.ts'
import { findSiteByKey, type Site } from '../domain/sites.ts'
import type { RenderError } from '../http/app.ts'
import { countRequest } from '../http/authenticate.ts'
import { answerOf, claimOf } from '../http/claims.ts'
import type { Limiter } from '../http/limiter.ts'
import type { Addresses } from './addresses.ts'
import { admitted, visitorOf } from './site-chat/admitted.ts'
import { siteFileRoutes } from './site-chat/files.ts'

/** What the face needs; `limited` false switches its limits off. */
export type SiteChatDeps = { context: Context; limiter: Limiter; limited: boolean; addresses: Addresses }

/** Shows an error as `{error: "…"}`. */
export const renderSiteChatError: RenderError = ({ code, message }) => ({
  error: code === 'rate_limited' ? errors.limited : message,
})

const tags = ['Site chat']

// A visitor's thread is shown from its newest part; older messages than these are for staff.
const shownMessages = 1000

export const siteChatFace: FastifyPluginAsyncZod<SiteChatDeps> = async (
  app,
  { context, limiter, limited, addresses },
) => {
  app.decorateRequest('site', null)
  app.addHook('onRequest', async (request, reply) => {
    const site = await siteOf(context, request)
    const network = networkOf(request.ip)
    allowOrigin(site, request, reply)
    if (!site) {
      await countRequest(limiter, reply, `address ${network} without a site`, limited ? 60 : 0)
      throw new HubbubError('unauthenticated', errors.key)
    }
    const { url, config } = request.routeOptions
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const bucket = `${network} ${site.publicId} ${method} ${url}`
    await countRequest(limiter, reply, `visitor ${bucket}`, limited ? (config.perMinute ?? 60) : 0)
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
    {
      config: { perMinute: 5 },
      schema: {
        tags,
        summary: 'Begin a conversation',
        operationId: 'beginSiteConversation',
        body: contracts.siteConversation,
        response: contracts.siteAnswers({ 201: contracts.siteConversationBegun }, 'conflict', 'unprocessable'),
      },
    },
    async (request, reply) => {
      const site = admitted(request)
      const { name, email, message, visitor_token, url } = request.body
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
        url,
      })
      return reply.code(201).send({
        conversation_token: begun.conversationToken,
        auto_reply: site.autoReply,
        conversation_id: begun.conversation,
        channel: visitorChannel(begun.conversation),
      })
    },
  )

  app.get(
    '/conversations/:visitor_token/messages',
    {
      config: { perMinute: 60 },
      schema: {
        tags,
        summary: 'List what was said, or what was said after a time',
        operationId: 'listSiteMessages',
        params: contracts.byVisitor,
        querystring: contracts.siteMessagesQuery,
        response: contracts.siteAnswers({ 200: z.array(contracts.siteMessage) }, 'not_found'),
      },
    },
    async (request) => {
      const visitor = await visitorOf(context, request, request.params)
      const from = { position: 0, limit: shownMessages, since: request.query.since, heardByVisitor: true, newest: true }
      const { messages } = await listMessages(context, visitor, visitor.conversation.publicId, from)
      return messages.map(present)
    },
  )

  app.post(
    '/conversations/:visitor_token/messages',
    {
      config: { perMinute: 20 },
      schema: {
        tags,
        summary: 'Reply; a conversation that is closed or snoozed is open again',
        operationId: 'sendSiteReply',
        params: contracts.byVisitor,
        body: contracts.siteReply,
        response: contracts.siteAnswers(
          { 201: contracts.siteReplySent },
          'not_found',
          'unprocessable',
          'idempotency_mismatch',
        ),
      },
    },
    async (request, reply) => {
      const visitor = await visitorOf(context, request, request.params)
      const { message, attachment_ids: files = [] } = request.body
      const isFilesOnly = message === '' && files.length > 0
      if (!isFilesOnly && !contracts.isSiteText(message)) throw invalid(errors.messageMissing)
      checkLength(message)
      const claim = claimOf(request, visitor.conversation.publicId)
      answerOf(await receiveMessage(context, visitor, message, claim, files), reply)
      return reply.code(201).send({ status: 'ok' as const })
    },
  )

  await app.register(siteFileRoutes, { context })
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

const invalid = (message: string) => new HubbubError('unprocessable', message)

const checkLength = (message: string) => {
  if ([...message].length > contracts.maxSiteMessage) throw invalid(errors.tooLong)
}

const present = ({ id, sender_type, content, created_at, author, attachments, conversation_seq }: SentMessage) => ({
  direction: sender_type === 'visitor' ? ('inbound' as const) : ('outbound' as const),
  body: content,
  timestamp: created_at,
  author: author ?? (sender_type === 'visitor' ? 'Visitor' : 'Support'),
  id,
  attachments: contracts.siteFilesOf(conversation_seq, attachments),
})
