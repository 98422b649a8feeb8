/** Opens the database of this installation: the embedded Postgres, which one program at a time owns, or an external one. */

import { setTimeout as pause } from 'node:timers/promises'
import { StartError } from '../../schema/errors.ts'
import { startEmbeddedPostgres } from './embedded/embedded.ts'
import { joinUsers, leaveUsers, openLocks, type Role, takeOwnership } from './ownership.ts'
import { isUnavailable, openSql, type Sql } from './sql.ts'

export type Database = {
  url: string
  sql: Sql
  /** Ends the connections, and the embedded Postgres if this program owns it. */
  close(): Promise<void>
}

const oldestVersion = 14
const waitLimit = 30_000

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

type Embedded = { dataDir: string; password: string; say: (line: string) => void; onExit?: (line: string) => void }

/**
 * Opens the embedded Postgres, starting it where it does not run. A program owns it and ends it, and is refused while
 * another program does; commands use it, and the last of them ends it where no program runs.
 */
export const openEmbedded = async (role: Role, options: Embedded): Promise<Database> => {
  const deadline = Date.now() + waitLimit
  for (;;) {
    const postgres = await startEmbeddedPostgres(options)
    // Ours until it is closed: without its locks another program might start on the same data.
    let ours = false
    const locks = openLocks(postgres.url, role, () => {
      if (ours) options.onExit?.(`Postgres (pid ${postgres.pid}) has ended; start again to recover.`)
    })
    const release = async (isEnding: boolean) => {
      ours = false
      if (isEnding) await postgres.stop()
      await locks.end({ timeout: 1 })
    }
    // The last command may end it in this moment; then it is started again.
    const opened = await openUnder(locks, role, { ...options, url: postgres.url, release }).catch((error: unknown) => {
      if (isUnavailable(error)) return undefined
      throw error
    })
    ours = opened !== undefined && role === 'program'
    if (opened) return opened
    await locks.end({ timeout: 1 })
    if (Date.now() > deadline) throw new StartError(`The data in ${options.dataDir} is still in use by another Hubbub.`)
    await pause(100)
  }
}

const openUnder = async (
  locks: Sql,
  role: Role,
  { url, dataDir, release }: { url: string; dataDir: string; release: (isEnding: boolean) => Promise<void> },
): Promise<Database | undefined> => {
  if (role === 'command') {
    await joinUsers(locks)
    return database(url, 2, async () => release(await leaveUsers(locks)))
  }
  const owner = await takeOwnership(locks)
  if (owner === 'us') return database(url, 20, () => release(true))
  if (owner !== 'gone' && owner.role === 'program' && isAlive(owner.pid)) {
    await locks.end({ timeout: 1 })
    throw new StartError(`Hubbub is running already on ${dataDir} (pid ${owner.pid}).`)
  }
  return undefined
}

const database = (url: string, max: number, release: () => Promise<void>): Database => {
  const sql = openSql(url, { max, name: `hubbub ${process.pid}` })
  return {
    url,
    sql,
    close: async () => {
      await sql.end({ timeout: 5 })
      await release()
    },
  }
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
