/** Messages on the muro face. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as contracts from '../../../schema/muro/messages.ts'
import type { MessageFacts } from '../../domain/facts.ts'
import { listMessages, sendMessage } from '../../domain/messages.ts'
import { readCursor, writeCursor } from '../../domain/walks.ts'
import { answerOf, claimOf } from '../../http/claims.ts'
import { admitted, type MuroRouteDeps, presentList } from './admitted.ts'

export const messageRoutes: FastifyPluginAsyncZod<MuroRouteDeps> = async (app, { context }) => {
  app.get<{ Params: { id: string }; Querystring: contracts.ListMessages }>(
    '/conversations/:id/messages',
    { config: { scope: 'read' }, schema: { querystring: contracts.listMessages } },
    async (request) => {
      const { cursor, limit, since, after } = request.query
      const list = `messages ${request.params.id}`
      const position = cursor === undefined ? 0 : readCursor(list, cursor).position
      const from = { position, limit, since, after }
      const { messages, next } = await listMessages(context, admitted(request), request.params.id, from)
      return presentList(messages.map(present), next === null ? null : writeCursor({ list, head: 0, position: next }))
    },
  )

  app.post<{ Params: { id: string }; Body: contracts.SendMessage }>(
    '/conversations/:id/messages',
    { schema: { body: contracts.sendMessage } },
    async (request, reply) => {
      const agent = admitted(request)
      const claim = claimOf(request, agent.key.publicId)
      const { content = '', ...rest } = request.body
      const sent = await sendMessage(context, agent, request.params.id, { ...rest, content }, claim)
      return reply.code(201).send(present(answerOf(sent, reply)))
    },
  )
}

const present = ({ author: _, ...facts }: MessageFacts) => ({ object: 'message' as const, ...facts })
