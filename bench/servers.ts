/** The two servers of a comparison: each is lent for a while as a process of its own. */

import { startChild } from './child.ts'
import { app, startHubbub } from './program.ts'
import type { BenchApp } from './publisher.ts'

/** A server under test: `path` opens sockets, `events` takes publishes, signed for `app` if it has one. */
export type Server = {
  pid: number
  port: number
  path: string
  events: string
  app?: BenchApp
  /** Where messages are written, if it has a chat. */
  chat?: { port: number; thread: Thread }
}

/** A conversation that messages are written to, and the channel that hears them. */
export type Thread = { apiKey: string; conversation: string; channel: string }

/** Starts a server, returns what `use` makes of it, and ends it. */
export type Lend = <Result>(use: (server: Server) => Promise<Result>) => Promise<Result>

const paths = {
  path: `/app/${app.key}?protocol=7&client=js&version=8.6.0&flash=false`,
  events: `/apps/${app.id}/events`,
}

/** Lends a server that is uWebSockets.js and next to nothing. */
export const lendBare: Lend = async (use) => {
  const child = startChild('bare-uws.ts')
  try {
    const { port } = await child.ask<{ port: number }>({})
    return await use({ pid: child.pid, port, ...paths })
  } finally {
    await child.stop()
  }
}

/** Lends the whole program. */
export const lendHubbub =
  (databaseUrl: string, thread: Thread): Lend =>
  async (use) => {
    const program = await startHubbub(databaseUrl)
    try {
      const { pid } = program.child
      if (pid === undefined) throw new Error('the program has no process')
      const chat = { port: Number(new URL(program.api).port), thread }
      return await use({ pid, port: program.realtimePort, ...paths, app, chat })
    } finally {
      await program.stop()
    }
  }
