/** Which system user Postgres runs as: it refuses to run as root, so root lends it the user `postgres`. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { StartError } from '../../../schema/errors.ts'
import { errorCode, type RunAs, run } from './run.ts'

const name = 'postgres'

/** Returns the user `postgres`, made if it is missing; undefined when not root, where Postgres runs as the caller. */
export async function systemUser({
  uid = process.getuid?.(),
  passwdFile = '/etc/passwd',
  execute = run,
}: {
  uid?: number | undefined
  passwdFile?: string
  execute?: typeof run
} = {}): Promise<RunAs | undefined> {
  if (uid !== 0) return undefined
  const found = await findUser(passwdFile)
  if (found) return found

  await execute('groupadd', ['--system', '--force', name])
  const ended = await execute('useradd', [
    ...['--system', '--gid', name, '--no-create-home', '--home-dir', '/nonexistent'],
    ...['--shell', '/usr/sbin/nologin', name],
  ])
  // Looked up again whatever useradd says: another start may have made it at the same moment.
  const made = await findUser(passwdFile)
  if (made) return made
  const reason = ended.error ?? ended.output.trim().split('\n').at(-1)
  throw new StartError(
    `Postgres does not run as root and the system user ${name} could not be made (${reason}): make it, start as an ordinary user, or set DATABASE_URL.`,
  )
}

/** Returns who owns the cluster in this data directory, if there is one, else the given user; undefined when not root. */
export async function clusterUser(dataDir: string, user: RunAs | undefined): Promise<RunAs | undefined> {
  if (!user) return undefined
  try {
    const { uid, gid } = await stat(join(dataDir, 'postgres'))
    return uid === 0 ? user : { uid, gid }
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return user
    throw error
  }
}

async function findUser(passwdFile: string): Promise<RunAs | undefined> {
  for (const line of (await readFile(passwdFile, 'utf8')).split('\n')) {
    const [user, , uid, gid] = line.split(':')
    if (user === name) return { uid: Number(uid), gid: Number(gid) }
  }
  return undefined
}
