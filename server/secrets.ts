/** The secrets that the program makes for itself, kept in the data directory. */
import { randomBytes, randomInt } from 'node:crypto'
import { link, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { StartError } from '../schema/errors.ts'

const secretsFile = z.object({
  postgres_password: z.string().min(1),
  pusher_app_id: z.string().regex(/^\d+$/),
  pusher_app_key: z.string().min(1),
  pusher_app_secret: z.string().min(1),
})

/** What `secrets.json` holds. */
export type Secrets = z.infer<typeof secretsFile>

/** Returns the secrets of this data directory, made at the first use; whoever asks at the same time gets the same. */
export async function readSecrets(dataDir: string): Promise<Secrets> {
  const file = join(dataDir, 'secrets.json')
  const text = (await read(file)) ?? (await write(file)) ?? (await read(file))
  try {
    return secretsFile.parse(JSON.parse(text ?? ''))
  } catch (error) {
    throw new StartError(
      `${file} is broken: put back the file that Hubbub wrote, or move it away if nothing in ${dataDir} is needed any more.`,
      { cause: error },
    )
  }
}

async function read(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new StartError(`${file} cannot be read (${codeOf(error)}): start as the user who owns it.`, { cause: error })
  }
}

/** Returns what was written, or undefined when another process wrote first. */
async function write(file: string): Promise<string | undefined> {
  const secrets: Secrets = {
    postgres_password: randomBytes(24).toString('hex'),
    pusher_app_id: String(randomInt(100_000, 1_000_000)),
    pusher_app_key: randomBytes(10).toString('hex'),
    pusher_app_secret: randomBytes(20).toString('hex'),
  }
  const text = `${JSON.stringify(secrets, null, 2)}\n`
  const temporary = `${file}.${randomBytes(6).toString('hex')}`
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      // A cluster whose password did not survive a power cut could never be opened again.
      await handle.sync()
    } finally {
      await handle.close()
    }
    // Unlike a rename, a link never replaces: the first writer wins, and no reader sees half a file.
    await link(temporary, file)
    return text
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return undefined
    throw new StartError(`${file} cannot be written (${codeOf(error)}).`, { cause: error })
  } finally {
    await rm(temporary, { force: true })
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error)
}
