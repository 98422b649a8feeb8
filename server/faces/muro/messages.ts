/** Messages on the muro face. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { answers, byId, listOf } from '../../../schema/muro/conventions.ts'
import * as contracts from '../../../schema/muro/messages.ts'
import { presentMessage } from '../../../schema/muro/presenters.ts'
import { listMessages, sendMessage } from '../../domain/messages.ts'
import { readCursor, writeCursor } from '../../domain/walks.ts'
import { answerOf, claimOf } from '../../http/claims.ts'
import { admitted, type MuroRouteDeps, presentList } from './admitted.ts'

const tags = ['Messages']

export const messageRoutes: FastifyPluginAsyncZod<MuroRouteDeps> = async (app, { context }) => {
  app.get(
    '/conversations/:id/messages',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'List the messages of a conversation, in order',
        operationId: 'listMessages',
        params: byId,
        querystring: contracts.listMessages,
        response: answers({ 200: listOf(contracts.message) }, 'not_found'),
      },
    },
    async (request) => {
      const { cursor, limit, since, after } = request.query
      const list = `messages ${request.params.id}`
      const position = cursor === undefined ? 0 : readCursor(list, cursor).position
      const from = { position, limit, since, after }
      const { messages, next } = await listMessages(context, admitted(request), request.params.id, from)
      return presentList(
        messages.map(presentMessage),
        next === null ? null : writeCursor({ list, head: 0, position: next }),
      )
    },
  )

  app.post(
    '/conversations/:id/messages',
    {
      schema: {
        tags,
        summary: 'Send a reply that the visitor sees, or an internal note',
        operationId: 'sendMessage',
        params: byId,
        body: contracts.sendMessage,
        response: answers({ 201: contracts.message, 409: contracts.notSent }, 'not_found'),
      },
    },
    async (request, reply) => {
      const agent = admitted(request)
      const claim = claimOf(request, agent.key.publicId)
      const sent = await sendMessage(context, agent, request.params.id, request.body, claim)
      return reply.code(201).send(presentMessage(answerOf(sent, reply)))
    },
  )
}
