/** Saved replies on the muro face. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { answers, byId, deleted, listOf } from '../../../schema/muro/conventions.ts'
import * as contracts from '../../../schema/muro/saved-replies.ts'
import {
  createSavedReply,
  deleteSavedReply,
  listSavedReplies,
  readSavedReply,
  type SavedReplyFacts,
  updateSavedReply,
} from '../../domain/saved-replies.ts'
import { answerOf, claimOf } from '../../http/claims.ts'
import { admitted, type MuroRouteDeps, presentList } from './admitted.ts'

const tags = ['Saved replies']

export const savedReplyRoutes: FastifyPluginAsyncZod<MuroRouteDeps> = async (app, { context }) => {
  app.get(
    '/saved-replies',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'List saved replies, the oldest first',
        operationId: 'listSavedReplies',
        querystring: contracts.listSavedReplies,
        response: answers({ 200: listOf(contracts.savedReply) }),
      },
    },
    async (request) => {
      const { data, nextCursor } = await listSavedReplies(context, admitted(request), request.query)
      return presentList(data.map(present), nextCursor)
    },
  )

  app.post(
    '/saved-replies',
    {
      schema: {
        tags,
        summary: 'Create a saved reply',
        operationId: 'createSavedReply',
        body: contracts.createSavedReply,
        response: answers({ 201: contracts.savedReply }, 'conflict'),
      },
    },
    async (request, reply) => {
      const agent = admitted(request)
      const created = await createSavedReply(context, agent, request.body, claimOf(request, agent.key.publicId))
      return reply.code(201).send(present(answerOf(created, reply)))
    },
  )

  app.get(
    '/saved-replies/:id',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Read a saved reply',
        operationId: 'getSavedReply',
        params: byId,
        response: answers({ 200: contracts.savedReply }, 'not_found'),
      },
    },
    async (request) => present(await readSavedReply(context, admitted(request), request.params.id)),
  )

  app.patch(
    '/saved-replies/:id',
    {
      schema: {
        tags,
        summary: 'Change a saved reply',
        operationId: 'updateSavedReply',
        params: byId,
        body: contracts.updateSavedReply,
        response: answers({ 200: contracts.savedReply }, 'not_found', 'conflict'),
      },
    },
    async (request) => present(await updateSavedReply(context, admitted(request), request.params.id, request.body)),
  )

  app.delete(
    '/saved-replies/:id',
    {
      schema: {
        tags,
        summary: 'Delete a saved reply',
        operationId: 'deleteSavedReply',
        params: byId,
        response: answers({ 200: deleted('saved_reply') }, 'not_found'),
      },
    },
    async (request) => {
      const { id } = request.params
      await deleteSavedReply(context, admitted(request), id)
      return { object: 'saved_reply' as const, id, deleted: true as const }
    },
  )
}

const present = (facts: SavedReplyFacts) => ({ object: 'saved_reply' as const, ...facts })
