/** The stream of `GET /sync`: server-sent events, each with the cursor to come back with. */

import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { presentSynced, type SyncQuery, sentAlive, sentEvent, sentPosition, sentRetry } from '../../../schema/sync.ts'
import type { AgentScope, Context } from '../../domain/context.ts'
import { currentPosition, readSync, type SyncPage } from '../../domain/sync.ts'
import { readSyncCursor, type SyncPosition, writeSyncCursor } from '../../domain/sync-cursors.ts'
import { liftDeadline, withinDeadline } from '../../http/deadline.ts'
import { toHubbubError } from '../../http/errors.ts'
import { admitted } from './admitted.ts'
import { renderMuroError } from './errors.ts'
import { readmit, type SyncDeps, timeOf } from './readmitted.ts'

/** Times in ms: how long a stream lasts, what keeps it alive, how often it is read, and when its reader comes back. */
const times = { life: 5 * 60_000, alive: 15_000, pace: 50, retry: 1000, grace: 500 } as const

// Of each stream so much waits for a reader that does not read, three times over: here, in Node and in the system.
const maxBytes = 128 * 1024

type SyncRequest = FastifyRequest<{ Querystring: SyncQuery }>

/** Answers with a stream that begins after `Last-Event-ID`, else after the cursor, else now. */
export const streamEvents = async (
  { context, keys, arrivals }: SyncDeps,
  request: SyncRequest,
  reply: FastifyReply,
): Promise<FastifyReply> => {
  const agent = admitted(request)
  const from = await startOf(context, agent, request)
  const read = (position: SyncPosition) =>
    withinDeadline(readSync(context, agent, { position, limit: request.query.limit, bytes: maxBytes }))
  // A reader that does not read keeps the stream from seeing that it is called.
  let isCalled = false
  const seat = arrivals.sit(agent, () => {
    isCalled = true
    setTimeout(() => isCalled && body?.destroy(), times.grace).unref()
  })
  let body: Readable | undefined
  let end: NodeJS.Timeout | undefined
  const leave = () => {
    seat.leave()
    clearTimeout(end)
  }
  reply.raw.once('close', leave)
  const first = await read(from).catch((error: unknown) => {
    leave()
    throw error
  })
  if (request.raw.socket.destroyed) leave()

  const follow = async function* (): AsyncGenerator<string> {
    const until = Date.now() + times.life
    let page = first
    let told = from.seq
    let readAt = Date.now()
    yield sentRetry(times.retry) + sentPosition(writeSyncCursor(from))
    for (;;) {
      const frames = framesOf(page)
      if (frames) yield frames
      told = page.events.at(-1)?.seq ?? told
      const { position, hasMore } = page
      const idle = Math.min(times.alive, until - Date.now(), timeOf(agent))
      const arrival = await seat.next(position.seq, hasMore ? 0 : idle)
      if (arrival === 'left') return
      if (arrival === 'closing' || Date.now() >= until) return yield sentRetry(Math.round(Math.random() * times.retry))
      if (arrival === 'key' || timeOf(agent) === 0) {
        if ((await readmit(keys, request)) === 'changed') return
        isCalled = false
      }
      if (arrival === 'time' && !hasMore) {
        yield position.seq === told ? sentAlive : sentAlive + sentPosition(writeSyncCursor(position))
        told = position.seq
      }
      if (!hasMore) await pause(Math.max(0, readAt + times.pace - Date.now()))
      readAt = Date.now()
      page = await read(position)
    }
  }
  body = Readable.from(endInOrder(follow, leave))
  end = setTimeout(() => body?.destroy(), times.life + times.grace)
  liftDeadline(request)
  return await reply
    .headers({ 'Content-Type': 'text/event-stream; charset=utf-8', 'X-Accel-Buffering': 'no', Connection: 'close' })
    .send(body)
}

const startOf = async (context: Context, agent: AgentScope, request: SyncRequest): Promise<SyncPosition> => {
  const { 'last-event-id': last } = request.headers
  if (typeof last === 'string' && last !== '') return readSyncCursor(last, 'Last-Event-ID')
  const { cursor } = request.query
  return cursor === undefined ? await currentPosition(context, agent) : readSyncCursor(cursor)
}

const framesOf = ({ events, position: { epoch } }: SyncPage): string =>
  events
    .map((event) => sentEvent(event.type, presentSynced(event), writeSyncCursor({ epoch, seq: event.seq })))
    .join('')

/** Says why a stream ends that cannot go on. */
const endInOrder = async function* (follow: () => AsyncGenerator<string>, leave: () => void): AsyncGenerator<string> {
  try {
    yield* follow()
  } catch (error) {
    yield sentEvent('error', renderMuroError(toHubbubError(error)))
  } finally {
    leave()
  }
}
