/** Cursors: where a walk through a list stands, as an opaque text. */

import { z } from 'zod'
import { HubbubError } from '../../schema/errors.ts'

/**
 * A walk goes through a list as it stood when its first page was read: `head` is the last event of the workspace at
 * that moment, `position` the number at which the next page begins. `list` names the list that made it.
 */
export type Walk = { list: string; head: number; position: number }

const version = 1
const token = z.tuple([z.literal(version), z.string(), z.int().min(0), z.int().min(0)])

/** Writes a cursor. */
export const writeCursor = ({ list, head, position }: Walk): string =>
  Buffer.from(JSON.stringify([version, list, head, position])).toString('base64url')

/** Reads a cursor of that list; anything else is refused. */
export const readCursor = (list: string, cursor: string): Walk => {
  const parsed = token.safeParse(decode(cursor))
  if (!parsed.success || parsed.data[1] !== list) {
    throw new HubbubError('invalid', 'cursor: not a cursor of this list; start again without one', { param: 'cursor' })
  }
  const [, , head, position] = parsed.data
  return { list, head, position }
}

const decode = (cursor: string): unknown => {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    return undefined
  }
}
