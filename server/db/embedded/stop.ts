/** Ends a Postgres process that may or may not be our child. */
import { setTimeout as pause } from 'node:timers/promises'
import { isPostmaster } from './postmaster.ts'
import { errorCode } from './run.ts'

/** Ends Postgres at once but cleanly, and waits until it is gone; one that does not follow is told to abort. */
export async function stopPostmaster(pid: number, cluster: string): Promise<void> {
  for (const { signal, patience } of [
    { signal: 'SIGINT', patience: 10_000 },
    { signal: 'SIGQUIT', patience: 10_000 },
  ] as const) {
    // Looked at before each signal: the number of a process that has ended may be given out again.
    if (!isPostmaster(pid, cluster)) return
    send(pid, signal)
    if (await isGoneWithin(patience, pid, cluster)) return
  }
  throw new Error(`Postgres (pid ${pid}) does not end.`)
}

async function isGoneWithin(patience: number, pid: number, cluster: string): Promise<boolean> {
  const deadline = Date.now() + patience
  while (isPostmaster(pid, cluster)) {
    if (Date.now() > deadline) return false
    await pause(20)
  }
  return true
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error
  }
}
