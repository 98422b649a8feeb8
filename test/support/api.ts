/** The program on a database of its own, with what a test of its API needs beside it. */

import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inject } from 'vitest'
import type { Context } from '../../server/domain/context.ts'
import { freshDatabase, type TestDatabase } from './database.ts'
import { type Fleet, type FleetSize, startFleet } from './fleet.ts'
import { runProgram, startProgram } from './program.ts'
import { makeTenant, type Tenant } from './tenant.ts'

/** How the program runs: all roles in one process, or each in processes of its own over Redis. */
export type Topology = 'whole' | FleetSize

/** Where clients reach it. */
export type Reached = { api: string; realtimePort: number }

export type Api = Reached & {
  /** The address of the REST API. */
  url: string
  /** Its processes; undefined where it is whole. */
  fleet: Fleet | undefined
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

/** The Pusher app of a test. */
export const testApp = { PUSHER_APP_ID: '1', PUSHER_APP_KEY: 'test-app', PUSHER_APP_SECRET: 'test-app-secret' }

/** Starts the program. Its request limiters are off unless a test asks for them. */
export const startApi = async (env: Record<string, string> = {}, topology: Topology = 'whole'): Promise<Api> => {
  const [database, dataDir] = await Promise.all([freshDatabase({ max: 5 }), makeDirectory()])
  const environment = { DATABASE_URL: database.url, DATA_DIR: dataDir, RATE_LIMIT_PER_MINUTE: '0', ...env }
  const fleet =
    topology === 'whole'
      ? undefined
      : await startFleet(topology, { REDIS_URL: inject('redisUrl'), ...testApp, ...environment })
  const program = fleet ?? (await startProgram(environment))
  const { sql } = database
  // The program hears of what tests make through the log, not through its bus.
  const context: Context = { sql, bus: { publish: () => undefined } }
  return {
    api: program.api,
    realtimePort: program.realtimePort,
    url: program.api,
    fleet,
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
