/** What a process costs, read from outside: its CPU time and its resident memory, out of Linux's /proc. */

import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Returns the CPU time of a process so far, in µs, of all its threads, in its own code and in the kernel. */
export const cpuOf = (pid: number): number => {
  const ran = readdirSync(`/proc/${pid}/task`).map((task) => threadTime(pid, task))
  // Exact to the nanosecond; `stat` counts in hundredths of a second.
  return ran.some((time) => time === undefined) ? ticksOf(pid) : ran.reduce<number>((sum, time) => sum + (time ?? 0), 0)
}

/** Returns the CPU time of a process and of its children so far, in µs. */
export const cpuOfFamily = (pid: number): number =>
  [pid, ...readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)].reduce<number>(
    (sum, one) => sum + cpuOf(Number(one)),
    0,
  )

/** Returns the resident memory of a process in bytes. */
export const residentOf = (pid: number): number => {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  if (kibibytes === undefined) throw new Error(`the memory of process ${pid} cannot be read`)
  return Number(kibibytes) * 1024
}

/** Waits until a process does nothing, for work that is still to come of what was before must not be counted. */
export const quiet = async (pid: number): Promise<void> => {
  const deadline = performance.now() + 10_000
  for (let still = 0, before = cpuOf(pid); still < 3; ) {
    if (performance.now() > deadline) throw new Error(`process ${pid} does not come to rest`)
    await sleep(50)
    const now = cpuOf(pid)
    still = now - before < 2000 ? still + 1 : 0
    before = now
  }
}

/** Returns how many files this process and its children may open. */
export const openFilesLimit = (): number => {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}

const parentOf = (pid: string): number | undefined => {
  try {
    return Number(/^.*\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1])
  } catch {
    return undefined // It has ended meanwhile.
  }
}

const threadTime = (pid: number, task: string): number | undefined => {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1000
  } catch {
    return undefined // The kernel keeps no such statistics.
  }
}

const ticksOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}
