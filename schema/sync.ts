/** Catching up over REST: what a mirror asks for, and how it is answered. */

import { z } from 'zod'
import { type LoggedEvent, staffData } from './events.ts'

/** Bounds of one answer of `sync`; `waitSeconds` is how long it may wait for something to tell. */
export const syncBounds = { limit: 500, waitSeconds: 30 } as const

const token = z.string().min(1).max(500)

export const snapshotQuery = z.object({ page: token.optional() })

export const syncQuery = z.object({
  cursor: token.optional(),
  wait: z.coerce.number().int().min(0).max(syncBounds.waitSeconds).default(0),
  limit: z.coerce.number().int().min(1).max(syncBounds.limit).default(100),
})

export type SnapshotQuery = z.infer<typeof snapshotQuery>
export type SyncQuery = z.infer<typeof syncQuery>

/** A row of the log with the time at which it was written, ISO 8601. */
export type SyncedEvent = LoggedEvent & { created_at: string }

/** Returns an event as a mirror is told it; `data` is what staff hear on the sockets. */
export const presentSynced = (event: SyncedEvent) => ({
  id: event.id,
  seq: event.seq,
  type: event.type,
  conversation_id: event.conversation,
  conversation_seq: event.conversation_seq,
  created_at: event.created_at,
  data: staffData(event),
})

/** Writes an event of a stream (server-sent events); `data` is JSON, which is one line. */
export const sentEvent = (name: string, data: unknown, id?: string): string =>
  `${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

/** Writes the position of a stream, where there is no event that would tell it. */
export const sentPosition = (id: string): string => `id: ${id}\n\n`

/** Writes the time in ms after which a reader comes back. */
export const sentRetry = (ms: number): string => `retry: ${ms}\n\n`

/** Keeps a stream alive; readers drop it. */
export const sentAlive = ': alive\n\n'
