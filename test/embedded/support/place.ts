/** A place of its own for one test, open to the system user Postgres runs as, and cleaned up after it. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { onTestFinished } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../server/db/embedded/embedded.ts'
import { readSecrets } from '../../../server/secrets.ts'

/** True where Postgres needs another system user. */
export const isRoot = process.getuid?.() === 0

/** Returns a new directory that is removed after the test. */
export async function makePlace({ mode = 0o711 }: { mode?: number } = {}): Promise<string> {
  const place = await mkdtemp(join(tmpdir(), 'hubbub-test-'))
  await chmod(place, mode)
  onTestFinished(() => rm(place, { recursive: true, force: true }))
  return place
}

/** Starts Postgres in a data directory; it is stopped after the test. */
export async function startIn(dataDir: string, onExit?: (line: string) => void): Promise<EmbeddedPostgres> {
  const { postgres_password: password } = await readSecrets(dataDir)
  const running = await startEmbeddedPostgres({ dataDir, password, say: () => undefined, ...(onExit && { onExit }) })
  onTestFinished(running.stop)
  return running
}

/** Runs one statement on its own connection and returns the rows. */
export async function query(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const sql = postgres(url, { max: 1 })
  try {
    return [...(await sql.unsafe(statement))]
  } finally {
    await sql.end()
  }
}
