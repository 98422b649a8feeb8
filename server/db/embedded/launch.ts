/** Starts a Postgres process that outlives us, and tells what it said when it ended. */
import { spawn } from 'node:child_process'
import { closeSync, fstatSync, openSync, readFileSync, renameSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { StartError } from '../../../schema/errors.ts'
import type { Binaries } from './binaries.ts'
import { errorCode, plainEnv, type RunAs } from './run.ts'

/** A Postgres that we started; `lastWords` is the line of its log that tells why it ended. */
export type Launched = { pid: number; port: number; hasExited: () => boolean; lastWords: () => string }

const logLimit = 16 * 1024 * 1024

/** Starts Postgres on a free port of 127.0.0.1; returns once the process exists, long before it answers. */
export async function launch({
  dataDir,
  cluster,
  user,
  binaries,
  onExit,
}: {
  dataDir: string
  cluster: string
  user: RunAs | undefined
  binaries: Binaries
  onExit: (line: string) => void
}): Promise<Launched> {
  const port = await freePort()
  const logFile = join(dataDir, 'postgres.log')
  const log = openLog(logFile)
  const offset = fstatSync(log).size
  const settings = [
    ...['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=200'],
    ...['timezone=UTC', 'log_timezone=UTC', 'log_line_prefix=%m [%p] '],
  ]
  const child = spawn(
    binaries.postgres,
    ['-D', cluster, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])],
    // Its own process group, so that Ctrl-C in a terminal reaches us only; files, so that it can log after our death.
    { ...user, cwd: cluster, env: plainEnv, detached: true, stdio: ['ignore', log, log] },
  )
  closeSync(log)
  child.unref()
  const { pid } = child
  const lastWords = () => tellingLine(logFile, offset, pid ?? 0)
  child.on('exit', (code, signal) => {
    onExit(`Postgres (pid ${pid}) ended (${signal ?? `exit ${code}`}): ${lastWords()}; its log is ${logFile}.`)
  })
  await new Promise<void>((done, fail) => {
    child.on('spawn', done)
    child.on('error', (error) =>
      fail(new StartError(`Postgres could not be run (${errorCode(error)}).`, { cause: error })),
    )
  })
  if (pid === undefined) throw new StartError('Postgres could not be run.')
  return { pid, port, lastWords, hasExited: () => child.exitCode !== null || child.signalCode !== null }
}

function openLog(file: string): number {
  try {
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > logLimit) renameSync(file, `${file}.old`)
    return openSync(file, 'a', 0o600)
  } catch (error) {
    throw new StartError(`${file} cannot be written (${errorCode(error)}).`, { cause: error })
  }
}

function tellingLine(file: string, offset: number, pid: number): string {
  const lines = readFrom(file, offset).split('\n').filter(Boolean)
  // Another start on the same data may be writing to the same log.
  const own = lines.filter((line) => line.includes(`[${pid}]`))
  const said = own.length > 0 ? own : lines
  const telling = said.findLast((line) => /(FATAL|PANIC):/.test(line)) ?? said.at(-1) ?? 'it said nothing'
  const detail = said[said.indexOf(telling) + 1]?.match(/DETAIL: +(.*)/)?.[1]
  const line = telling.replace(/^.*?\[\d+\] +/, '').replace(/^[A-Z]+: +/, '')
  return detail ? `${line} (${detail})` : line
}

function readFrom(file: string, offset: number): string {
  try {
    return readFileSync(file).subarray(offset).toString()
  } catch (error) {
    // The log may have been moved away by hand; the end of Postgres is still to be told.
    return `its log cannot be read (${errorCode(error)})`
  }
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer()
    server.on('error', fail)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address ? done(address.port) : fail(new Error('no free port')),
      )
    })
  })
}
