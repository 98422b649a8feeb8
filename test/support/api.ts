/** The program on a database of its own, with what a test of its API needs beside it. */

import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Context } from '../../server/domain/context.ts'
import { freshDatabase, type TestDatabase } from './database.ts'
import { type Program, runProgram, startProgram } from './program.ts'
import { makeTenant, type Tenant } from './tenant.ts'

export type Api = {
  program: Program
  /** The address of the program. */
  url: string
  database: TestDatabase
  makeTenant(site?: Parameters<typeof makeTenant>[1]): Promise<Tenant>
  /** Runs a command beside the program. */
  run(...args: string[]): ReturnType<typeof runProgram>
  /** Returns the log of a workspace. */
  eventsOf(tenant: Tenant): Promise<{ seq: number; type: string; payload: Record<string, unknown> }[]>
  /** Returns every row that a workspace has, to see that nothing changed. */
  rowsOf(tenant: Tenant): Promise<unknown>
  close(): Promise<void>
}

/** Starts the program. Its request limiters are off unless a test asks for them. */
export const startApi = async (env: Record<string, string> = {}): Promise<Api> => {
  const [database, dataDir] = await Promise.all([freshDatabase({ max: 5 }), makeDirectory()])
  const environment = { DATABASE_URL: database.url, DATA_DIR: dataDir, RATE_LIMIT_PER_MINUTE: '0', ...env }
  const program = await startProgram(environment)
  const { sql } = database
  // The program hears of what tests make through the log, not through its bus.
  const context: Context = { sql, bus: { publish: () => undefined } }
  return {
    program,
    url: program.api,
    database,
    makeTenant: (site) => makeTenant(context, site),
    run: (...args) => runProgram(args, environment),
    eventsOf: async ({ workspace }) => [
      ...(await sql<{ seq: number; type: string; payload: Record<string, unknown> }[]>`
        select seq, type, payload from events where workspace_id = ${workspace.id} order by seq`),
    ],
    rowsOf: async ({ workspace: { id } }) => [
      ...(await sql`
        select (select json_agg(t order by id) from conversations t where workspace_id = ${id}) as conversations,
               (select json_agg(t order by id) from contacts t where workspace_id = ${id}) as contacts,
               (select json_agg(t order by id) from messages t where workspace_id = ${id}) as messages,
               (select json_agg(t order by seq) from events t where workspace_id = ${id}) as events,
               (select seq from workspace_heads where workspace_id = ${id}) as head,
               (select count(*) from idempotency_keys) as claims`),
    ],
    close: async () => {
      await program.stop()
      await database.close()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** Makes a directory that every system user can pass through. */
export const makeDirectory = async (): Promise<string> => {
  const directory = await mkdtemp(join(tmpdir(), 'hubbub-test-'))
  await chmod(directory, 0o711)
  return directory
}
