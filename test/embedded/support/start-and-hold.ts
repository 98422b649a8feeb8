/** A process of its own that starts Postgres in the given data directory, tells about it in one line, and stays. */
import { startEmbeddedPostgres } from '../../../server/db/embedded/embedded.ts'
import { readSecrets } from '../../../server/secrets.ts'

const dataDir = process.argv[2] ?? ''
const { postgres_password: password } = await readSecrets(dataDir)
const { url, pid, reused } = await startEmbeddedPostgres({ dataDir, password, say: () => undefined })
process.stdout.write(`${JSON.stringify({ url, pid, reused })}\n`)
setInterval(() => undefined, 60_000)
