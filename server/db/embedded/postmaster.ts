/** Tells from `postmaster.pid` whether a Postgres already runs on a cluster. */
import { execFileSync } from 'node:child_process'
import { readFileSync, realpathSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { StartError } from '../../../schema/errors.ts'
import { errorCode } from './run.ts'

/** A live Postgres on a cluster; `status` is its own word for how far it is: starting, ready, stopping. */
export type Postmaster = { pid: number; port: number; status: string }

/** Returns the Postgres that runs on this cluster; removes a pid file whose number now belongs to another program. */
export function findPostmaster(cluster: string): Postmaster | undefined {
  const file = join(cluster, 'postmaster.pid')
  const text = read(file)
  if (text === undefined) return undefined
  const lines = text.split('\n').map((line) => line.trim())
  const pid = Number(lines[0])
  const port = Number(lines[3])
  if (!(pid > 0)) return undefined
  if (isPostmaster(pid, cluster)) return port > 0 ? { pid, port, status: lines[7] ?? '' } : undefined

  // Postgres itself sees through the number of a dead process, but not through one that was given out again. Read again
  // first: another start may have put a good file there meanwhile.
  if (isAlive(pid) && read(file) === text) rmSync(file, { force: true })
  return undefined
}

/** Returns whether this process is the Postgres of this cluster, not merely one that was given the same number. */
export function isPostmaster(pid: number, cluster: string): boolean {
  const args = readArguments(pid)
  // A backend calls itself `postgres: …`; what has ended but was not collected has no arguments at all.
  if (args[0] === undefined || basename(args[0]) !== 'postgres') return false
  const at = args.indexOf('-D')
  const served = args[at + 1]
  // `ps` parts a path at its spaces, hence the second look.
  return at < 0 || (served !== undefined && isSame(served, cluster)) || args.join(' ').includes(` -D ${cluster} `)
}

function readArguments(pid: number): string[] {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    return execFileSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8' })
      .trim()
      .split(' ')
  } catch {
    return [] // no such process
  }
}

function isSame(path: string, cluster: string): boolean {
  try {
    return realpathSync(path) === cluster
  } catch {
    return false // gone, so it is not the cluster that we are looking at
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return errorCode(error) === 'EPERM'
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw new StartError(`${file} cannot be read (${errorCode(error)}): start as the user who owns it.`, {
      cause: error,
    })
  }
}
