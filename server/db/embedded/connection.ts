/** Asks a starting Postgres whether it answers yet, and makes our database in it. */
import postgres from 'postgres'
import { StartError } from '../../../schema/errors.ts'
import { errorCode } from './run.ts'

/** `starting` also covers crash recovery, a shutdown under way and too many connections; `silent` is nobody there, or nobody who answers. */
export type Answer = 'ready' | 'starting' | 'wrong password' | 'silent'

/** Returns the address of a database of the embedded Postgres. */
export function databaseUrl(port: number, password: string, database: string): string {
  return `postgres://hubbub:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`
}

/** Connects once and says how it went; when ready, the database `hubbub` exists. */
export async function ask(port: number, password: string): Promise<Answer> {
  const sql = postgres(databaseUrl(port, password, 'postgres'), {
    max: 1,
    connect_timeout: 5,
    // Fetching types on a connection that breaks off is a rejection nobody can catch.
    fetch_types: false,
    // Else notices are printed on stdout, where commands print their JSON.
    onnotice: () => undefined,
  })
  try {
    const found = await sql`select 1 from pg_database where datname = 'hubbub'`
    if (found.length === 0) await createDatabase(sql)
    return 'ready'
  } catch (error) {
    const code = errorCode(error)
    if (code === '28P01') return 'wrong password'
    if (code === '57P03' || code === '57P01' || code === '53300') return 'starting'
    if (code && /^(E[A-Z]+|CONNECT.*)$/.test(code)) return 'silent'
    throw new StartError(`Postgres answers, but cannot be used (${code}: ${String(error)}).`, { cause: error })
  } finally {
    await sql.end({ timeout: 0 })
  }
}

async function createDatabase(sql: postgres.Sql): Promise<void> {
  // The search's index knows the letters of this locale; without it, words of other scripts are found more slowly.
  if (await isCreated(() => sql`create database hubbub template template0 lc_collate 'C' lc_ctype 'C.utf8'`)) return
  await sql`create database hubbub template template0`.catch((error: unknown) => {
    if (!isThere(error)) throw error
  })
}

/** Returns whether it is there now; false where the system has no such locale. */
async function isCreated(create: () => PromiseLike<unknown>): Promise<boolean> {
  try {
    await create()
    return true
  } catch (error) {
    return isThere(error)
  }
}

// Another start made it at the same moment: it either exists already, or its row was written first.
const isThere = (error: unknown): boolean => ['42P04', '23505'].includes(errorCode(error) ?? '')
