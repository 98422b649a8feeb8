/** Records events: the log is written with the change it tells of, and the bus hears of it once that is committed. */

import { controlSubject, streamSubject } from '../../realtime/bus/bus.ts'
import {
  encodeStreamEvent,
  type LoggedEvent,
  type LoggedEventType,
  type StreamEvent,
  toStreamEvent,
} from '../../schema/events.ts'
import { encodeKeyNotice, type KeyNotice } from '../../schema/key-notice.ts'
import { type Sql, type Tx, transact } from '../db/sql.ts'
import type { Context, SiteRef, Workspace } from './context.ts'
import { newId } from './ids.ts'

/** An event that has no number of the workspace yet. */
export type EventDraft = {
  type: LoggedEventType
  site: SiteRef | null
  conversation: { id: number; publicId: string; seq: number; publicSeq: number | null } | null
  payload: Record<string, unknown>
}

/** The log inside a transaction. */
export type Log = {
  /** Takes the next `count` numbers of the workspace and returns the first. Locks its head: the last lock of all. */
  take(workspace: Workspace, count: number): Promise<number>
  /** Writes events under numbers that were taken. */
  write(workspace: Workspace, first: number, drafts: EventDraft[]): Promise<void>
  /** Takes in events that a statement has written by itself: they are published with the others. */
  adopt(events: LoggedEvent[]): void
}

/** Runs a write in one transaction; what it logged is published after the commit, in order. */
export const record = async <T>(context: Context, write: (tx: Tx, log: Log) => Promise<T>): Promise<T> => {
  const logged: LoggedEvent[] = []
  const answer = await transact(context.sql, (tx) =>
    write(tx, {
      take: (workspace, count) => takeNumbers(tx, workspace, count),
      write: async (workspace, first, drafts) => {
        logged.push(...(await writeEvents(tx, workspace, first, drafts)))
      },
      adopt: (events) => {
        logged.push(...events)
      },
    }),
  )
  publish(context, logged)
  return answer
}

/** Runs a write that is one statement and returns the events it logged; they are published once it has committed. */
export const recordStatement = async (
  context: Context,
  write: (sql: Sql) => PromiseLike<LoggedEvent[]>,
): Promise<LoggedEvent[]> => {
  const logged = await write(context.sql)
  publish(context, logged)
  return logged
}

/** Tells the bus of something that is not kept. */
export const tell = ({ bus }: Context, event: StreamEvent): void =>
  bus.publish(streamSubject(event.workspace), encodeStreamEvent(event))

/** Tells every hub that a key has changed. */
export const tellKey = ({ bus }: Context, notice: KeyNotice): void =>
  bus.publish(controlSubject, encodeKeyNotice(notice))

const publish = ({ bus, onLogged }: Context, events: LoggedEvent[]) => {
  for (const event of events) bus.publish(streamSubject(event.workspace), encodeStreamEvent(toStreamEvent(event)))
  if (events.length > 0) onLogged?.(events)
}

// The type's number in every Postgres.
const jsonType = 114

const takeNumbers = async (tx: Tx, workspace: Workspace, count: number): Promise<number> => {
  const [head] = await tx<{ seq: number }[]>`
    update workspace_heads set seq = seq + ${count} where workspace_id = ${workspace.id} returning seq`
  if (!head) throw new Error(`workspace ${workspace.publicId} has no head`)
  return head.seq - count + 1
}

const writeEvents = async (
  tx: Tx,
  workspace: Workspace,
  first: number,
  drafts: EventDraft[],
): Promise<LoggedEvent[]> => {
  const events = drafts.map(({ type, site, conversation, payload }, index) => ({
    workspace: workspace.publicId,
    seq: first + index,
    id: newId('event'),
    type,
    site: site?.publicId ?? null,
    conversation: conversation?.publicId ?? null,
    conversation_seq: conversation?.seq ?? null,
    public_seq: conversation?.publicSeq ?? null,
    payload,
  }))
  const rows = events.map(({ id, workspace: _w, site: _s, conversation: _c, payload, ...columns }, index) => ({
    ...columns,
    workspace_id: workspace.id,
    public_id: id,
    site_id: drafts[index]?.site?.id ?? null,
    conversation_id: drafts[index]?.conversation?.id ?? null,
    // As json, not the driver's json(), which is jsonb and forgets the order of keys: live and replayed are the same bytes.
    payload: tx.typed(payload, jsonType),
  }))
  await tx`insert into events ${tx(rows)}`
  return events
}
