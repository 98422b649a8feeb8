/** The real program as a process of its own, as a user starts it. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const entry = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url))

export type Program = {
  child: ChildProcess
  /** The address of its REST API; empty where it runs none. */
  api: string
  /** The port of its sockets; 0 where it runs none. */
  realtimePort: number
  /** The address of a worker alone, which answers how it is. */
  probes: string
  /** All that it printed so far. */
  output(): string
  /** Ends it in order and waits; returns its exit code. */
  stop(): Promise<number | null>
  /** Ends it with SIGKILL and waits. */
  kill(): Promise<void>
}

/** What it is started with on a machine where the addon of uWebSockets.js does not load. */
export const withoutUws = { NODE_OPTIONS: `--import ${new URL('./without-uws.mjs', import.meta.url).href}` }

/** Starts the program on free ports and returns when it has printed its addresses. */
export const startProgram = async (env: Record<string, string>): Promise<Program> => {
  const { child, output, exited } = spawnProgram(['start'], { PORT: '0', REALTIME_PORT: '0', ...env })
  const printed = new Promise<'running'>((resolve) => {
    const look = () => {
      if (/^ +Pusher app .*\n/m.test(output())) resolve('running')
    }
    child.stdout?.on('data', look)
  })
  const first = await Promise.race([printed, exited])
  if (first !== 'running') throw new Error(`the program ended (${first}):\n${output()}`)
  const shown = (line: RegExp): string => line.exec(output())?.[1] ?? ''
  return {
    child,
    api: shown(/^ +REST API +(\S+)\/api\/v1$/m),
    realtimePort: Number(shown(/^ +Realtime +wss?:\/\/[^:]+:(\d+)$/m)),
    probes: shown(/^ +Worker +(\S+)\/ready$/m),
    output,
    stop: async () => {
      child.kill('SIGTERM')
      return await exited
    },
    kill: async () => {
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** Runs the program to its end; returns what it printed and its exit code. */
export const runProgram = async (
  args: string[],
  env: Record<string, string>,
): Promise<{ code: number | null; stdout: string; stderr: string }> => {
  const { child, exited } = spawnProgram(args, env)
  const text = { stdout: '', stderr: '' }
  child.stdout?.on('data', (chunk) => {
    text.stdout += chunk
  })
  child.stderr?.on('data', (chunk) => {
    text.stderr += chunk
  })
  const code = await exited
  return { code, ...text }
}

const spawnProgram = (args: string[], env: Record<string, string>) => {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, ['--enable-source-maps', entry, ...args], {
    cwd: root,
    env: { PATH, HOME, LOG_LEVEL: 'warn', DRAIN_SECONDS: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  const keep = (chunk: Buffer) => {
    printed += chunk
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const exited = once(child, 'close').then(([code]) => (typeof code === 'number' ? code : null))
  return { child, output: () => printed, exited }
}
