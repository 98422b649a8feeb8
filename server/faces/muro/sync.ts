/** `GET /sync`: what has happened since a cursor, at once, by waiting for it, or as a stream of server-sent events. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { answers } from '../../../schema/muro/conventions.ts'
import { presentSynced, type SyncQuery, syncAnswers, syncQuery } from '../../../schema/sync.ts'
import { currentPosition, readSync, type SyncPage } from '../../domain/sync.ts'
import { readSyncCursor, type SyncPosition, writeSyncCursor } from '../../domain/sync-cursors.ts'
import { liftDeadline, renewDeadline } from '../../http/deadline.ts'
import { admitted } from './admitted.ts'
import { readmit, type SyncDeps, timeOf } from './readmitted.ts'
import { streamEvents } from './sync-stream.ts'

export const syncRoutes: FastifyPluginAsyncZod<SyncDeps> = async (app, deps) => {
  app.addHook('preClose', async () => deps.arrivals.close())

  app.get(
    '/sync',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['Sync'],
        summary: 'Read what has happened since a cursor',
        description:
          'Every event that the key may hear, in order, each once. It answers at once, or with `wait` as soon as there is ' +
          'something to tell.\n\nWith `Accept: text/event-stream` it answers server-sent events instead: `event` is the ' +
          'type, `data` the event as JSON, `id` the cursor after it; a stream begins after `Last-Event-ID`, which wins ' +
          'over `cursor`, sends a comment every 15 s and ends after five minutes: come back with the last `id`. ' +
          '`event: error` says why it cannot go on, in the shape of errors.',
        operationId: 'sync',
        querystring: syncQuery,
        response: { ...answers({}, 'cursor_expired'), ...syncAnswers },
      },
    },
    async (request, reply) => {
      if (wantsStream(request)) return await streamEvents(deps, request, reply)
      const { cursor, wait, limit } = request.query
      if (cursor === undefined) {
        return present({ events: [], position: await currentPosition(deps.context, admitted(request)), hasMore: false })
      }
      const position = readSyncCursor(cursor)
      if (wait > 0 && request.method === 'GET') return present(await poll(deps, request, reply, position))
      return present(await readSync(deps.context, admitted(request), { position, limit }))
    },
  )
}

const present = ({ events, position, hasMore }: SyncPage) => ({
  object: 'sync' as const,
  data: events.map(presentSynced),
  cursor: writeSyncCursor(position),
  has_more: hasMore,
})

const wantsStream = ({ method, headers }: FastifyRequest): boolean =>
  method === 'GET' && /\btext\/event-stream\b/i.test(headers.accept ?? '')

/** Waits until there is something to tell or the time is over; no connection to the database is held meanwhile. */
const poll = async (
  deps: SyncDeps,
  request: FastifyRequest<{ Querystring: SyncQuery }>,
  reply: FastifyReply,
  from: SyncPosition,
): Promise<SyncPage> => {
  const { wait, limit } = request.query
  const agent = admitted(request)
  const until = Date.now() + wait * 1000
  const seat = deps.arrivals.sit(agent)
  reply.raw.once('close', seat.leave)
  if (request.raw.socket.destroyed) seat.leave()
  try {
    let position = from
    for (;;) {
      const page = await readSync(deps.context, agent, { position, limit })
      position = page.position
      const left = until - Date.now()
      if (page.events.length > 0 || page.hasMore || left <= 0) return page
      liftDeadline(request)
      const arrival = await seat.next(position.seq, Math.min(left, timeOf(agent)))
      if (arrival === 'left') return page
      renewDeadline(request, reply)
      if (arrival === 'closing') {
        reply.header('Connection', 'close')
        return page
      }
      if (arrival !== 'events' && (await readmit(deps.keys, request)) !== 'same') return page
    }
  } finally {
    seat.leave()
    reply.raw.off('close', seat.leave)
  }
}
