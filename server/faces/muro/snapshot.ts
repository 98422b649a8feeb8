/** `GET /snapshot`: all that a mirror begins with. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { snapshotQuery } from '../../../schema/sync.ts'
import { readSnapshot } from '../../domain/snapshot.ts'
import { writeSyncCursor } from '../../domain/sync-cursors.ts'
import { admitted, type MuroRouteDeps } from './admitted.ts'
import { presentContact } from './contacts.ts'
import { presentConversation } from './conversations.ts'

export const snapshotRoutes: FastifyPluginAsyncZod<Pick<MuroRouteDeps, 'context'>> = async (app, { context }) => {
  app.get('/snapshot', { config: { scope: 'read' }, schema: { querystring: snapshotQuery } }, async (request) => {
    const snapshot = await readSnapshot(context, admitted(request), request.query.page)
    return {
      object: 'snapshot',
      conversations: snapshot.conversations.map(presentConversation),
      contacts: snapshot.contacts.map(presentContact),
      cursor: writeSyncCursor(snapshot.position),
      next_page: snapshot.nextPage,
    }
  })
}
