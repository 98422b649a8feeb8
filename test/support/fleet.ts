/** The program as several processes behind a load balancer, as where one machine is outgrown. */

import { openBalancer } from './balancer.ts'
import { type Program, startProgram } from './program.ts'

export type Node = {
  role: 'rest' | 'realtime' | 'worker'
  /** The process that runs now. */
  program: Program
  kill(): Promise<void>
  /** Starts it again after it was killed. */
  restart(): Promise<void>
}

export type Fleet = {
  /** The address of all REST nodes, and the port of all realtime nodes. */
  api: string
  realtimePort: number
  rest: Node[]
  realtime: Node[]
  worker: Node[]
  /** Cuts sockets of subscribers without a goodbye: each one with that chance. Returns how many. */
  cutSockets(chance: number): number
  stop(): Promise<void>
}

/** How many processes of each role. */
export type FleetSize = { rest: number; realtime: number; worker?: number }

/** Starts them all. `env` must name a database, a Redis and the Pusher app. */
export const startFleet = async (size: FleetSize, env: Record<string, string>): Promise<Fleet> => {
  const start = async (role: Node['role']): Promise<Node> => {
    const run = () => startProgram({ ...env, ROLES: role })
    const node: Node = {
      role,
      program: await run(),
      kill: () => node.program.kill(),
      restart: async () => {
        node.program = await run()
      },
    }
    return node
  }
  const many = (role: Node['role'], count: number) => Promise.all(Array.from({ length: count }, () => start(role)))
  const [rest, realtime, worker] = await Promise.all([
    many('rest', size.rest),
    many('realtime', size.realtime),
    many('worker', size.worker ?? 0),
  ])
  const [restBalancer, realtimeBalancer] = await Promise.all([
    openBalancer(() => rest.map(({ program }) => Number(new URL(program.api).port))),
    openBalancer(() => realtime.map(({ program }) => program.realtimePort)),
  ])
  return {
    api: `http://127.0.0.1:${restBalancer.port}`,
    realtimePort: realtimeBalancer.port,
    rest,
    realtime,
    worker,
    cutSockets: realtimeBalancer.cut,
    stop: async () => {
      await Promise.all([restBalancer.close(), realtimeBalancer.close()])
      await Promise.all([...rest, ...realtime, ...worker].map(({ program }) => program.stop()))
    },
  }
}
