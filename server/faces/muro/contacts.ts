/** Contacts on the muro face. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as contracts from '../../../schema/muro/contacts.ts'
import { answers, byId, deleted, listOf } from '../../../schema/muro/conventions.ts'
import { presentContact } from '../../../schema/muro/presenters.ts'
import { lookUpContact } from '../../domain/contact-sessions.ts'
import { createContact, listContacts, readContact, updateContact } from '../../domain/contacts.ts'
import { deleteContact } from '../../domain/deletion.ts'
import { mergeContacts } from '../../domain/merges.ts'
import { answerOf, claimOf } from '../../http/claims.ts'
import { admitted, type MuroRouteDeps, presentList } from './admitted.ts'

const tags = ['Contacts']

export const contactRoutes: FastifyPluginAsyncZod<MuroRouteDeps> = async (app, { context }) => {
  app.get(
    '/contacts',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'List contacts, most recently seen first',
        operationId: 'listContacts',
        querystring: contracts.listContacts,
        response: answers({ 200: listOf(contracts.contact) }),
      },
    },
    async (request) => {
      const { data, nextCursor } = await listContacts(context, admitted(request), request.query)
      return presentList(data.map(presentContact), nextCursor)
    },
  )

  app.post(
    '/contacts',
    {
      schema: {
        tags,
        summary: 'Create a contact',
        description: 'An email belongs to one contact of the workspace: 409 where another has it.',
        operationId: 'createContact',
        body: contracts.createContact,
        response: answers({ 201: contracts.contact }, 'conflict', 'too_large', 'unsupported_media_type'),
      },
    },
    async (request, reply) => {
      const agent = admitted(request)
      const created = await createContact(context, agent, request.body, claimOf(request, agent.key.publicId))
      return reply.code(201).send(presentContact(answerOf(created, reply)))
    },
  )

  app.post(
    '/contacts/lookup',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Find a contact by the token that a visitor’s browser holds',
        description: 'It changes nothing and needs the scope read. A POST, so that no token stands in an address.',
        operationId: 'lookUpContact',
        body: contracts.lookUpContact,
        response: answers({ 200: contracts.contactSession }, 'not_found', 'too_large', 'unsupported_media_type'),
      },
    },
    async (request) => {
      const { contact, conversation } = await lookUpContact(context, admitted(request), request.body)
      return {
        object: 'contact_session' as const,
        contact: presentContact(contact),
        conversation_id: conversation,
      }
    },
  )

  app.get(
    '/contacts/:id',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Read a contact',
        operationId: 'getContact',
        params: byId,
        response: answers({ 200: contracts.contact }, 'not_found'),
      },
    },
    async (request) => presentContact(await readContact(context, admitted(request), request.params.id)),
  )

  app.patch(
    '/contacts/:id',
    {
      schema: {
        tags,
        summary: 'Enrich a contact',
        description: 'A new email fires visitor.identified.',
        operationId: 'updateContact',
        params: byId,
        body: contracts.updateContact,
        response: answers({ 200: contracts.contact }, 'not_found', 'conflict', 'too_large', 'unsupported_media_type'),
      },
    },
    async (request) => presentContact(await updateContact(context, admitted(request), request.params.id, request.body)),
  )

  app.delete(
    '/contacts/:id',
    {
      schema: {
        tags,
        summary: 'Delete a contact with all its conversations',
        description:
          'For good: what the log and webhooks told of them is blank from then on. Needs the key of an admin; one that is ' +
          'pinned to a site may not delete who was on another site too.',
        operationId: 'deleteContact',
        params: byId,
        response: answers({ 200: deleted('contact') }, 'not_found'),
      },
    },
    async (request) => {
      const { id } = request.params
      await deleteContact(context, admitted(request), id)
      return { object: 'contact' as const, id, deleted: true as const }
    },
  )

  app.post(
    '/contacts/:id/merge',
    {
      schema: {
        tags,
        summary: 'Merge another contact into this one',
        description:
          'The other one ends: its conversations, the tokens of its visitors, and the name, email and metadata that this ' +
          'one lacks move over. A key that is pinned to a site may not merge who was on another site too.',
        operationId: 'mergeContacts',
        params: byId,
        body: contracts.mergeContacts,
        response: answers({ 200: contracts.contact }, 'not_found', 'conflict', 'too_large', 'unsupported_media_type'),
      },
    },
    async (request, reply) => {
      const agent = admitted(request)
      const claim = claimOf(request, agent.key.publicId)
      const merged = await mergeContacts(context, agent, request.params.id, request.body.from, claim)
      return presentContact(answerOf(merged, reply))
    },
  )
}
