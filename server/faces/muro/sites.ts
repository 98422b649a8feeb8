/** Sites on the muro face. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { answers, byId, listOf } from '../../../schema/muro/conventions.ts'
import { presentSite } from '../../../schema/muro/presenters.ts'
import * as contracts from '../../../schema/muro/sites.ts'
import { addSite, listSites, readSite, updateSite } from '../../domain/sites.ts'
import { answerOf, claimOf } from '../../http/claims.ts'
import { admitted, type MuroRouteDeps, presentList } from './admitted.ts'

const tags = ['Sites']

export const siteRoutes: FastifyPluginAsyncZod<MuroRouteDeps> = async (app, { context }) => {
  app.get(
    '/sites',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'List sites, the oldest first',
        operationId: 'listSites',
        querystring: contracts.listSites,
        response: answers({ 200: listOf(contracts.site) }),
      },
    },
    async (request) => {
      const { data, nextCursor } = await listSites(context, admitted(request), request.query)
      return presentList(data.map(presentSite), nextCursor)
    },
  )

  app.post(
    '/sites',
    {
      schema: {
        tags,
        summary: 'Create a site',
        operationId: 'createSite',
        body: contracts.createSite,
        response: answers({ 201: contracts.site }, 'conflict'),
      },
    },
    async (request, reply) => {
      const agent = admitted(request)
      const added = await addSite(context, agent, request.body, claimOf(request, agent.key.publicId))
      return reply.code(201).send(presentSite(answerOf(added, reply)))
    },
  )

  app.get(
    '/sites/:id',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Read a site',
        operationId: 'getSite',
        params: byId,
        response: answers({ 200: contracts.site }, 'not_found'),
      },
    },
    async (request) => presentSite(await readSite(context, admitted(request), request.params.id)),
  )

  app.patch(
    '/sites/:id',
    {
      schema: {
        tags,
        summary: 'Change the settings of a site',
        description: 'What the widget shows, and on which origins it may run; the site chat heeds them at once.',
        operationId: 'updateSite',
        params: byId,
        body: contracts.updateSite,
        response: answers({ 200: contracts.site }, 'not_found'),
      },
    },
    async (request) => presentSite(await updateSite(context, admitted(request), request.params.id, request.body)),
  )
}
