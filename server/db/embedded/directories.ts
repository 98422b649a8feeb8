/** Directories that a system user other than the caller must be able to pass through. */
import { chmod, mkdir, realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errorCode, type RunAs, run } from './run.ts'

/** Where root keeps what the user `postgres` must reach when the clone is closed to it. */
export const sharedRoot = '/var/lib/hubbub'

/** Makes a directory and its missing parents so that every user can pass through what was made; others keep their mode. */
export async function makePassableDir(dir: string): Promise<void> {
  const first = await mkdir(dir, { recursive: true, mode: 0o711 })
  if (first === undefined) return
  // The umask may have narrowed the mode.
  for (let made = dir; made.length >= first.length; made = dirname(made)) await chmod(made, 0o711)
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
