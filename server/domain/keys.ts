/** API keys: making, revoking and finding them. */

import { hashSecret, isApiKey, type KeyState, mintApiKey } from '../../auth/api-keys.ts'
import { HubbubError } from '../../schema/errors.ts'
import { isId, type KeyScope } from '../../schema/ids.ts'
import type { Queryable, Sql } from '../db/sql.ts'
import type { AgentScope, Workspace } from './context.ts'
import { newId } from './ids.ts'

/** Postgres channel on which every change of a key is told, by its public id. */
export const keyChanges = 'hubbub_keys'

/** A key that was found, with what it opens. */
export type FoundKey = KeyState & { scope: AgentScope }

/** Creates a key and returns it with its text, which is kept nowhere. */
export const createKey = async (
  sql: Queryable,
  workspace: Workspace,
  wanted: { userRowId: number; scopes: readonly KeyScope[]; expiresAt?: Date | undefined; text?: string },
): Promise<{ id: string; key: string }> => {
  const { userRowId, scopes, expiresAt, text = mintApiKey() } = wanted
  const id = newId('key')
  await sql`
    insert into api_keys (public_id, workspace_id, user_id, hash, last4, scopes, expires_at)
    values (${id}, ${workspace.id}, ${userRowId}, ${hashSecret(text)}, ${text.slice(-4)}, ${[...scopes]}, ${expiresAt ?? null})`
  return { id, key: text }
}

/** Revokes a key, at once and on every node. A key that is revoked already keeps its time. */
export const revokeKey = async (
  { sql }: { sql: Sql },
  workspace: Workspace,
  id: string,
): Promise<{ id: string; revoked_at: string }> => {
  const [key] = isId('key', id)
    ? await sql<{ revoked_at: Date }[]>`
        with revoked as (
          update api_keys set revoked_at = coalesce(revoked_at, clock_timestamp())
           where workspace_id = ${workspace.id} and public_id = ${id}
          returning revoked_at
        )
        select revoked_at, pg_notify(${keyChanges}, ${id}) from revoked`
    : []
  if (!key) throw new HubbubError('not_found', 'No such key.')
  return { id, revoked_at: key.revoked_at.toISOString() }
}

/** Returns the key with that text, also one that is revoked or expired; undefined if there is none. */
export const findKey = async (sql: Sql, text: string): Promise<FoundKey | undefined> => {
  if (!isApiKey(text)) return undefined
  const [row] = await sql<KeyRow[]>`
    select k.public_id as key_id, to_json(k.scopes) as scopes, k.expires_at, k.revoked_at, w.id as workspace_id,
           w.public_id as workspace_public_id, u.public_id as user_id, u.name as user_name
      from api_keys k join workspaces w on w.id = k.workspace_id join users u on u.id = k.user_id
     where k.hash = ${hashSecret(text)}`
  if (!row) return undefined
  const { key_id, scopes, expires_at, revoked_at, workspace_id, workspace_public_id, user_id, user_name } = row
  return {
    scope: {
      workspace: { id: workspace_id, publicId: workspace_public_id },
      key: { publicId: key_id, scopes, expiresAt: expires_at },
      user: { publicId: user_id, name: user_name },
    },
    expires_at,
    revoked_at,
  }
}

type KeyRow = {
  key_id: string
  scopes: KeyScope[]
  expires_at: Date | null
  revoked_at: Date | null
  workspace_id: number
  workspace_public_id: string
  user_id: string
  user_name: string
}
