/** Automation rules on the muro face. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as contracts from '../../../schema/muro/automation-rules.ts'
import { answers, byId, deleted, listOf } from '../../../schema/muro/conventions.ts'
import {
  createRule,
  deleteRule,
  listRules,
  type RuleFacts,
  readRule,
  ruledWorkspace,
  updateRule,
} from '../../domain/automation-rules.ts'
import { answerOf, claimOf } from '../../http/claims.ts'
import { admitted, type MuroRouteDeps, presentList } from './admitted.ts'

const tags = ['Automation rules']

export const automationRuleRoutes: FastifyPluginAsyncZod<MuroRouteDeps> = async (app, { context }) => {
  // First of all: a key that may not have rules is told so, not what is wrong with the one that it sent.
  app.addHook('onRequest', async (request) => {
    ruledWorkspace(admitted(request))
  })

  app.get(
    '/automation-rules',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'List automation rules, in the order in which they run',
        operationId: 'listAutomationRules',
        querystring: contracts.listAutomationRules,
        response: answers({ 200: listOf(contracts.automationRule) }),
      },
    },
    async (request) => {
      const { data, nextCursor } = await listRules(context, admitted(request), request.query)
      return presentList(data.map(present), nextCursor)
    },
  )

  app.post(
    '/automation-rules',
    {
      schema: {
        tags,
        summary: 'Create an automation rule',
        description: 'It acts on what happens from now on: on new conversations, or on messages of visitors.',
        operationId: 'createAutomationRule',
        body: contracts.createAutomationRule,
        response: answers({ 201: contracts.automationRule }, 'conflict', 'unsupported_media_type', 'too_large'),
      },
    },
    async (request, reply) => {
      const agent = admitted(request)
      const created = await createRule(context, agent, request.body, claimOf(request, agent.key.publicId))
      return reply.code(201).send(present(answerOf(created, reply)))
    },
  )

  app.get(
    '/automation-rules/:id',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Read an automation rule',
        operationId: 'getAutomationRule',
        params: byId,
        response: answers({ 200: contracts.automationRule }, 'not_found'),
      },
    },
    async (request) => present(await readRule(context, admitted(request), request.params.id)),
  )

  app.patch(
    '/automation-rules/:id',
    {
      schema: {
        tags,
        summary: 'Change an automation rule, or switch it on or off',
        description: 'One that is switched on again acts on what happens from then on.',
        operationId: 'updateAutomationRule',
        params: byId,
        body: contracts.updateAutomationRule,
        response: answers({ 200: contracts.automationRule }, 'not_found', 'unsupported_media_type', 'too_large'),
      },
    },
    async (request) => present(await updateRule(context, admitted(request), request.params.id, request.body)),
  )

  app.delete(
    '/automation-rules/:id',
    {
      schema: {
        tags,
        summary: 'Delete an automation rule',
        operationId: 'deleteAutomationRule',
        params: byId,
        response: answers({ 200: deleted('automation_rule') }, 'not_found'),
      },
    },
    async (request) => {
      const { id } = request.params
      await deleteRule(context, admitted(request), id)
      return { object: 'automation_rule' as const, id, deleted: true as const }
    },
  )
}

const present = (facts: RuleFacts) => ({ object: 'automation_rule' as const, ...facts })
