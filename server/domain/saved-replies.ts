/** Saved replies: canned texts of a workspace, each under a shortcut that no other one has. */

import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import type { CreateSavedReply, SavedReply, UpdateSavedReply } from '../../schema/muro/saved-replies.ts'
import { type Queryable, violatedUnique } from '../db/sql.ts'
import type { AgentScope, Context, Reach } from './context.ts'
import { isoTime } from './facts.ts'
import { type Claim, recordOnce, type Settled } from './idempotency.ts'
import { newId } from './ids.ts'
import { readList } from './lists.ts'
import type { Page } from './walks.ts'

/** A saved reply before a face says what it is. */
export type SavedReplyFacts = Omit<SavedReply, 'object'>

/** Returns a page of the workspace's saved replies, the oldest first; they are the same on all its sites. */
export const listSavedReplies = async (
  { sql }: Context,
  { workspace }: Reach,
  page: { cursor?: string | undefined; limit: number },
): Promise<Page<SavedReplyFacts>> =>
  await readList(
    sql,
    { list: 'saved-replies', ...page },
    sql`select r.id, ${sql.unsafe(facts)} as facts from saved_replies r where r.workspace_id = ${workspace.id}`,
  )

/** Returns one saved reply of the workspace. */
export const readSavedReply = async (
  { sql }: { sql: Queryable },
  { workspace }: Reach,
  id: string,
): Promise<SavedReplyFacts> => {
  const [found] = isId('savedReply', id)
    ? await sql<{ facts: SavedReplyFacts }[]>`
        select ${sql.unsafe(facts)} as facts from saved_replies r
         where r.workspace_id = ${workspace.id} and r.public_id = ${id}`
    : []
  if (!found) throw noSavedReply()
  return found.facts
}

/** Creates a saved reply. */
export const createSavedReply = async (
  context: Context,
  scope: AgentScope,
  { shortcut, title, body }: CreateSavedReply,
  claim?: Claim,
): Promise<Settled<SavedReplyFacts>> => {
  requireWorkspace(scope)
  return await namingTaken(context, scope, shortcut, () =>
    recordOnce(
      context,
      claim,
      async (tx) => {
        const [made] = await tx<{ facts: SavedReplyFacts }[]>`
          insert into saved_replies as r (public_id, workspace_id, shortcut, title, body)
          values (${newId('savedReply')}, ${scope.workspace.id}, ${shortcut}, ${title}, ${body})
          returning ${tx.unsafe(facts)} as facts`
        if (!made) throw new Error('a saved reply was not inserted')
        return made.facts
      },
      // What a pinned key may not do was refused before, and all others may read all saved replies.
      () => undefined,
    ),
  )
}

/** Changes a saved reply; what stays the same is no change. */
export const updateSavedReply = async (
  context: Context,
  scope: AgentScope,
  id: string,
  { shortcut, title, body }: UpdateSavedReply,
): Promise<SavedReplyFacts> => {
  requireWorkspace(scope)
  if (!isId('savedReply', id)) throw noSavedReply()
  const { sql } = context
  const next = sql`
    coalesce(${shortcut ?? null}, r.shortcut), coalesce(${title ?? null}, r.title), coalesce(${body ?? null}, r.body)`
  const [changed] = await namingTaken(
    context,
    scope,
    shortcut,
    async () =>
      await sql<{ facts: SavedReplyFacts }[]>`
      update saved_replies r
         set (shortcut, title, body) = row(${next}),
             updated_at = case when (r.shortcut, r.title, r.body) = (${next}) then r.updated_at
                               else clock_timestamp() end
       where r.workspace_id = ${scope.workspace.id} and r.public_id = ${id}
      returning ${sql.unsafe(facts)} as facts`,
  )
  if (!changed) throw noSavedReply()
  return changed.facts
}

/** Deletes a saved reply. */
export const deleteSavedReply = async ({ sql }: Context, scope: AgentScope, id: string): Promise<void> => {
  requireWorkspace(scope)
  const { count } = isId('savedReply', id)
    ? await sql`delete from saved_replies where workspace_id = ${scope.workspace.id} and public_id = ${id}`
    : { count: 0 }
  if (count === 0) throw noSavedReply()
}

const facts = `
  json_build_object(
    'id', r.public_id, 'shortcut', r.shortcut, 'title', r.title, 'body', r.body,
    'created_at', ${isoTime('r.created_at')}, 'updated_at', ${isoTime('r.updated_at')})`

const noSavedReply = () => new HubbubError('not_found', 'No such saved reply.')

// The replies are all sites': whoever reaches one site only may use them.
const requireWorkspace = ({ site }: Reach): void => {
  if (site !== null) {
    throw new HubbubError(
      'forbidden',
      'Saved replies belong to all sites: a key that is pinned to one may not change them.',
    )
  }
}

const namingTaken = async <T>(
  { sql }: Context,
  { workspace }: Reach,
  shortcut: string | undefined,
  write: () => Promise<T>,
): Promise<T> => {
  try {
    return await write()
  } catch (error) {
    if (violatedUnique(error) !== 'saved_replies_shortcut') throw error
    const [owner] = await sql<{ public_id: string }[]>`
      select public_id from saved_replies where workspace_id = ${workspace.id} and shortcut = ${shortcut ?? ''}`
    throw new HubbubError('conflict', `shortcut: another saved reply has it${owner ? `: ${owner.public_id}` : ''}`, {
      param: 'shortcut',
    })
  }
}
