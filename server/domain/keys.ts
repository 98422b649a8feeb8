/** API keys: making, changing and finding them. */

import { hashSecret, isApiKey, type KeyState, keyRefusal, mintApiKey } from '../../auth/api-keys.ts'
import { HubbubError } from '../../schema/errors.ts'
import { isId, type KeyScope, type UserRole } from '../../schema/ids.ts'
import type { KeyStanding } from '../../schema/key-notice.ts'
import type { Fragment, Queryable, Sql } from '../db/sql.ts'
import type { AgentScope, Context, SiteRef, Workspace } from './context.ts'
import { newId } from './ids.ts'
import { tellKey } from './record.ts'

/** Postgres channel on which every change of a key is told, by its public id; a trigger tells it. */
export const keyChanges = 'hubbub_keys'

/** A key that was found, with what it opens. */
export type FoundKey = KeyState & { scope: AgentScope }

/** Creates a key, pinned to a site where one is given, and returns it with its text, which is kept nowhere. */
export const createKey = async (
  sql: Queryable,
  workspace: Workspace,
  wanted: {
    userRowId: number
    scopes: readonly KeyScope[]
    expiresAt?: Date | undefined
    site?: SiteRef | undefined
    text?: string
  },
): Promise<{ id: string; key: string }> => {
  const { userRowId, scopes, expiresAt, site, text = mintApiKey() } = wanted
  const id = newId('key')
  await sql`
    insert into api_keys (public_id, workspace_id, user_id, hash, last4, scopes, expires_at, site_id)
    values (${id}, ${workspace.id}, ${userRowId}, ${hashSecret(text)}, ${text.slice(-4)}, ${[...scopes]},
            ${expiresAt ?? null}, ${site?.id ?? null})`
  return { id, key: text }
}

/** Revokes a key, at once and on every node. A key that is revoked already keeps its time. */
export const revokeKey = async (
  { sql }: { sql: Queryable },
  workspace: Workspace,
  id: string,
): Promise<{ id: string; revoked_at: string }> => {
  const change = sql`revoked_at = coalesce(revoked_at, clock_timestamp())`
  const { revoked_at } = await changeKey(sql, workspace, id, change)
  if (!revoked_at) throw new Error(`key ${id} was not revoked`)
  return { id, revoked_at: revoked_at.toISOString() }
}

/** Ends a key at a time; one that has passed ends it at once. */
export const expireKey = async (
  { sql }: { sql: Queryable },
  workspace: Workspace,
  id: string,
  at: Date,
): Promise<{ id: string; expires_at: string }> => {
  await changeKey(sql, workspace, id, sql`expires_at = ${at}`)
  return { id, expires_at: at.toISOString() }
}

/** Pins a key to a site of its workspace: it reaches nothing else from now on. */
export const pinKey = async (
  { sql }: { sql: Queryable },
  workspace: Workspace,
  id: string,
  site: SiteRef,
): Promise<{ id: string; site_id: string }> => {
  await changeKey(sql, workspace, id, sql`site_id = ${site.id}`)
  return { id, site_id: site.publicId }
}

const changeKey = async (sql: Queryable, workspace: Workspace, id: string, change: Fragment) => {
  const [key] = isId('key', id)
    ? await sql<{ revoked_at: Date | null }[]>`
        update api_keys set ${change} where workspace_id = ${workspace.id} and public_id = ${id} returning revoked_at`
    : []
  if (!key) throw new HubbubError('not_found', 'No such key.')
  return key
}

/** Returns the key with that text, also one that is revoked or expired; undefined if there is none. */
export const findKey = async (sql: Sql, text: string): Promise<FoundKey | undefined> => {
  if (!isApiKey(text)) return undefined
  const [row] = await sql<KeyRow[]>`
    select k.public_id as key_id, k.version, to_json(k.scopes) as scopes, k.expires_at, k.revoked_at,
           o.id as workspace_id, o.public_id as workspace_public_id, k.site_id, w.public_id as site_public_id,
           u.public_id as user_id, u.name as user_name, u.role as user_role
      from api_keys k join workspaces o on o.id = k.workspace_id join users u on u.id = k.user_id
      left join sites w on w.id = k.site_id
     where k.hash = ${hashSecret(text)}`
  if (!row) return undefined
  const { site_id, site_public_id } = row
  return {
    scope: {
      workspace: { id: row.workspace_id, publicId: row.workspace_public_id },
      site: site_id === null || site_public_id === null ? null : { id: site_id, publicId: site_public_id },
      key: { publicId: row.key_id, version: row.version, scopes: row.scopes, expiresAt: row.expires_at },
      user: { publicId: row.user_id, name: row.user_name, role: row.user_role },
    },
    expires_at: row.expires_at,
    revoked_at: row.revoked_at,
  }
}

type KeyRow = KeyState & {
  key_id: string
  version: number
  scopes: KeyScope[]
  workspace_id: number
  workspace_public_id: string
  site_id: number | null
  site_public_id: string | null
  user_id: string
  user_name: string
  user_role: UserRole
}

/** Returns how keys stand; one that was removed is absent. */
export const keyStates = async (sql: Sql, ids: string[]): Promise<Map<string, KeyStanding>> => {
  const rows = await sql<(KeyState & { id: string; version: number })[]>`
    select public_id as id, version, expires_at, revoked_at from api_keys where public_id = any(${ids})`
  const now = new Date()
  return new Map(
    rows.map(({ id, version, ...state }) => [
      id,
      {
        version,
        refusal: keyRefusal(state, now),
        expires: state.expires_at ? Math.floor(state.expires_at.getTime() / 1000) : undefined,
      },
    ]),
  )
}

/** Tells every hub how a key stands now; one that was removed is told as revoked for good. */
export const announceKey = async (context: Context, id: string): Promise<void> => {
  if (!isId('key', id)) return
  const standing = (await keyStates(context.sql, [id])).get(id)
  const { version, refusal } = standing ?? { version: Number.MAX_SAFE_INTEGER, refusal: 'revoked' }
  tellKey(context, { key: id, version, fate: refusal ?? 'changed' })
}
