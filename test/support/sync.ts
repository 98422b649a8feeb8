/** What a mirror needs in a test: the face of sync, and a reader of its stream whose socket can be cut. */

import { connect, type Socket } from 'node:net'
import { expect } from 'vitest'
import { z } from 'zod'
import type { Mirror, Mirrored, Told } from '../../examples/mirror.mjs'
import type { TestDatabase } from './database.ts'
import { type Answer, muroClient } from './http.ts'

const told = z.object({
  id: z.string(),
  seq: z.number(),
  type: z.string(),
  conversation_id: z.string().nullable(),
  conversation_seq: z.number().nullable(),
  created_at: z.string(),
  data: z.record(z.string(), z.unknown()),
})

const syncPage = z.strictObject({
  object: z.literal('sync'),
  data: z.array(told.strict()),
  cursor: z.string().min(1),
  has_more: z.boolean(),
})

const mirrored = z.looseObject({ id: z.string(), seq: z.number() })

const snapshotPage = z.strictObject({
  object: z.literal('snapshot'),
  conversations: z.array(mirrored),
  contacts: z.array(mirrored),
  cursor: z.string().min(1),
  next_page: z.string().nullable(),
})

/** Returns an answer of sync; fails where it is none. */
export const syncOf = ({ body }: Answer): z.infer<typeof syncPage> => syncPage.parse(body)

/** Returns a page of a snapshot; fails where it is none. */
export const snapshotOf = ({ body }: Answer): z.infer<typeof snapshotPage> => snapshotPage.parse(body)

/** Puts a whole snapshot into a mirror; returns where to go on from. A page that does not come is asked for again. */
export const takeSnapshot = async (api: string, key: string, mirror: Mirror): Promise<string> => {
  for (let page = ''; ; ) {
    const answer = await muroClient(api, key)
      .get(`/snapshot${page && `?page=${page}`}`)
      .catch(() => undefined)
    if (answer?.status !== 200) continue
    const { contacts, conversations, cursor, next_page } = snapshotOf(answer)
    for (const one of contacts) mirror.contacts.set(one.id, one)
    for (const one of conversations) mirror.conversations.set(one.id, one)
    if (next_page === null) return cursor
    page = next_page
  }
}

/** Returns what a mirror holds in an order of its own, with what its reader joins: the visitor, the count. */
export const joined = ({ contacts, conversations }: Mirror) => {
  const byId = (rows: Iterable<Mirrored>) => [...rows].sort((a, b) => (a.id < b.id ? -1 : 1))
  return {
    contacts: byId(contacts.values()).map(({ conversation_count: _, ...rest }) => rest),
    // updated_at of a conversation is told by no event.
    conversations: byId(conversations.values()).map(({ updated_at: _, visitor, ...rest }) => {
      const contact = contacts.get(visitorIdOf(visitor))
      return { ...rest, visitor: [visitorIdOf(visitor), contact?.name, contact?.email] }
    }),
  }
}

/** Returns the id of a conversation's visitor. */
export const visitorIdOf = (visitor: unknown): string => {
  if (typeof visitor === 'object' && visitor !== null && 'id' in visitor) return String(visitor.id)
  throw new Error('no visitor')
}

/** Resolves when somebody waits for events in a program on that database: then it looks for heads. */
export const somebodyWaits = async ({ sql }: TestDatabase): Promise<void> => {
  const [{ now } = { now: new Date() }] = await sql<{ now: Date }[]>`select clock_timestamp() as now`
  const looks = () => sql`
    select 1 from pg_stat_activity
     where datname = current_database() and application_name like 'hubbub %' and query_start > ${now}
       and query like '%from workspaces w join workspace_heads h%'`
  await expect.poll(async () => (await looks()).length, { interval: 20, timeout: 5000 }).toBeGreaterThan(0)
}

/** What stands between two blank lines of a stream: its fields and its comments. */
export type Block = { id?: string; event?: string; data?: string; retry?: string; comment?: string }

