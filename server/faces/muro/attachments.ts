/** Attachments on the muro face: a file is uploaded, sent with a message by its id, and downloaded. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as contracts from '../../../schema/muro/attachments.ts'
import { answers, byId } from '../../../schema/muro/conventions.ts'
import { findFile, keepFile } from '../../domain/attachments.ts'
import { answerOf, claimOf } from '../../http/claims.ts'
import { sendFile } from '../../http/downloads.ts'
import { acceptUploads, refuseOtherBodies } from '../../http/uploads.ts'
import { admitted, type MuroRouteDeps } from './admitted.ts'

const tags = ['Attachments']

export const attachmentRoutes: FastifyPluginAsyncZod<MuroRouteDeps> = async (app, { context }) => {
  const receive = await acceptUploads(app)

  app.post(
    '/attachments',
    {
      preParsing: refuseOtherBodies,
      schema: {
        tags,
        summary: 'Upload a file, to send it with a message within 24 hours',
        operationId: 'uploadAttachment',
        consumes: ['multipart/form-data'],
        body: contracts.uploadBody,
        response: answers(
          { 201: contracts.attachment },
          'too_large',
          'unsupported_media_type',
          'idempotency_mismatch',
          'idempotency_in_progress',
        ),
      },
    },
    async (request, reply) => {
      const agent = admitted(request)
      const kept = await receive(request, reply, (file) =>
        keepFile(context, agent, file, claimOf(request, agent.key.publicId)),
      )
      return reply.code(201).send(answerOf(kept, reply))
    },
  )

  app.get(
    '/attachments/:id',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Download a file',
        operationId: 'downloadAttachment',
        params: byId,
        querystring: contracts.downloadQuery,
        response: { ...answers({}, 'not_found'), ...contracts.fileAnswers },
      },
    },
    async (request, reply) =>
      await sendFile(request, reply, await findFile(context, admitted(request), request.params.id), request.query),
  )
}
