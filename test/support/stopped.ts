/** Processes that are stopped for a while, as a machine that hangs: their connections stay open and nothing answers. */

import { readdirSync, readFileSync } from 'node:fs'

/** Stops a process and all that it has started; returns what lets them go on. */
export const stopProcesses = (pid: number): (() => void) => {
  const pids = [pid, ...childrenOf(pid)]
  for (const one of pids) signal(one, 'SIGSTOP')
  return () => {
    for (const one of pids) signal(one, 'SIGCONT')
  }
}

const childrenOf = (parent: number): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent)
    .flatMap((pid) => [pid, ...childrenOf(pid)])

const parentOf = (pid: number): number | undefined => {
  try {
    // The name of the program is in brackets and may hold anything.
    return Number(
      readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) \S /s, '')
        .split(' ')[0],
    )
  } catch {
    return undefined
  }
}

const signal = (pid: number, name: 'SIGSTOP' | 'SIGCONT'): void => {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended meanwhile.
  }
}
