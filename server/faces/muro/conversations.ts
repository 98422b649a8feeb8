/** Conversations on the muro face. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { typingExpiresIn } from '../../../schema/events.ts'
import { shownStatus } from '../../../schema/ids.ts'
import { answers, listOf } from '../../../schema/muro/conventions.ts'
import * as contracts from '../../../schema/muro/conversations.ts'
import { openConversation, readConversation } from '../../domain/conversations.ts'
import { deleteConversation } from '../../domain/deletion.ts'
import type { ConversationFacts } from '../../domain/facts.ts'
import { listConversations } from '../../domain/inbox.ts'
import { updateConversation } from '../../domain/triage.ts'
import { showTyping } from '../../domain/typing.ts'
import { answerOf, claimOf } from '../../http/claims.ts'
import { admitted, type MuroRouteDeps, presentList } from './admitted.ts'

const tags = ['Conversations']

export const conversationRoutes: FastifyPluginAsyncZod<MuroRouteDeps> = async (app, { context }) => {
  app.get(
    '/conversations',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'List conversations, newest activity first',
        operationId: 'listConversations',
        querystring: contracts.listConversations,
        response: answers({ 200: listOf(contracts.conversation) }),
      },
    },
    async (request) => {
      const { data, nextCursor } = await listConversations(context, admitted(request), request.query)
      return presentList(data.map(presentConversation), nextCursor)
    },
  )

  app.post('/conversations', { schema: { body: contracts.openConversation } }, async (request, reply) => {
    const agent = admitted(request)
    const opened = await openConversation(context, agent, request.body, claimOf(request, agent.key.publicId))
    return reply.code(201).send(presentConversation(answerOf(opened, reply)))
  })

  app.get<{ Params: { id: string } }>('/conversations/:id', { config: { scope: 'read' } }, async (request) =>
    presentConversation(await readConversation(context, admitted(request), request.params.id)),
  )

  app.patch<{ Params: { id: string }; Body: contracts.UpdateConversation }>(
    '/conversations/:id',
    { schema: { body: contracts.updateConversation } },
    async (request) =>
      presentConversation(await updateConversation(context, admitted(request), request.params.id, request.body)),
  )

  app.delete<{ Params: { id: string } }>('/conversations/:id', async (request) => {
    await deleteConversation(context, admitted(request), request.params.id)
    return { object: 'conversation', id: request.params.id, deleted: true }
  })

  app.post<{ Params: { id: string }; Body: contracts.Typing }>(
    '/conversations/:id/typing',
    { schema: { body: contracts.typing } },
    async (request, reply) => {
      const agent = admitted(request)
      const { id } = request.params
      const isPrivate = request.body?.is_private ?? false
      answerOf(await showTyping(context, agent, id, isPrivate, claimOf(request, agent.key.publicId)), reply)
      return { object: 'typing', conversation_id: id, expires_in_ms: typingExpiresIn }
    },
  )
}

/** Shows a conversation. */
export const presentConversation = <T extends ConversationFacts>({ id, state, ...facts }: T) => ({
  object: 'conversation' as const,
  id,
  status: shownStatus(state),
  state,
  ...facts,
})
