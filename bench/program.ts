/** What benchmarks of the whole program need: a Postgres of their own, and the program on it. */

import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../server/db/embedded/embedded.ts'
import { type Program, startProgram } from '../test/support/program.ts'

/** The Pusher app of the program in a benchmark. */
export const app = { id: '1', key: 'bench', secret: 'secret' }

/** Lends a Postgres in a new directory; when `use` is done, or the benchmark is interrupted, both go. */
export const withPostgres = async (use: (url: string, pid: number) => Promise<void>): Promise<void> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'hubbub-bench-'))
  try {
    await chmod(dataDir, 0o711)
    const postgres = await startEmbeddedPostgres({ dataDir, password: 'bench', say: () => undefined })
    try {
      await Promise.race([use(postgres.url, postgres.pid), interrupted()])
    } finally {
      await postgres.stop()
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}

/** Starts the built program on a database, without limits on requests. It outlives no benchmark. */
export const startHubbub = async (databaseUrl: string): Promise<Program> => {
  const program = await startProgram({
    DATABASE_URL: databaseUrl,
    RATE_LIMIT_PER_MINUTE: '0',
    PUSHER_APP_ID: app.id,
    PUSHER_APP_KEY: app.key,
    PUSHER_APP_SECRET: app.secret,
  })
  const end = () => program.child.kill('SIGKILL')
  process.once('exit', end)
  program.child.once('exit', () => process.off('exit', end))
  return program
}

const interrupted = async (): Promise<never> => {
  const [signal] = await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  throw new Error(`interrupted (${signal})`)
}
