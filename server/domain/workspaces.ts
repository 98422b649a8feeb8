/** Workspaces, the tenants, and the users who work in them. */

import { HubbubError } from '../../schema/errors.ts'
import { isId, type UserRole } from '../../schema/ids.ts'
import { type Queryable, type Tx, violatedUnique } from '../db/sql.ts'
import type { Workspace } from './context.ts'
import { nextNumber } from './counters.ts'
import { newId } from './ids.ts'
import { insertFollowers } from './log-followers.ts'

/** Creates a workspace, empty. */
export const createWorkspace = async (tx: Tx, name: string): Promise<Workspace> => {
  const publicId = newId('workspace')
  const [row] = await tx<{ id: number }[]>`
    insert into workspaces (public_id, name) values (${publicId}, ${name}) returning id`
  if (!row) throw new Error('a workspace was not inserted')
  await tx`insert into workspace_heads (workspace_id) values (${row.id})`
  await insertFollowers(tx, row.id)
  return { id: row.id, publicId }
}

/** Returns a workspace by its public id, or the only one where none is named. */
export const findWorkspace = async (sql: Queryable, id?: string): Promise<Workspace> => {
  const rows = await sql<Workspace[]>`
    select id, public_id as "publicId" from workspaces
     ${id === undefined ? sql`` : sql`where public_id = ${isId('workspace', id) ? id : ''}`}
     order by id limit 2`
  const [workspace, another] = rows
  if (!workspace)
    throw new HubbubError('not_found', id === undefined ? 'There is no workspace yet.' : 'No such workspace.')
  if (another) throw new HubbubError('invalid', 'There are several workspaces: name one with --workspace org_…')
  return workspace
}

/** Returns the workspace of an API key, so that revoking in a hurry needs no other id; the named one where one is. */
export const workspaceOfKey = async (sql: Queryable, keyId: string, named?: string): Promise<Workspace> => {
  if (named !== undefined) return await findWorkspace(sql, named)
  const [workspace] = await sql<Workspace[]>`
    select w.id, w.public_id as "publicId" from api_keys k join workspaces w on w.id = k.workspace_id
     where k.public_id = ${keyId}`
  if (!workspace) throw new HubbubError('not_found', 'No such key.')
  return workspace
}

/** Creates a user of the workspace. */
export const createUser = async (
  tx: Tx,
  workspace: Workspace,
  { name, email, role = 'agent' }: { name: string; email: string; role?: UserRole },
): Promise<{ rowId: number; id: string }> => {
  const id = newId('user')
  const number = await nextNumber(tx, workspace, 'user')
  try {
    const [row] = await tx<{ id: number }[]>`
      insert into users (public_id, workspace_id, number, name, email, role)
      values (${id}, ${workspace.id}, ${number}, ${name}, ${email}, ${role}) returning id`
    if (!row) throw new Error('a user was not inserted')
    return { rowId: row.id, id }
  } catch (error) {
    if (violatedUnique(error) === undefined) throw error
    throw new HubbubError('conflict', `A user with the address ${email} exists already.`, { param: 'email' })
  }
}

/** Returns a user of the workspace; the oldest admin where none is named. */
export const findUser = async (
  sql: Queryable,
  workspace: Workspace,
  id?: string,
): Promise<{ rowId: number; id: string }> => {
  const [user] = await sql<{ rowId: number; id: string }[]>`
    select id as "rowId", public_id as id from users
     where workspace_id = ${workspace.id}
       and ${id === undefined ? sql`role = 'admin'` : sql`public_id = ${isId('user', id) ? id : ''}`}
     order by users.id limit 1`
  if (!user) throw new HubbubError('not_found', id === undefined ? 'The workspace has no admin yet.' : 'No such user.')
  return user
}
