/** Starts the Postgres that all tests share, with a migrated database to copy. */

import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startEmbeddedPostgres } from '../../server/db/embedded/embedded.ts'
import { migrate } from '../../server/db/migrate.ts'
import { openSql } from '../../server/db/sql.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Address of a migrated database that nobody is connected to. */
    templateUrl: string
  }
}

export default async function setup(project: TestProject) {
  const dataDir = await mkdtemp(join(tmpdir(), 'hubbub-test-'))
  // As root, Postgres runs as another user, who has to get in.
  await chmod(dataDir, 0o711)
  const postgres = await startEmbeddedPostgres({ dataDir, password: 'test', say: () => undefined })
  const sql = openSql(postgres.url, { max: 1, name: 'test set-up' })
  await migrate(sql)
  await sql.end()
  project.provide('templateUrl', postgres.url)
  return async () => {
    await postgres.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}
