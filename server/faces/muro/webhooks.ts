/** Webhooks on the muro face, and the log of what they were sent. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { answers, byId, deleted, listOf } from '../../../schema/muro/conventions.ts'
import * as contracts from '../../../schema/muro/webhooks.ts'
import { type DeliveryFacts, listDeliveries, readDeliveryWithBody } from '../../domain/webhook-deliveries.ts'
import { recoverWebhook, resendDelivery, testWebhook } from '../../domain/webhook-resends.ts'
import {
  createWebhook,
  deleteWebhook,
  listWebhooks,
  readWebhook,
  rotateSecret,
  updateWebhook,
  type WebhookFacts,
  type WebhookSecretFacts,
} from '../../domain/webhooks.ts'
import { answerOf, claimOf } from '../../http/claims.ts'
import { admitted, type MuroRouteDeps, presentList } from './admitted.ts'

const tags = ['Webhooks']

export const webhookRoutes: FastifyPluginAsyncZod<MuroRouteDeps> = async (app, { context, refusalOf }) => {
  app.get(
    '/webhooks',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'List webhooks',
        operationId: 'listWebhooks',
        querystring: contracts.listWebhooks,
        response: answers({ 200: listOf(contracts.webhook) }),
      },
    },
    async (request) => {
      const { data, nextCursor } = await listWebhooks(context, admitted(request), request.query)
      return presentList(data.map(present), nextCursor)
    },
  )

  app.post(
    '/webhooks',
    {
      schema: {
        tags,
        summary: 'Create a webhook; its secret is shown once',
        operationId: 'createWebhook',
        body: contracts.createWebhook,
        response: answers({ 201: contracts.webhookWithSecret }, 'conflict'),
      },
    },
    async (request, reply) => {
      const agent = admitted(request)
      const claim = claimOf(request, agent.key.publicId)
      return reply
        .code(201)
        .send(presentSecret(answerOf(await createWebhook(context, agent, request.body, refusalOf, claim), reply)))
    },
  )

  app.get(
    '/webhooks/:id',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Read a webhook',
        operationId: 'getWebhook',
        params: byId,
        response: answers({ 200: contracts.webhook }, 'not_found'),
      },
    },
    async (request) => present(await readWebhook(context, admitted(request), request.params.id)),
  )

  app.patch(
    '/webhooks/:id',
    {
      schema: {
        tags,
        summary: 'Change, disable or enable a webhook',
        operationId: 'updateWebhook',
        params: byId,
        body: contracts.updateWebhook,
        response: answers({ 200: contracts.webhook }, 'not_found'),
      },
    },
    async (request) =>
      present(await updateWebhook(context, admitted(request), request.params.id, request.body, refusalOf)),
  )

  app.delete(
    '/webhooks/:id',
    {
      schema: {
        tags,
        summary: 'Delete a webhook with its deliveries',
        operationId: 'deleteWebhook',
        params: byId,
        response: answers({ 200: deleted('webhook') }, 'not_found'),
      },
    },
    async (request) => {
      await deleteWebhook(context, admitted(request), request.params.id)
      return { object: 'webhook' as const, id: request.params.id, deleted: true as const }
    },
  )

  app.post(
    '/webhooks/:id/rotate',
    {
      schema: {
        tags,
        summary: 'Give a webhook a new secret; the old one signs beside it for a while',
        operationId: 'rotateWebhookSecret',
        params: byId,
        body: contracts.rotateWebhook,
        response: answers({ 200: contracts.webhookWithSecret }, 'not_found', 'conflict'),
      },
    },
    async (request, reply) => {
      const agent = admitted(request)
      const claim = claimOf(request, agent.key.publicId)
      const overlap = request.body?.overlap_seconds ?? contracts.usualOverlap
      return presentSecret(answerOf(await rotateSecret(context, agent, request.params.id, overlap, claim), reply))
    },
  )

  app.post(
    '/webhooks/:id/test',
    {
      schema: {
        tags,
        summary: 'Send a webhook an event that did not happen',
        operationId: 'testWebhook',
        params: byId,
        body: contracts.testWebhook,
        response: answers({ 202: contracts.delivery }, 'not_found', 'conflict'),
      },
    },
    async (request, reply) => {
      const agent = admitted(request)
      const claim = claimOf(request, agent.key.publicId)
      const sent = await testWebhook(context, agent, request.params.id, request.body?.event, claim)
      return reply.code(202).send(presentDelivery(answerOf(sent, reply)))
    },
  )

  app.post(
    '/webhooks/:id/recover',
    {
      schema: {
        tags,
        summary: 'Send what failed since a time, and what was never sent',
        operationId: 'recoverWebhook',
        params: byId,
        body: contracts.recoverWebhook,
        response: answers({ 202: contracts.recovery }, 'not_found', 'conflict'),
      },
    },
    async (request, reply) => {
      const agent = admitted(request)
      const claim = claimOf(request, agent.key.publicId)
      const begun = await recoverWebhook(context, agent, request.params.id, request.body.since, claim)
      return reply.code(202).send({ object: 'webhook_recovery', ...answerOf(begun, reply) })
    },
  )

  app.get(
    '/webhooks/:id/deliveries',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'List what a webhook was sent, the newest first',
        operationId: 'listWebhookDeliveries',
        params: byId,
        querystring: contracts.listDeliveries,
        response: answers({ 200: listOf(contracts.delivery) }, 'not_found'),
      },
    },
    async (request) => {
      const { data, nextCursor } = await listDeliveries(context, admitted(request), request.params.id, request.query)
      return presentList(data.map(presentDelivery), nextCursor)
    },
  )

  app.get(
    '/webhooks/:id/deliveries/:delivery_id',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Read a delivery with its attempts and its body',
        operationId: 'getWebhookDelivery',
        params: contracts.byDelivery,
        response: answers({ 200: contracts.deliveryWithBody }, 'not_found'),
      },
    },
    async (request) => {
      const { id, delivery_id } = request.params
      const facts = await readDeliveryWithBody(context, admitted(request), id, delivery_id)
      return { object: 'webhook_delivery' as const, ...facts }
    },
  )

  app.post(
    '/webhooks/:id/deliveries/:delivery_id/resend',
    {
      schema: {
        tags,
        summary: 'Send a delivery again',
        operationId: 'resendWebhookDelivery',
        params: contracts.byDelivery,
        response: answers({ 202: contracts.delivery }, 'not_found', 'conflict'),
      },
    },
    async (request, reply) => {
      const agent = admitted(request)
      const { id, delivery_id } = request.params
      const sent = await resendDelivery(context, agent, id, delivery_id, claimOf(request, agent.key.publicId))
      return reply.code(202).send(presentDelivery(answerOf(sent, reply)))
    },
  )
}

const present = (facts: WebhookFacts) => ({ object: 'webhook' as const, ...facts })
const presentSecret = (facts: WebhookSecretFacts) => ({ object: 'webhook' as const, ...facts })
const presentDelivery = (facts: DeliveryFacts) => ({ object: 'webhook_delivery' as const, ...facts })
