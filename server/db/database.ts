/** Opens the database of this installation: the embedded Postgres, which one program at a time owns, or an external one. */

import { setTimeout as pause } from 'node:timers/promises'
import { StartError } from '../../schema/errors.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded/embedded.ts'
import { openSql, type Sql } from './sql.ts'

export type Database = {
  url: string
  sql: Sql
  /** Ends the connections, and the embedded Postgres if this program owns it. */
  close(): Promise<void>
}

/** Who opens: the program itself, or a command beside it. */
type Role = 'program' | 'command'

const oldestVersion = 14
const waitLimit = 30_000

// Any number does, as long as it is the same everywhere.
const ownerLock = 4_821_000

/** Opens an external Postgres; one line where it cannot be used. */
export const openExternal = async (url: string): Promise<Database> => {
  try {
    // Inside: the driver throws at once for an address that it cannot read.
    const sql = openSql(url, { name: `hubbub ${process.pid}` })
    await checkVersion(sql).catch(async (error: unknown) => {
      await sql.end({ timeout: 1 })
      throw error
    })
    return { url, sql, close: () => sql.end({ timeout: 5 }) }
  } catch (error) {
    if (error instanceof StartError) throw error
    const reason = error instanceof Error ? error.message || String(error) : String(error)
    throw new StartError(`DATABASE_URL: the database cannot be used: ${reason.split('\n')[0]}`, { cause: error })
  }
}

const checkVersion = async (sql: Sql) => {
  const [row] = await sql<{ version: number }[]>`select current_setting('server_version_num')::int as version`
  if (row && row.version < oldestVersion * 10_000) {
    throw new StartError(`DATABASE_URL: Postgres ${oldestVersion} or newer is needed, this one is older.`)
  }
}

/**
 * Opens the embedded Postgres. A program owns it by a session advisory lock, and is refused while another program
 * does. A command uses what runs; only where it started Postgres itself does it own and end it.
 */
export const openEmbedded = async (
  role: Role,
  options: { dataDir: string; password: string; say: (line: string) => void; onExit?: (line: string) => void },
): Promise<Database> => {
  const deadline = Date.now() + waitLimit
  for (;;) {
    const postgres = await startEmbeddedPostgres(options)
    if (role === 'command' && postgres.reused) return attached(postgres)
    const lock = openSql(postgres.url, { max: 1, name: `hubbub ${role} ${process.pid}` })
    // A command that ends its own Postgres may take it away in this moment; then it is started again.
    const owner = await takeLock(lock).catch(() => 'gone' as const)
    if (owner === 'us') return owned(postgres, lock)
    await lock.end({ timeout: 1 })
    if (owner !== 'gone' && owner.role === 'program' && (role === 'command' || isAlive(owner.pid))) {
      if (role === 'command') return attached(postgres)
      throw new StartError(`Hubbub is running already on ${options.dataDir} (pid ${owner.pid}).`)
    }
    if (Date.now() > deadline) throw new StartError(`The data in ${options.dataDir} is still in use by another Hubbub.`)
    await pause(100)
  }
}

const attached = ({ url }: EmbeddedPostgres): Database => {
  const sql = openSql(url, { max: 2, name: `hubbub command ${process.pid}` })
  return { url, sql, close: () => sql.end({ timeout: 5 }) }
}

const owned = (postgres: EmbeddedPostgres, lock: Sql): Database => {
  const sql = openSql(postgres.url, { name: `hubbub ${process.pid}` })
  return {
    url: postgres.url,
    sql,
    close: async () => {
      await sql.end({ timeout: 5 })
      await postgres.stop()
      await lock.end({ timeout: 1 })
    },
  }
}

const takeLock = async (lock: Sql): Promise<'us' | 'gone' | { role: Role; pid: number }> => {
  const [row] = await lock<{ taken: boolean }[]>`select pg_try_advisory_lock(${ownerLock}) as taken`
  if (row?.taken) return 'us'
  const [owner] = await lock<{ name: string }[]>`
    select a.application_name as name from pg_locks l join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.objid = ${ownerLock} and l.granted`
  const [, role, pid] = /^hubbub (program|command) (\d+)$/.exec(owner?.name ?? '') ?? []
  return role === undefined ? 'gone' : { role: role === 'program' ? 'program' : 'command', pid: Number(pid) }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it lives, under another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
