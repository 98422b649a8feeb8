/** Finds the Postgres that runs on a cluster or launches one, however many programs do so at once. */
import { setTimeout as pause } from 'node:timers/promises'
import { StartError } from '../../../schema/errors.ts'
import type { Binaries } from './binaries.ts'
import { type Answer, ask } from './connection.ts'
import { launch } from './launch.ts'
import { findPostmaster, isPostmaster } from './postmaster.ts'
import type { RunAs } from './run.ts'
import { stopPostmaster } from './stop.ts'

const startLimit = 60_000
const lingerLimit = 30_000
const launchLimit = 5

type Setup = {
  dataDir: string
  cluster: string
  password: string
  user: RunAs | undefined
  binaries: Binaries
  onExit: (line: string) => void
}

/** Returns the cluster's Postgres once it answers; `reused` when it was there before us. */
export async function attachOrLaunch(setup: Setup): Promise<{ pid: number; port: number; reused: boolean }> {
  const { cluster, dataDir } = setup
  const begun = Date.now()
  const deadline = begun + startLimit
  for (let launches = 0; ; await pause(100)) {
    const running = findPostmaster(cluster)
    if (running) {
      const { pid, port } = running
      const isGone = () => !isPostmaster(pid, cluster)
      const answer = await waitUntilReady({ ...setup, port, deadline, isGone })
      if (answer === 'ready') return { pid, port, reused: true }
      if (answer !== 'gone') throw notReady({ answer, pid, setup })
      continue
    }

    const launched = await launch(setup)
    const { pid, port } = launched
    launches += 1
    const answer = await waitUntilReady({ ...setup, port, deadline, isGone: launched.hasExited })
    // Two starts may have been given the same free port: who answers there need not be the one we launched.
    if (answer === 'ready' && findPostmaster(cluster)?.pid !== pid) continue
    if (answer === 'ready') return { pid, port, reused: false }
    if (answer !== 'gone') {
      // Recovery after a crash may take longer than we wait; ended now it would begin again from its start.
      if (answer !== 'starting') await stopPostmaster(pid, cluster)
      throw notReady({ answer, pid, setup })
    }
    const words = launched.lastWords()
    if (!isPassing({ words, launches, waited: Date.now() - begun })) {
      throw new StartError(`Postgres did not start: ${words}; its log is ${dataDir}/postgres.log.`)
    }
  }
}

async function waitUntilReady({
  port,
  password,
  deadline,
  isGone,
}: {
  port: number
  password: string
  deadline: number
  isGone: () => boolean
}): Promise<Answer | 'gone'> {
  for (;;) {
    const answer = await ask(port, password)
    if (answer === 'ready' || answer === 'wrong password') return answer
    if (isGone()) return 'gone'
    if (Date.now() > deadline) return answer
    await pause(20)
  }
}

function notReady({ answer, pid, setup }: { answer: Answer; pid: number; setup: Setup }): StartError {
  const { cluster, dataDir } = setup
  if (answer === 'wrong password') {
    return new StartError(
      `The Postgres in ${cluster} refuses the password in ${dataDir}/secrets.json: put back the file that it was made with.`,
    )
  }
  return new StartError(
    `Postgres (pid ${pid}) is ${findPostmaster(cluster)?.status || answer} after ${startLimit / 1000} s: start again to go on waiting, or read ${dataDir}/postgres.log.`,
  )
}

/** Returns whether what kept Postgres from starting passes by itself. */
function isPassing({ words, launches, waited }: { words: string; launches: number; waited: number }): boolean {
  // Another start was a moment faster; the next round finds its Postgres.
  if (/lock file .* (already exists|is empty)/.test(words)) return waited < startLimit
  // The backends of a postmaster that was killed live on until their statement ends.
  if (words.includes('pre-existing shared memory block')) return waited < lingerLimit
  // The free port was taken between our look and its bind.
  return words.includes('could not create any TCP/IP sockets') && launches < launchLimit
}
