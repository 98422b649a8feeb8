/** Chaos with a seed: nodes are killed or stopped, Redis is restarted, Postgres stops or shuts, sockets are cut. */

import { setTimeout as pause } from 'node:timers/promises'
import type { Fleet, Node } from '../support/fleet.ts'
import type { TestRedis } from '../support/redis.ts'
import { stopProcesses } from '../support/stopped.ts'

/** What may be broken. `shut` ends every connection to the database and lets nobody in until `open`, as a restart does. */
export type Breakable = {
  fleet: Fleet
  redis: TestRedis
  postgres: { pid: number; shut(): Promise<void>; open(): Promise<void> }
}

/** Returns numbers from 0 to 1, the same for the same seed. */
export const randomOf = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Breaks something again and again for a time, in ms, and mends all of it; returns what was done, as lines. */
export const breakFor = async (
  { fleet, redis, postgres }: Breakable,
  time: number,
  random: () => number,
): Promise<string[]> => {
  const done: string[] = []
  const busy = new Set<unknown>()
  const mending = new Set<Promise<void>>()
  const between = (from: number, to: number): number => Math.round(from + random() * (to - from))
  const begun = performance.now()

  /** Does something to a part that is whole. */
  const act = (part: unknown, what: string, how: () => Promise<void>): void => {
    if (busy.has(part)) return
    busy.add(part)
    done.push(`${Math.round(performance.now() - begun)} ms: ${what}`)
    const mended = how().finally(() => {
      busy.delete(part)
      mending.delete(mended)
    })
    mending.add(mended)
  }
  const kill = (node: Node, n: number): void => {
    const away = between(100, 1500)
    act(node, `${node.role} ${n} is killed for ${away} ms`, async () => {
      await node.kill()
      await pause(away)
      await restart(node)
    })
  }
  const stop = (part: unknown, what: string, pid: number | undefined, longest: number): void => {
    const away = between(200, longest)
    act(part, `${what} stops for ${away} ms`, async () => {
      const goOn = stopProcesses(pid ?? 0)
      await pause(away)
      goOn()
    })
  }

  /** Starts a node as a supervisor does: again, where what it needs is away. */
  const restart = async (node: Node): Promise<void> => {
    for (let tries = 0; tries < 20; tries += 1) {
      const isRunning = await node.restart().then(
        () => true,
        () => false,
      )
      if (isRunning) return
      await pause(300)
    }
    throw new Error(`a ${node.role} node did not start again`)
  }

  const nodes = [...fleet.rest, ...fleet.realtime, ...fleet.worker]
  while (performance.now() - begun < time) {
    const n = between(0, nodes.length - 1)
    const node = nodes[n]
    const dice = random()
    if (!node) continue
    if (dice < 0.3) kill(node, n)
    else if (dice < 0.5) stop(node, `${node.role} ${n}`, node.program.child.pid, 3000)
    else if (dice < 0.65) {
      const away = between(100, 2000)
      act(redis, `Redis is killed for ${away} ms`, async () => {
        await redis.kill()
        await pause(away)
        await redis.start()
      })
    } else if (dice < 0.75) stop(postgres, 'Postgres', postgres.pid, 2000)
    else if (dice < 0.85) {
      const away = between(100, 1500)
      act(postgres, `Postgres is shut for ${away} ms`, async () => {
        await postgres.shut()
        await pause(away)
        await postgres.open()
      })
    } else done.push(`${Math.round(performance.now() - begun)} ms: ${fleet.cutSockets(0.3)} connections are cut`)
    await pause(between(100, 800))
  }
  await Promise.all(mending)
  return done
}
