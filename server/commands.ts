/** The commands beside the program: each prints one JSON object. */

import { parseArgs } from 'node:util'
import { z } from 'zod'
import { keyScopes } from '../schema/ids.ts'
import { origins } from '../schema/muro/sites.ts'
import { email, shortText } from '../schema/text.ts'
import { isoTime } from '../schema/time.ts'
import { type Sql, transact } from './db/sql.ts'
import type { Workspace } from './domain/context.ts'
import { createKey, expireKey, pinKey, revokeKey } from './domain/keys.ts'
import { createSite, siteNamed } from './domain/sites.ts'
import { createUser, createWorkspace, findUser, findWorkspace, workspaceOfKey } from './domain/workspaces.ts'

export const usage = `Usage: hubbub COMMAND

  start                                            run the program (the default)
  migrate                                          bring the database to this version
  workspace create --name N
  key create --scopes read,write [--user usr_…] [--expires ISO] [--site web_…]
  key revoke key_…
  key pin key_… --site web_…
  key expire key_… --at ISO
  user create --email E --name N [--role admin|agent]
  site create --name N [--origins a,b] [--greeting T] [--auto-reply T]

--workspace org_… goes with each and may be left out where there is one workspace.
`

/** A command line that is none: the usage is shown, and the exit code is 2. */
export class UsageError extends Error {}

/** A command that is ready to run on the database. */
export type Command = (sql: Sql) => Promise<Record<string, unknown>>

/** Reads a command line; throws a UsageError if it is not one. */
export const readCommand = (args: string[]): Command => {
  const { values, positionals } = parse(args)
  const [noun, verb, id, ...rest] = positionals
  const read = commands[`${noun} ${verb}`]
  const takesId = noun === 'key' && verb !== 'create'
  if (!read || rest.length > 0 || (id !== undefined && !takesId)) {
    throw new UsageError(`unknown command: ${positionals.join(' ')}`)
  }
  return read(values, id)
}

type Values = Record<string, string | undefined>

const commands: Record<string, (values: Values, id: string | undefined) => Command> = {
  'workspace create': (values) => {
    const { name } = options(z.object({ name: shortText(200) }), values)
    return async (sql) => ({ id: (await transact(sql, (tx) => createWorkspace(tx, name))).publicId })
  },
  'user create': (values) => {
    const contract = z.object({ email, name: shortText(200), role: z.enum(['admin', 'agent']).default('agent') })
    const user = options(contract, values)
    return async (sql) =>
      await transact(sql, async (tx) => {
        const { id } = await createUser(tx, await findWorkspace(tx, values.workspace), user)
        return { id }
      })
  },
  'key create': (values) => {
    const contract = z.object({
      scopes: list.pipe(z.array(z.enum(keyScopes)).min(1)).transform((scopes) => [...new Set(scopes)]),
      expires: isoTime
        .transform((text) => new Date(text))
        .refine((time) => time > new Date(), 'must be in the future')
        .optional(),
    })
    const { scopes, expires } = options(contract, values)
    return async (sql) =>
      await transact(sql, async (tx) => {
        const workspace = await findWorkspace(tx, values.workspace)
        const user = await findUser(tx, workspace, values.user)
        const site = values.site === undefined ? undefined : await siteNamed(tx, workspace, values.site)
        return await createKey(tx, workspace, { userRowId: user.rowId, scopes, expiresAt: expires, site })
      })
  },
  'key revoke': (values, id) =>
    changeOfKey(values, id, async (sql, workspace, key) => await revokeKey({ sql }, workspace, key)),
  'key pin': (values, id) => {
    const { site } = options(z.object({ site: z.string() }), values)
    return changeOfKey(values, id, async (sql, workspace, key) =>
      pinKey({ sql }, workspace, key, await siteNamed(sql, workspace, site)),
    )
  },
  'key expire': (values, id) => {
    const { at } = options(z.object({ at: isoTime }), values)
    return changeOfKey(values, id, async (sql, workspace, key) => expireKey({ sql }, workspace, key, new Date(at)))
  },
  'site create': (values) => {
    const contract = z.object({
      name: shortText(200),
      origins: list.pipe(origins).default([]),
      greeting: shortText(1000).optional(),
      'auto-reply': shortText(1000).optional(),
    })
    const { 'auto-reply': autoReply, greeting, ...site } = options(contract, values)
    return async (sql) =>
      await transact(sql, async (tx) => {
        const workspace = await findWorkspace(tx, values.workspace)
        const settings = { ...site, ...(greeting ? { greeting } : {}), ...(autoReply ? { autoReply } : {}) }
        const { id, widget_id, site_key } = await createSite(tx, workspace, settings)
        return { id, widget_id, site_key }
      })
  },
}

const changeOfKey = (
  values: Values,
  id: string | undefined,
  change: (sql: Sql, workspace: Workspace, key: string) => Promise<Record<string, unknown>>,
): Command => {
  if (id === undefined) throw new UsageError('name the key, key_…')
  return async (sql) => await change(sql, await workspaceOfKey(sql, id, values.workspace), id)
}

const names = [
  ...['workspace', 'name', 'scopes', 'user', 'expires', 'site', 'at'],
  ...['email', 'role', 'origins', 'greeting', 'auto-reply'],
]

const parse = (args: string[]) => {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
    })
    return { values: Object.fromEntries(names.map((name) => [name, text(values[name])])), positionals }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

const text = (value: unknown) => (typeof value === 'string' ? value : undefined)

const list = z.string().transform((joined) =>
  joined
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== ''),
)

const options = <T>(contract: z.ZodType<T>, values: Values): T => {
  const parsed = contract.safeParse(
    Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)),
  )
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new UsageError(`--${issue?.path[0]?.toString()}: ${issue?.message}`)
}
