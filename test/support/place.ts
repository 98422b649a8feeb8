/** A data directory for one test, with the Postgres that may run in it. */

import { existsSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { makeDirectory } from './api.ts'
import { type Program, startProgram } from './program.ts'

/** Makes a data directory; it is removed after the test. */
export const makePlace = async (): Promise<string> => {
  const place = await makeDirectory()
  onTestFinished(() => rm(place, { recursive: true, force: true, maxRetries: 5 }))
  return place
}

/** Starts the program for one test, after which it is stopped if it still runs. */
export const startForTest = async (env: Record<string, string>): Promise<Program> => {
  const program = await startProgram(env)
  onTestFinished(async () => {
    await program.stop()
  })
  return program
}

/** Returns the number of the Postgres process of a data directory; undefined where none runs. */
export const postgresOf = (place: string): number | undefined => {
  const file = join(place, 'postgres', 'postmaster.pid')
  if (!existsSync(file)) return undefined
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0])
  return isRunning(pid) ? pid : undefined
}

/** Returns whether a process with that number runs; one that has ended but was not collected does not. */
export const isRunning = (pid: number): boolean =>
  existsSync(`/proc/${pid}`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== ''

/** Takes a port of this machine; returns it with what frees it. */
export const takePort = async (): Promise<{ port: number; free: () => Promise<void> }> => {
  const holder = createServer()
  await new Promise<void>((done) => holder.listen(0, '127.0.0.1', done))
  const address = holder.address()
  const free = () => new Promise<void>((done) => holder.close(() => done()))
  onTestFinished(free)
  return { port: typeof address === 'object' && address ? address.port : 0, free }
}

/** Returns the API key that a first start printed; undefined where none was. */
export const printedKey = (program: Program): string | undefined =>
  /mr_live_[A-Za-z0-9]{32}/.exec(program.output())?.[0]
