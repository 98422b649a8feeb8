/** Contacts on the muro face. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as contracts from '../../../schema/muro/contacts.ts'
import { createContact, listContacts, readContact, updateContact } from '../../domain/contacts.ts'
import type { ContactFacts } from '../../domain/facts.ts'
import { answerOf, claimOf } from '../../http/claims.ts'
import { admitted, type MuroRouteDeps, presentList } from './admitted.ts'

export const contactRoutes: FastifyPluginAsyncZod<MuroRouteDeps> = async (app, { context }) => {
  app.get(
    '/contacts',
    { config: { scope: 'read' }, schema: { querystring: contracts.listContacts } },
    async (request) => {
      const { data, nextCursor } = await listContacts(context, admitted(request), request.query)
      return presentList(data.map(presentContact), nextCursor)
    },
  )

  app.post('/contacts', { schema: { body: contracts.createContact } }, async (request, reply) => {
    const agent = admitted(request)
    const created = await createContact(context, agent, request.body, claimOf(request, agent.key.publicId))
    return reply.code(201).send(presentContact(answerOf(created, reply)))
  })

  app.get<{ Params: { id: string } }>('/contacts/:id', { config: { scope: 'read' } }, async (request) =>
    presentContact(await readContact(context, admitted(request), request.params.id)),
  )

  app.patch<{ Params: { id: string }; Body: contracts.UpdateContact }>(
    '/contacts/:id',
    { schema: { body: contracts.updateContact } },
    async (request) => presentContact(await updateContact(context, admitted(request), request.params.id, request.body)),
  )
}

/** Shows a contact. */
export const presentContact = <T extends ContactFacts>(facts: T) => ({ object: 'contact' as const, ...facts })
