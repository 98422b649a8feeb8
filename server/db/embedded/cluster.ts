/** Makes the Postgres cluster of a data directory at its first start. */
import { chown, mkdtemp, open, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { StartError } from '../../../schema/errors.ts'
import type { Binaries } from './binaries.ts'
import { errorCode, type RunAs, run } from './run.ts'

/** Returns the path of the cluster, without symlinks; makes it when there is none yet. */
export async function makeCluster({
  dataDir,
  password,
  user,
  binaries,
}: {
  dataDir: string
  password: string
  user: RunAs | undefined
  binaries: Binaries
}): Promise<string> {
  const home = await realpath(dataDir)
  const cluster = join(home, 'postgres')
  if (await isCluster(cluster)) return cluster

  // Made beside and renamed: a start that dies half-way, or two at once, never leave half a cluster under the name.
  const workshop = await mkdtemp(join(home, '.postgres-'))
  try {
    const passwordFile = join(workshop, 'password')
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 })
    if (user) for (const path of [passwordFile, workshop]) await chown(path, user.uid, user.gid)
    const fresh = join(workshop, 'cluster')
    const ended = await run(
      binaries.initdb,
      [
        ...['--pgdata', fresh, '--username=hubbub', '--pwfile', passwordFile, '--auth=scram-sha-256'],
        ...['--encoding=UTF8', '--locale=C', '--no-instructions'],
      ],
      { user, cwd: workshop },
    )
    if (!ended.ok)
      throw new StartError(
        `Postgres could not make its cluster in ${dataDir}: ${lastWords(ended.output, ended.error)}.`,
      )
    await putInPlace(fresh, cluster, home)
  } finally {
    await rm(workshop, { recursive: true, force: true })
  }
  return cluster
}

async function isCluster(cluster: string): Promise<boolean> {
  try {
    await readFile(join(cluster, 'PG_VERSION'))
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw new StartError(
      `The Postgres cluster ${cluster} cannot be read (${errorCode(error)}): start as the user who owns it.`,
      {
        cause: error,
      },
    )
  }
}

async function putInPlace(fresh: string, cluster: string, home: string): Promise<void> {
  try {
    await rename(fresh, cluster)
  } catch (error) {
    // Another start was faster and its cluster has the same password; a folder of something else is refused.
    if (await isCluster(cluster)) return
    throw new StartError(`${cluster} is in the way of the Postgres cluster (${errorCode(error)}): move it away.`, {
      cause: error,
    })
  }
  const directory = await open(home)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function lastWords(output: string, error: string | undefined): string {
  const lines = output.trim().split('\n')
  const telling = lines.findLast((line) => line.includes('error:')) ?? lines.at(-1)
  return error ?? telling?.replace(/^initdb: (error: )?/, '') ?? 'initdb failed'
}
