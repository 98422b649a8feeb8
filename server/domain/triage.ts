/** Triage: what staff change about a conversation. */

import { HubbubError } from '../../schema/errors.ts'
import { type ConversationState, isId, shownStatus } from '../../schema/ids.ts'
import { caps } from '../../schema/muro/conventions.ts'
import type { UpdateConversation } from '../../schema/muro/conversations.ts'
import type { Queryable, Tx } from '../db/sql.ts'
import { mergeMetadata } from './attributes.ts'
import type { AgentScope, Context, Reach, Workspace } from './context.ts'
import { noConversation, readConversation } from './conversations.ts'
import { type ConversationFacts, conversationUpdateFacts, isoTime } from './facts.ts'
import { reachedConversations } from './reach.ts'
import { type Log, record } from './record.ts'

/** What may change: as the API asks for it, and tags that are added to those there are. */
export type TriagePatch = UpdateConversation & { add_tags?: string[] }

/** Why a conversation changed where nobody asked for it at that time; staff are told beside what changed. */
export type ChangeReason = 'snooze_elapsed'

/** The channel of Postgres on which is told, at the commit, that a conversation is to wake at some time. */
export const snoozeNotices = 'hubbub_snoozes'

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
  reason?: ChangeReason,
): Promise<void> => {
  const { workspace } = reach
  const row = await lockConversation(tx, reach, id)
  const changes = await changesOf(tx, workspace, row, patch)
  const changed = Object.keys(changes.told)
  if (changed.length === 0) return
  const seq = row.seq + 1
  const publicSeq = changes.told.status ? row.public_seq + 1 : null
  if (changes.columns.snoozed_until) await tx`select pg_notify(${snoozeNotices}, '')`
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
      payload: reason === undefined ? told.payload : { ...told.payload, reason },
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
  snoozed_until: string | null
  unread_count: number
  assignee_id: number | null
  tags: string[]
  metadata: Record<string, unknown>
}

const lockConversation = async (tx: Tx, reach: Reach, id: string): Promise<Row> => {
  const [row] = isId('conversation', id)
    ? await tx<Row[]>`
        select c.id, c.site_id, w.public_id as site, c.seq, c.public_seq, c.state,
               ${tx.unsafe(isoTime('c.snoozed_until'))} as snoozed_until, c.unread_count, c.assignee_id,
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
  // Pending is a kind of open: who asks for open leaves it as it is.
  const state = patch.status === undefined || patch.status === shownStatus(row.state) ? row.state : patch.status
  if (state !== row.state) {
    told.status = true
    columns.state = state
    columns.status_seq = row.seq + 1
  }
  const snoozedUntil = snoozedUntilOf(row, state, patch)
  if (snoozedUntil !== row.snoozed_until) {
    told.snoozed_until = true
    columns.snoozed_until = snoozedUntil
  }
  const tags = tagsOf(row, patch)
  if (!sameList(tags, row.tags)) {
    told.tags = true
    columns.tags = tags
  }
  if (patch.assigned_user_id !== undefined) {
    const assignee = patch.assigned_user_id === null ? null : await findAssignee(tx, workspace, patch.assigned_user_id)
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

// A snooze without a time ends when the visitor writes; one that has a time keeps it until another is named. Whoever
// sends back all that they were shown may say that an open conversation has none, but not give it one.
const snoozedUntilOf = (row: Row, state: ConversationState, patch: TriagePatch): string | null => {
  const { status, snoozed_until: wanted } = patch
  if (state === 'snoozed') return wanted === undefined && row.state === 'snoozed' ? row.snoozed_until : (wanted ?? null)
  if (wanted || (wanted === null && status === undefined)) {
    throw new HubbubError('invalid', 'snoozed_until: the conversation is not snoozed; send status: snoozed with it', {
      param: 'snoozed_until',
    })
  }
  return null
}

// What is beyond the cap is left out: nobody is there who could be told.
const tagsOf = (row: Row, { tags = row.tags, add_tags = [] }: TriagePatch): string[] =>
  add_tags.length === 0 ? tags : [...new Set([...tags, ...add_tags])].slice(0, caps.tags)

const sameList = (a: string[], b: string[]) => a.length === b.length && a.every((value, index) => value === b[index])

/**
 * Returns the row of a user who can be assigned; `invalid` where the workspace has none of that id. The row is locked
 * as the assignment will need it: nothing may be locked after the head.
 */
export const findAssignee = async (sql: Queryable, workspace: Workspace, id: string): Promise<number> => {
  const [user] = await sql<{ id: number }[]>`
    select id from users where workspace_id = ${workspace.id} and public_id = ${id} for key share`
  if (!user)
    throw new HubbubError('invalid', 'assigned_user_id: no such user in this workspace', { param: 'assigned_user_id' })
  return user.id
}
