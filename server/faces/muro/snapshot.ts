/** `GET /snapshot`: all that a mirror begins with. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { answers } from '../../../schema/muro/conventions.ts'
import { presentContact, presentConversation } from '../../../schema/muro/presenters.ts'
import { snapshot, snapshotQuery } from '../../../schema/sync.ts'
import { readSnapshot } from '../../domain/snapshot.ts'
import { writeSyncCursor } from '../../domain/sync-cursors.ts'
import { admitted, type MuroRouteDeps } from './admitted.ts'

export const snapshotRoutes: FastifyPluginAsyncZod<Pick<MuroRouteDeps, 'context'>> = async (app, { context }) => {
  app.get(
    '/snapshot',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['Sync'],
        summary: 'Read everything, page by page',
        description:
          'All contacts, then all conversations that the key reaches, 200 objects on a page, in the order in which they ' +
          'were made. A page may be empty and not the last one. Go on with `GET /sync` from the `cursor`, which is that ' +
          'of the first page on all of them, and skip an event whose `seq` is not greater than that of its object.',
        operationId: 'getSnapshot',
        querystring: snapshotQuery,
        response: answers({ 200: snapshot }, 'cursor_expired'),
      },
    },
    async (request) => {
      const page = await readSnapshot(context, admitted(request), request.query.page)
      return {
        object: 'snapshot' as const,
        conversations: page.conversations.map(presentConversation),
        contacts: page.contacts.map(presentContact),
        cursor: writeSyncCursor(page.position),
        next_page: page.nextPage,
      }
    },
  )
}
