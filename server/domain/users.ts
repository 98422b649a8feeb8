/** Users: who works in a workspace, and whether they want to be asked. */

import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import type { UpdateUser, User } from '../../schema/muro/users.ts'
import type { Queryable } from '../db/sql.ts'
import type { AgentScope, Context, Reach } from './context.ts'
import { isoTime } from './facts.ts'
import { readList } from './lists.ts'
import { record } from './record.ts'
import type { Page } from './walks.ts'

/** A user before a face says what it is. */
export type UserFacts = Omit<User, 'object'>

/** Returns a page of the workspace's users, the oldest first; users belong to no site, so every scope sees all of them. */
export const listUsers = async (
  { sql }: Context,
  { workspace }: Reach,
  page: { cursor?: string | undefined; limit: number },
): Promise<Page<UserFacts>> =>
  await readList(
    sql,
    { list: 'users', ...page },
    sql`select u.id, ${sql.unsafe(facts)} as facts from users u where u.workspace_id = ${workspace.id}`,
  )

/** Returns one user of the workspace. */
export const readUser = async ({ sql }: { sql: Queryable }, { workspace }: Reach, id: string): Promise<UserFacts> => {
  const [found] = isId('user', id)
    ? await sql<{ facts: UserFacts }[]>`
        select ${sql.unsafe(facts)} as facts from users u
         where u.workspace_id = ${workspace.id} and u.public_id = ${id}`
    : []
  if (!found) throw noUser()
  return found.facts
}

/**
 * Changes whether a user wants to be asked, and tells it where it is another choice: the key's own user, or any where an
 * admin's key reaches the workspace.
 */
export const updateUser = async (
  context: Context,
  scope: AgentScope,
  id: string,
  { availability }: UpdateUser,
): Promise<UserFacts> => {
  const { workspace } = scope
  if (!mayChange(scope, id)) {
    await readUser(context, scope, id)
    throw new HubbubError('forbidden', 'This API key may change its own user only; others are changed by admins.')
  }
  if (!isId('user', id)) throw noUser()
  return await record(context, async (tx, log) => {
    const [changed] = await tx<{ facts: UserFacts }[]>`
      update users u set availability = ${availability}
       where u.workspace_id = ${workspace.id} and u.public_id = ${id} and u.availability <> ${availability}
      returning ${tx.unsafe(facts)} as facts`
    if (!changed) return await readUser({ sql: tx }, scope, id)
    const payload = { ...changed.facts, changed: ['availability'] }
    await log.write(workspace, await log.take(workspace, 1), [
      { type: 'user.update', site: null, conversation: null, payload },
    ])
    return changed.facts
  })
}

const mayChange = ({ site, user }: AgentScope, id: string): boolean =>
  user.publicId === id || (user.role === 'admin' && site === null)

const facts = `
  json_build_object(
    'id', u.public_id, 'name', u.name, 'email', u.email, 'role', u.role, 'availability', u.availability,
    'created_at', ${isoTime('u.created_at')})`

const noUser = () => new HubbubError('not_found', 'No such user.')
