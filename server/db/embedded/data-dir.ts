/** Decides where the data lives, and makes that directory so that Postgres can reach it. */
import { createHash } from 'node:crypto'
import { access, constants } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { StartError } from '../../../schema/errors.ts'
import { canReach, makePassableDir, sharedRoot } from './directories.ts'
import { errorCode, type RunAs } from './run.ts'
import { clusterUser } from './system-user.ts'

/**
 * Returns the data directory, existing and writable.
 * `user` is whom Postgres runs as (`systemUser()`); undefined as an ordinary user or with an external Postgres.
 */
export async function resolveDataDir({
  configured,
  cloneDir,
  user,
  say,
  sharedDir = sharedRoot,
}: {
  configured: string | undefined
  cloneDir: string
  user: RunAs | undefined
  say: (line: string) => void
  sharedDir?: string
}): Promise<string> {
  const wanted = resolve(configured ?? join(cloneDir, 'data'))
  if (await isReachable(wanted, user)) return makeWritable(wanted)
  if (configured !== undefined) {
    throw new StartError(
      `DATA_DIR ${wanted} cannot be reached by the system user that Postgres runs as: choose a place open to all users, such as ${sharedDir}/data.`,
    )
  }

  const moved = join(sharedDir, createHash('sha256').update(cloneDir).digest('hex').slice(0, 8))
  if (!(await isReachable(moved, user))) {
    throw new StartError(
      `Neither ${wanted} nor ${moved} can be reached by the system user that Postgres runs as: set DATA_DIR to a place open to all users.`,
    )
  }
  say(`Data lives in ${moved}, because ${wanted} cannot be reached by the system user that Postgres runs as.`)
  return makeWritable(moved)
}

async function isReachable(dir: string, user: RunAs | undefined): Promise<boolean> {
  const runner = await clusterUser(dir, user)
  return runner === undefined || (await canReach(dir, runner))
}

async function makeWritable(dir: string): Promise<string> {
  try {
    await makePassableDir(dir)
    await access(dir, constants.W_OK | constants.X_OK)
    return dir
  } catch (error) {
    throw new StartError(
      `The data directory ${dir} cannot be made or written (${errorCode(error)}): set DATA_DIR to a directory of yours.`,
      { cause: error },
    )
  }
}
