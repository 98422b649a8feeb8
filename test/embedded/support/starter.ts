/** Starts Postgres from another process, the way a second program would. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { z } from 'zod'

const told = z.object({ url: z.string(), pid: z.number(), reused: z.boolean() })
const script = fileURLToPath(new URL('./start-and-hold.ts', import.meta.url))

/** A process that holds a Postgres; `killHard` is kill -9, resolved when it is gone. */
export type Starter = z.infer<typeof told> & { killHard: () => Promise<void> }

/** Starts a process that starts Postgres; returns once it told that Postgres is ready. */
export async function spawnStarter(dataDir: string): Promise<Starter> {
  const child = spawn(process.execPath, ['--import', 'tsx', script, dataDir], { stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => killHard(child))
  let complaints = ''
  child.stderr.on('data', (chunk: Buffer) => {
    complaints += chunk.toString()
  })
  for await (const line of createInterface({ input: child.stdout })) {
    return { ...told.parse(JSON.parse(line)), killHard: () => killHard(child) }
  }
  throw new Error(`The starter ended: ${complaints}`)
}

async function killHard(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
