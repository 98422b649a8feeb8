/** Files in the site chat: a visitor uploads them, and downloads those of the messages that they see. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { HubbubError } from '../../../schema/errors.ts'
import { downloadQuery, fileAnswers, uploadBody } from '../../../schema/muro/attachments.ts'
import * as contracts from '../../../schema/site-chat.ts'
import { siteChatErrors as errors } from '../../../schema/site-chat.ts'
import { findVisitorFile, keepVisitorFile } from '../../domain/attachments.ts'
import type { Context } from '../../domain/context.ts'
import { answerOf, claimOf } from '../../http/claims.ts'
import { sendFile } from '../../http/downloads.ts'
import { acceptUploads, refuseOtherBodies } from '../../http/uploads.ts'
import { visitorOf } from './admitted.ts'

const tags = ['Site chat']

export const siteFileRoutes: FastifyPluginAsyncZod<{ context: Context }> = async (app, { context }) => {
  const receive = await acceptUploads(app)

  app.post(
    '/conversations/:visitor_token/files',
    {
      config: { perMinute: 20 },
      preParsing: refuseOtherBodies,
      schema: {
        tags,
        summary: 'Upload a file, to send it with a reply',
        operationId: 'uploadSiteFile',
        params: contracts.byVisitor,
        consumes: ['multipart/form-data'],
        body: uploadBody,
        response: contracts.siteAnswers(
          { 201: contracts.siteUpload },
          'not_found',
          'too_large',
          'unsupported_media_type',
          'unprocessable',
          'idempotency_mismatch',
        ),
      },
    },
    async (request, reply) => {
      const visitor = await visitorOf(context, request, request.params)
      const kept = await receive(request, reply, (file) =>
        keepVisitorFile(context, visitor, file, claimOf(request, visitor.conversation.publicId)),
      )
      const { id, filename, content_type, size } = answerOf(kept, reply)
      return reply.code(201).send({ id, filename, content_type, size })
    },
  )

  app.get(
    '/conversations/:visitor_token/files/:activity_id/:id',
    {
      config: { perMinute: 60 },
      schema: {
        tags,
        summary: 'Download a file of a message',
        operationId: 'downloadSiteFile',
        params: contracts.byFile,
        querystring: downloadQuery,
        response: { ...contracts.siteAnswers({}, 'not_found'), ...fileAnswers },
      },
    },
    async (request, reply) => {
      const visitor = await visitorOf(context, request, request.params, errors.fileNotFound)
      const { activity_id: message, id: position } = request.params
      const file = await findVisitorFile(context, visitor, { message, position })
      if (!file) throw new HubbubError('not_found', errors.fileNotFound)
      return await sendFile(request, reply, file, request.query)
    },
  )
}
