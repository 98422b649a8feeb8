/** Conversations on the muro face. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { errorCodes } from '../../../schema/errors.ts'
import { typingExpiresIn } from '../../../schema/events.ts'
import { answers, byId, deleted, listOf } from '../../../schema/muro/conventions.ts'
import * as contracts from '../../../schema/muro/conversations.ts'
import { presentConversation } from '../../../schema/muro/presenters.ts'
import { type BulkOutcome, changeConversations } from '../../domain/bulk.ts'
import { openConversation, readConversation } from '../../domain/conversations.ts'
import { deleteConversation } from '../../domain/deletion.ts'
import { listConversations } from '../../domain/inbox.ts'
import { updateConversation } from '../../domain/triage.ts'
import { showTyping } from '../../domain/typing.ts'
import { answerOf, claimOf } from '../../http/claims.ts'
import { renewDeadline } from '../../http/deadline.ts'
import { admitted, type MuroRouteDeps, presentList } from './admitted.ts'

const tags = ['Conversations']

const ofBody = ['too_large', 'unsupported_media_type'] as const
const ofClaim = ['idempotency_mismatch'] as const

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

  app.post(
    '/conversations',
    {
      schema: {
        tags,
        summary: 'Open a conversation toward a known contact',
        operationId: 'openConversation',
        body: contracts.openConversation,
        response: answers({ 201: contracts.conversation }, 'not_found', ...ofBody, ...ofClaim),
      },
    },
    async (request, reply) => {
      const agent = admitted(request)
      const opened = await openConversation(context, agent, request.body, claimOf(request, agent.key.publicId))
      return reply.code(201).send(presentConversation(answerOf(opened, reply)))
    },
  )

  app.post(
    '/conversations/bulk',
    {
      schema: {
        tags,
        summary: 'Do one action on up to 100 conversations',
        description: 'Each is changed or refused on its own. All of it is one request for the rate limit.',
        operationId: 'bulkUpdateConversations',
        body: contracts.bulkUpdate,
        response: answers({ 200: contracts.bulkResult }, ...ofBody, ...ofClaim),
      },
    },
    async (request, reply) => {
      const agent = admitted(request)
      const changed = await changeConversations(context, agent, request.body, {
        claim: claimOf(request, agent.key.publicId),
        onProgress: () => renewDeadline(request, reply),
      })
      return presentBulk(request.body.action, answerOf(changed, reply))
    },
  )

  app.get(
    '/conversations/:id',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Read a conversation',
        operationId: 'getConversation',
        params: byId,
        response: answers({ 200: contracts.conversation }, 'not_found'),
      },
    },
    async (request) => presentConversation(await readConversation(context, admitted(request), request.params.id)),
  )

  app.patch(
    '/conversations/:id',
    {
      schema: {
        tags,
        summary: 'Triage a conversation: status, tags, assignment, unread badge, metadata',
        description:
          'What is as it is asked for already is told to nobody. Moving to closed tells conversation.closed.',
        operationId: 'updateConversation',
        params: byId,
        body: contracts.updateConversation,
        response: answers({ 200: contracts.conversation }, 'not_found', ...ofBody),
      },
    },
    async (request) =>
      presentConversation(await updateConversation(context, admitted(request), request.params.id, request.body)),
  )

  app.delete(
    '/conversations/:id',
    {
      schema: {
        tags,
        summary: 'Delete a conversation with all that belongs to it',
        operationId: 'deleteConversation',
        params: byId,
        response: answers({ 200: deleted('conversation') }, 'not_found'),
      },
    },
    async (request) => {
      const { id } = request.params
      await deleteConversation(context, admitted(request), id)
      return { object: 'conversation' as const, id, deleted: true as const }
    },
  )

  app.post(
    '/conversations/:id/typing',
    {
      schema: {
        tags,
        summary: 'Show that an agent is typing',
        description: 'Told to who listens now; on a note, with is_private, to staff only. The body may be left out.',
        operationId: 'showTyping',
        params: byId,
        body: contracts.typing,
        response: answers({ 200: contracts.typingShown }, 'not_found', ...ofBody, ...ofClaim),
      },
    },
    async (request, reply) => {
      const agent = admitted(request)
      const { id } = request.params
      const isPrivate = request.body?.is_private ?? false
      answerOf(await showTyping(context, agent, id, isPrivate, claimOf(request, agent.key.publicId)), reply)
      return { object: 'typing' as const, conversation_id: id, expires_in_ms: typingExpiresIn }
    },
  )
}

const presentBulk = (action: contracts.BulkUpdate['action'], outcomes: BulkOutcome[]): contracts.BulkResult => {
  const succeeded = outcomes.filter(({ refusal }) => refusal === null).length
  return {
    object: 'bulk_result',
    action,
    data: outcomes.map(({ id, refusal }) =>
      refusal === null
        ? { id, ok: true }
        : { id, ok: false, error: { type: errorCodes[refusal.code].type, ...refusal } },
    ),
    succeeded,
    failed: outcomes.length - succeeded,
  }
}