export type EventStream = {
  status: number
  headers: Record<string, string>
  /** All that came so far, in order; of an answer that is no stream, nothing. */
  blocks: Block[]
  /** The body of an answer that is no stream, once it has ended. */
  text(): string
  /** The events that came so far. */
  events(): Told[]
  /** Reads the event of a block; undefined for one that says why the stream ends. */
  eventOf(block: Block): Told | undefined
  /** Resolves when the connection has ended, from whichever side. */
  ended: Promise<void>
  /** How many bytes have come. */
  received(): number
  /** Stops reading, as a reader that hangs, and goes on. */
  pause(): void
  resume(): void
  cut(): void
}

/** Opens a stream over a socket of its own and returns when the head of the answer is there. */
export const openStream = async (
  api: string,
  key: string,
  { path = '/api/v1/sync', lastEventId }: { path?: string; lastEventId?: string } = {},
): Promise<EventStream> => {
  const { hostname, port } = new URL(api)
  const socket: Socket = connect(Number(port), hostname)
  socket.on('error', () => socket.destroy())
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${hostname}:${port}`,
    `Authorization: Bearer ${key}`,
    'Accept: text/event-stream',
    ...(lastEventId === undefined ? [] : [`Last-Event-ID: ${lastEventId}`]),
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  const stream = { blocks: [] as Block[], text: '' }
  let raw: Buffer = Buffer.alloc(0)
  let head: { status: number; headers: Record<string, string> } | undefined
  const ended = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  const begun = new Promise<{ status: number; headers: Record<string, string> }>((resolve, reject) => {
    socket.on('close', () => reject(new Error('the connection was cut before an answer')))
    socket.on('data', (bytes) => {
      raw = Buffer.concat([raw, bytes])
      const end = head ? 0 : raw.indexOf('\r\n\r\n')
      if (!head && end >= 0) {
        head = readHead(raw.subarray(0, end).toString())
        raw = raw.subarray(end + 4)
        resolve(head)
      }
      if (!head) return
      if (head.headers['transfer-encoding'] === 'chunked') {
        const { body, rest } = dechunk(raw)
        raw = rest
        stream.text += body
      } else {
        stream.text += raw.toString()
        raw = Buffer.alloc(0)
      }
      if (!head.headers['content-type']?.startsWith('text/event-stream')) return
      const blocks = stream.text.split('\n\n')
      stream.text = blocks.pop() ?? ''
      stream.blocks.push(...blocks.map(readBlock))
    })
  })
  const { status, headers } = await begun
  return {
    status,
    headers,
    blocks: stream.blocks,
    text: () => stream.text,
    events: () => stream.blocks.flatMap((block) => eventOf(block) ?? []),
    eventOf,
    ended,
    received: () => socket.bytesRead,
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    cut: () => socket.resetAndDestroy(),
  }
}

const eventOf = ({ event, data }: Block): Told | undefined =>
  data === undefined || event === 'error' ? undefined : told.parse(JSON.parse(data))

const readHead = (text: string) => {
  const [first = '', ...lines] = text.split('\r\n')
  const headers = Object.fromEntries(
    lines.map((line) => {
      const [, name = '', value = ''] = /^([^:]+): *(.*)$/.exec(line) ?? []
      return [name.toLowerCase(), value]
    }),
  )
  return { status: Number(first.split(' ')[1]), headers }
}

// Whole chunks only: what is left over is part of the next.
const dechunk = (raw: Buffer): { body: string; rest: Buffer } => {
  let rest = raw
  const parts: Buffer[] = []
  for (;;) {
    const line = rest.indexOf('\r\n')
    const size = line < 0 ? Number.NaN : Number.parseInt(rest.subarray(0, line).toString(), 16)
    if (Number.isNaN(size) || rest.length < line + 2 + size + 2) break
    parts.push(rest.subarray(line + 2, line + 2 + size))
    rest = rest.subarray(line + 2 + size + 2)
  }
  return { body: Buffer.concat(parts).toString(), rest }
}

const readBlock = (block: string): Block =>
  Object.fromEntries(
    block.split('\n').map((line) => {
      const [, name = '', value = ''] = /^([^:]*): ?(.*)$/.exec(line) ?? []
      return [name || 'comment', value]
    }),
  )
