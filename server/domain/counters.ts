/** The integers that a workspace shows outside, each kind dense on its own. */

import type { Tx } from '../db/sql.ts'
import type { Workspace } from './context.ts'

export type Counter = 'contact' | 'conversation' | 'site' | 'user'

/** Takes the next number. Comes right after the claim, before every other lock. */
export const nextNumber = async (tx: Tx, workspace: Workspace, kind: Counter): Promise<number> => {
  const [row] = await tx<{ value: number }[]>`
    insert into workspace_counters as c (workspace_id, kind, value) values (${workspace.id}, ${kind}, 1)
    on conflict (workspace_id, kind) do update set value = c.value + 1
    returning value`
  if (!row) throw new Error(`no ${kind} number was given`)
  return row.value
}
