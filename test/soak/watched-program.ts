/** The program with a shop's app, as a process of its own whose memory and counts can be looked at. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { z } from 'zod'
import { makeDirectory } from '../support/api.ts'
import { freshDatabase } from '../support/database.ts'
import { startProgram, withoutUws } from '../support/program.ts'
import { shop } from '../support/pusher-nodes.ts'

export type WatchedProgram = Awaited<ReturnType<typeof startWatchedProgram>>

/** Starts it over a transport; its webhooks are answered and forgotten. */
export const startWatchedProgram = async (transport: 'uws' | 'ws') => {
  const listener = createServer((request, response) => {
    request.resume().on('end', () => response.end())
  })
  await new Promise<void>((done) => listener.listen(0, '127.0.0.1', done))
  const address = listener.address()
  const [directory, dataDir, database] = await Promise.all([
    mkdtemp(join(tmpdir(), 'hubbub-soak-')),
    makeDirectory(),
    freshDatabase({ max: 1 }),
  ])
  const apps = join(directory, 'apps.json')
  const webhook = {
    url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/`,
    event_types: ['channel_occupied', 'channel_vacated', 'member_added', 'member_removed', 'cache_miss'],
  }
  await writeFile(apps, JSON.stringify([{ ...shop, webhooks: [webhook], enableWebhookBatching: true }]))
  const preload = `--import ${new URL('./report-memory.mjs', import.meta.url).href}`
  const program = await startProgram({
    PUSHER_APPS: apps,
    WEBHOOK_ALLOW_PRIVATE: '127.0.0.1',
    DATABASE_URL: database.url,
    DATA_DIR: dataDir,
    NODE_OPTIONS: transport === 'ws' ? `${preload} ${withoutUws.NODE_OPTIONS}` : preload,
  })
  const reports = (): string[] => [...program.output().matchAll(/^memory (.*)$/gm)].map(([, report]) => report ?? '')

  return {
    port: program.realtimePort,
    output: program.output,
    /** Returns the memory in use once the garbage is gone, in bytes. */
    memory: async (): Promise<Memory> => {
      const before = reports().length
      program.child.kill('SIGUSR2')
      await expect.poll(() => reports().length, { timeout: 20_000, interval: 20 }).toBe(before + 1)
      const { heapUsed, external, rss } = report.parse(JSON.parse(reports().at(-1) ?? ''))
      return { inUse: heapUsed + external, rss }
    },
    /** Returns what its metrics say of the shop. */
    counts: async (): Promise<{ sockets: number; subscriptions: number }> => {
      const text = await (await fetch(`http://127.0.0.1:${program.realtimePort}/metrics`)).text()
      const count = (name: string): number =>
        Number(new RegExp(`^hubbub_${name}\\{app="${shop.id}"\\} (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN)
      return { sockets: count('sockets'), subscriptions: count('subscriptions') }
    },
    stop: async (): Promise<void> => {
      await program.stop()
      await database.close()
      await new Promise((done) => listener.close(done).closeAllConnections())
      await Promise.all([directory, dataDir].map((place) => rm(place, { recursive: true, force: true })))
    },
  }
}

/** `inUse` is what the program's own values take: on its heap, and buffers beside it. */
export type Memory = { inUse: number; rss: number }

const report = z.object({ heapUsed: z.number(), external: z.number(), rss: z.number() })

const limits = z.object({ userLimits: z.object({ open_files: z.object({ soft: z.union([z.number(), z.string()]) }) }) })

/** Says that a process may have so many sockets, and something beside them. */
export const expectFiles = (sockets: number): void => {
  const needed = sockets + 500
  const { soft } = limits.parse(process.report.getReport()).userLimits.open_files
  if (soft === 'unlimited' || Number(soft) >= needed) return
  throw new Error(`${sockets} sockets need ${needed} open files, ${soft} are allowed: run "ulimit -n ${needed}" before`)
}
