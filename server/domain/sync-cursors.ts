/** The cursors of sync and the pages of a snapshot: opaque texts that belong to one database's log. */

import { z } from 'zod'
import { HubbubError } from '../../schema/errors.ts'

/** A place in a workspace's log: everything up to `seq` has been told. `epoch` names the log. */
export type SyncPosition = { epoch: string; seq: number }

/**
 * Where a walk through a snapshot stands: the place in the log at which it began, and in which list it goes on after
 * which number.
 */
export type SnapshotWalk = SyncPosition & { list: (typeof lists)[number]; after: number }

const lists = ['contacts', 'conversations'] as const
const version = 1
const number = z.int().min(0)
const epochName = z.string().regex(/^\w{1,64}$/)
const cursorToken = z.tuple([z.literal(version), z.literal('sync'), epochName, number])
const pageToken = z.tuple([z.literal(version), z.literal('snapshot'), epochName, number, z.enum(lists), number])

/** Writes the cursor of a place. */
export const writeSyncCursor = ({ epoch, seq }: SyncPosition): string => write([version, 'sync', epoch, seq])

/** Reads a cursor that was sent as `param`; what is none is refused. */
export const readSyncCursor = (cursor: string, param = 'cursor'): SyncPosition => {
  const parsed = cursorToken.safeParse(read(cursor))
  if (!parsed.success) {
    throw new HubbubError('invalid', `${param}: not a cursor of sync; start with a snapshot`, { param })
  }
  const [, , epoch, seq] = parsed.data
  return { epoch, seq }
}

/** Writes what asks for the next page of a snapshot. */
export const writeSnapshotPage = ({ epoch, seq, list, after }: SnapshotWalk): string =>
  write([version, 'snapshot', epoch, seq, list, after])

/** Reads what asks for a page; what does not is refused. */
export const readSnapshotPage = (page: string): SnapshotWalk => {
  const parsed = pageToken.safeParse(read(page))
  if (!parsed.success) {
    throw new HubbubError('invalid', 'page: not a page of a snapshot; start again without one', { param: 'page' })
  }
  const [, , epoch, seq, list, after] = parsed.data
  return { epoch, seq, list, after }
}

/** Returns the error for a place that the log does not hold (any more). */
export const cursorExpired = (): HubbubError =>
  new HubbubError(
    'cursor_expired',
    'The log does not hold what came after this cursor. Take a new snapshot (GET /api/v1/snapshot) and go on from its cursor.',
  )

const write = (token: unknown[]): string => Buffer.from(JSON.stringify(token)).toString('base64url')

const read = (text: string): unknown => {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    return undefined
  }
}
