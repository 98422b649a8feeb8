/** Users on the muro face. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { answers, byId, listOf } from '../../../schema/muro/conventions.ts'
import * as contracts from '../../../schema/muro/users.ts'
import { listUsers, readUser, type UserFacts, updateUser } from '../../domain/users.ts'
import { admitted, type MuroRouteDeps, presentList } from './admitted.ts'

const tags = ['Users']

export const userRoutes: FastifyPluginAsyncZod<MuroRouteDeps> = async (app, { context }) => {
  app.get(
    '/users',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'List users, the oldest first',
        operationId: 'listUsers',
        querystring: contracts.listUsers,
        response: answers({ 200: listOf(contracts.user) }),
      },
    },
    async (request) => {
      const { data, nextCursor } = await listUsers(context, admitted(request), request.query)
      return presentList(data.map(present), nextCursor)
    },
  )

  app.get(
    '/users/me',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Read the user in whose name the key acts',
        operationId: 'getOwnUser',
        response: answers({ 200: contracts.user }),
      },
    },
    async (request) => {
      const agent = admitted(request)
      return present(await readUser(context, agent, agent.user.publicId))
    },
  )

  app.get(
    '/users/:id',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Read a user',
        operationId: 'getUser',
        params: byId,
        response: answers({ 200: contracts.user }, 'not_found'),
      },
    },
    async (request) => present(await readUser(context, admitted(request), request.params.id)),
  )

  app.patch(
    '/users/:id',
    {
      schema: {
        tags,
        summary: 'Change the availability of a user',
        description:
          'Of the user in whose name the key acts; of anyone for a key of an admin that is pinned to no site. The workspace ' +
          'hears of it as user.update.',
        operationId: 'updateUser',
        params: byId,
        body: contracts.updateUser,
        response: answers({ 200: contracts.user }, 'not_found'),
      },
    },
    async (request) => present(await updateUser(context, admitted(request), request.params.id, request.body)),
  )
}

const present = (facts: UserFacts) => ({ object: 'user' as const, ...facts })
