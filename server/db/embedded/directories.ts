/** Directories that a system user other than the caller must be able to pass through. */
import { chmod, mkdir, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errorCode, type RunAs, run } from './run.ts'

/** Where root keeps what the user `postgres` must reach when the clone is closed to it. */
export const sharedRoot = '/var/lib/hubbub'

/** Makes a directory and its missing parents so that every user can pass through what was made; others keep their mode. */
export async function makePassableDir(dir: string): Promise<void> {
  try {
    await makeOne(dir)
  } catch (error) {
    // Not by mkdir's own recursion, which never ends under /proc.
    if (errorCode(error) !== 'ENOENT' || dirname(dir) === dir) throw error
    await makePassableDir(dirname(dir))
    await makeOne(dir)
  }
}

async function makeOne(dir: string): Promise<void> {
  try {
    await mkdir(dir)
    // Made with a mode that the umask may have narrowed.
    await chmod(dir, 0o711)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST' || !(await stat(dir)).isDirectory()) throw error
  }
}

/** Returns whether this user can pass through to the place: to itself, or to its nearest parent that exists. */
export async function canReach(place: string, user: RunAs): Promise<boolean> {
  const existing = await nearestExisting(place)
  // Really tried, because mode bits know nothing of access control lists and mount options.
  return (await run('/bin/sh', ['-c', 'cd "$1"', 'sh', existing], { user })).ok
}

async function nearestExisting(place: string): Promise<string> {
  try {
    return await realpath(place)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' || dirname(place) === place) return place
    return nearestExisting(dirname(place))
  }
}
