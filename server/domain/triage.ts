/** Triage: what staff change about a conversation. */

import { HubbubError } from '../../schema/errors.ts'
import { type ConversationState, isId, shownStatus } from '../../schema/ids.ts'
import { caps } from '../../schema/muro/conventions.ts'
import type { UpdateConversation } from '../../schema/muro/conversations.ts'
import type { Tx } from '../db/sql.ts'
import { mergeMetadata } from './attributes.ts'
import type { AgentScope, Context, Reach, Workspace } from './context.ts'
import { noConversation, readConversation } from './conversations.ts'
import { type ConversationFacts, conversationUpdateFacts } from './facts.ts'
import { reachedConversations } from './reach.ts'
import { type Log, record } from './record.ts'

/** What may change: as the API asks for it, and tags that are added to those there are. */
export type TriagePatch = UpdateConversation & { add_tags?: string[] }

/** Changes a conversation and tells what changed; a patch that changes nothing tells nothing. */
export const updateConversation = async (
  context: Context,
  scope: AgentScope,
  id: string,
  patch: UpdateConversation,
): Promise<ConversationFacts> =>
  await record(context, async (tx, log) => {
    await changeConversation(tx, log, scope, id, patch)
    return await readConversation({ sql: tx }, scope, id)
  })

/**
 * Changes a conversation that the scope reaches and tells what changed. It locks the conversation and, where something
 * changes, the workspace's head.
 */
export const changeConversation = async (
  tx: Tx,
  log: Log,
  reach: Reach,
  id: string,
  patch: TriagePatch,
): Promise<void> => {
  const { workspace } = reach
  const row = await lockConversation(tx, reach, id)
  const changes = await changesOf(tx, workspace, row, patch)
  const changed = Object.keys(changes.told)
  if (changed.length === 0) return
  const seq = row.seq + 1
  const publicSeq = changes.told.status ? row.public_seq + 1 : null
  const first = await log.take(workspace, 1)
  await tx`
    update conversations set
           ${tx({ ...changes.columns, seq, public_seq: publicSeq ?? row.public_seq })},
           updated_at = clock_timestamp()
     where id = ${row.id}`
  if (changes.told.status) {
    await tx`update conversation_activity set closed = ${patch.status === 'closed'} where conversation_id = ${row.id}`
  }
  const [told] = await tx<{ payload: Record<string, unknown> }[]>`
    select ${tx.unsafe(conversationUpdateFacts('changed.names'))} as payload
      from conversations c, (select array_to_json(${changed}::text[]) as names) changed where c.id = ${row.id}`
  if (!told) throw new Error(`conversation ${id} vanished under its lock`)
  await log.write(workspace, first, [
    {
      type: 'conversation.update',
      site: { id: row.site_id, publicId: row.site },
      conversation: { id: row.id, publicId: id, seq, publicSeq },
      payload: told.payload,
    },
  ])
}

type Row = {
  id: number
  site_id: number
  site: string
  seq: number
  public_seq: number
  state: ConversationState
  unread_count: number
  assignee_id: number | null
  tags: string[]
  metadata: Record<string, unknown>
}

const lockConversation = async (tx: Tx, reach: Reach, id: string): Promise<Row> => {
  const [row] = isId('conversation', id)
    ? await tx<Row[]>`
        select c.id, c.site_id, w.public_id as site, c.seq, c.public_seq, c.state, c.unread_count, c.assignee_id,
               to_json(c.tags) as tags, c.metadata
          from conversations c join sites w on w.id = c.site_id
         where ${reachedConversations(tx, reach)} and c.public_id = ${id}
           for no key update of c`
    : []
  if (!row) throw noConversation()
  return row
}

// `told` names what changed as `conversation.update` does; `columns` is what is stored.
const changesOf = async (tx: Tx, workspace: Workspace, row: Row, patch: TriagePatch) => {
  const told: Record<string, true> = {}
  const columns: Record<string, unknown> = {}
  if (patch.status !== undefined && patch.status !== shownStatus(row.state)) {
    told.status = true
    columns.state = patch.status
    columns.status_seq = row.seq + 1
    columns.snoozed_until = null
  }
  const tags = tagsOf(row, patch)
  if (!sameList(tags, row.tags)) {
    told.tags = true
    columns.tags = tags
  }
  if (patch.assigned_user_id !== undefined) {
    const assignee = patch.assigned_user_id === null ? null : await findUser(tx, workspace, patch.assigned_user_id)
    if (assignee !== row.assignee_id) {
      told.assigned_user_id = true
      columns.assignee_id = assignee
    }
  }
  const unread = patch.mark_read ? 0 : patch.mark_unread ? Math.max(1, row.unread_count) : row.unread_count
  if (unread !== row.unread_count) {
    told.unread_count = true
    columns.unread_count = unread
  }
  if (patch.metadata !== undefined) {
    const { merged, changed } = mergeMetadata(row.metadata, patch.metadata, caps.metadata)
    if (changed) {
      told.metadata = true
      columns.metadata = tx.json(merged as never)
    }
  }
  return { told, columns }
}

// What is beyond the cap is left out: nobody is there who could be told.
const tagsOf = (row: Row, { tags = row.tags, add_tags = [] }: TriagePatch): string[] =>
  add_tags.length === 0 ? tags : [...new Set([...tags, ...add_tags])].slice(0, caps.tags)

const sameList = (a: string[], b: string[]) => a.length === b.length && a.every((value, index) => value === b[index])

const findUser = async (tx: Tx, workspace: Workspace, id: string): Promise<number> => {
  const [user] = await tx<{ id: number }[]>`
    select id from users where workspace_id = ${workspace.id} and public_id = ${id}`
  if (!user)
    throw new HubbubError('invalid', 'assigned_user_id: no such user in this workspace', { param: 'assigned_user_id' })
  return user.id
}
