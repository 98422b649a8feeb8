/** Catching up over REST: what a mirror asks for, and how it is answered. */

import { z } from 'zod'
import { type LoggedEvent, loggedEventTypes, staffData } from './events.ts'
import { contact } from './muro/contacts.ts'
import { shownTime } from './muro/conventions.ts'
import { conversation } from './muro/conversations.ts'

/** Bounds of one answer of `sync`; `waitSeconds` is how long it may wait for something to tell. */
export const syncBounds = { limit: 500, waitSeconds: 30 } as const

const token = z.string().min(1).max(500)

export const snapshotQuery = z.object({
  page: token.optional().describe('The `next_page` of the page before.'),
})

export const syncQuery = z.object({
  cursor: token.optional().describe('After what to go on; without one the answer is the current cursor, and nothing.'),
  wait: z.coerce
    .number()
    .int()
    .min(0)
    .max(syncBounds.waitSeconds)
    .default(0)
    .describe('For so many seconds it waits for something to tell.'),
  limit: z.coerce.number().int().min(1).max(syncBounds.limit).default(100).describe('How many events at most.'),
})

const seq = z.int().describe('The number of the last event that it includes.')

/** A page of a snapshot. */
export const snapshot = z
  .object({
    object: z.literal('snapshot'),
    conversations: z.array(conversation.extend({ seq })),
    contacts: z.array(contact.extend({ seq })),
    cursor: z.string().describe('Where to go on with sync; the same on every page.'),
    next_page: z.string().nullable().describe('Send it as `page`; null: this is the last page.'),
  })
  .meta({ id: 'Snapshot' })

/** An event as a mirror is told it. */
export const syncedEvent = z
  .object({
    id: z.string(),
    seq: z.int().describe('Its number in the workspace.'),
    type: z.enum(loggedEventTypes),
    conversation_id: z.string().nullable(),
    conversation_seq: z.int().nullable(),
    created_at: shownTime,
    data: z
      .record(z.string(), z.unknown())
      .describe('As on the sockets; `GET /realtime` lists the fields of each type.'),
  })
  .meta({ id: 'Event' })

/** What has happened since a cursor. */
export const sync = z
  .object({
    object: z.literal('sync'),
    data: z.array(syncedEvent),
    cursor: z.string().describe('Send it with the next request, also where `data` is empty.'),
    has_more: z.boolean().describe('There is more: ask again now.'),
  })
  .meta({ id: 'Sync' })

/** How `GET /sync` is answered. */
export const syncAnswers = {
  200: {
    description: 'What has happened, or a stream of it.',
    content: {
      'application/json': { schema: sync },
      'text/event-stream': { schema: z.string().describe('Server-sent events, where Accept asks for them.') },
    },
  },
}

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
