/** Summaries on the muro face. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { answers, byId } from '../../../schema/muro/conventions.ts'
import { presentSummary } from '../../../schema/muro/presenters.ts'
import * as contracts from '../../../schema/muro/summaries.ts'
import { readSummary, summarizeConversation } from '../../domain/summaries.ts'
import { answerOf, claimOf } from '../../http/claims.ts'
import { waitOutside } from '../../http/deadline.ts'
import { admitted, type MuroRouteDeps } from './admitted.ts'

const tags = ['Summaries']

export const summaryRoutes: FastifyPluginAsyncZod<MuroRouteDeps> = async (app, { context, ai }) => {
  app.get(
    '/conversations/:id/summary',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Read the stored summary of a conversation',
        operationId: 'getSummary',
        params: byId,
        response: answers({ 200: contracts.summary }, 'not_found'),
      },
    },
    async (request) => presentSummary(await readSummary(context, admitted(request), request.params.id)),
  )

  app.post(
    '/conversations/:id/summary',
    {
      schema: {
        tags,
        summary: 'Summarize a conversation with AI, or summarize it anew',
        operationId: 'summarizeConversation',
        description:
          'Conversations that are closed are summarized by themselves. 503 where AI is off or does not answer.',
        params: byId,
        body: contracts.summarize,
        response: answers({ 200: contracts.summary }, 'not_found', 'conflict', 'unsupported_media_type'),
      },
    },
    async (request, reply) => {
      const agent = admitted(request)
      const patient = ai && {
        ...ai,
        complete: (prompt: Parameters<typeof ai.complete>[0]) => waitOutside(request, reply, () => ai.complete(prompt)),
      }
      const claim = claimOf(request, agent.key.publicId)
      const settled = await summarizeConversation(context, agent, patient, request.params.id, claim)
      return presentSummary(answerOf(settled, reply))
    },
  )
}
