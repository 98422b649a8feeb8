/** A realtime side to test: real sockets on a free port, a memory bus, and a log that lives in the test. */

import { createServer } from 'node:net'
import { signChannel } from '../../auth/channel-signature.ts'
import { type Bus, streamSubject } from '../../realtime/bus/bus.ts'
import { createMemoryBus } from '../../realtime/bus/memory.ts'
import type { App } from '../../realtime/http-api.ts'
import type { Logger } from '../../realtime/logger.ts'
import { createRealtime, type RealtimeLimits } from '../../realtime/realtime.ts'
import { writeChannelData } from '../../schema/channel-auth.ts'
import { encodeStreamEvent, type LoggedEvent, toStreamEvent } from '../../schema/events.ts'
import { dataOf, openRawSocket, type RawSocket } from '../support/raw-socket.ts'

export const app: App = { id: '3', key: 'app-key', secret: 'app-secret' }

export type FakeLog = ReturnType<typeof createFakeLog>

/** A log in memory. `fail` makes the next reads fail; `reads` and `headReads` count what was asked. */
export const createFakeLog = () => {
  const events: LoggedEvent[] = []
  const conversations = new Map<string, string>()
  const log = {
    events,
    conversations,
    reads: 0,
    headReads: 0,
    failures: 0,
    /** Writes the next event of a workspace, as a commit does, without telling anyone. */
    append: (workspace: string, change: Partial<LoggedEvent> = {}): LoggedEvent => {
      const seq = headOf(workspace) + 1
      const conversation = change.conversation ?? 'cnv_1'
      const event: LoggedEvent = {
        workspace,
        seq,
        id: `evt_${seq}`,
        type: 'message.new',
        conversation,
        conversation_seq: seq,
        public_seq: seq,
        payload: {
          id: `msg_${seq}`,
          conversation_id: conversation,
          sender_type: 'agent',
          sender_id: 'usr_1',
          author: 'Ada',
          content: `text ${seq}`,
          attachments: [],
          created_at: '2026-01-01T00:00:00.000Z',
        },
        ...change,
      }
      events.push(event)
      return event
    },
    heads: async (workspaces: string[]): Promise<Map<string, number>> => {
      log.headReads += 1
      failIfAsked()
      return new Map(workspaces.map((workspace) => [workspace, headOf(workspace)]))
    },
    history: async (workspace: string, after: number, limit: number): Promise<LoggedEvent[]> => {
      log.reads += 1
      failIfAsked()
      return events.filter((event) => event.workspace === workspace && event.seq > after).slice(0, limit)
    },
    workspaceOf: async (conversation: string): Promise<string | undefined> => {
      failIfAsked()
      return conversations.get(conversation)
    },
  }
  const headOf = (workspace: string): number =>
    Math.max(0, ...events.filter((event) => event.workspace === workspace).map(({ seq }) => seq))
  const failIfAsked = (): void => {
    if (log.failures === 0) return
    log.failures -= 1
    throw new Error('the database is away')
  }
  return log
}

/** A logger that keeps its lines. */
export const createTestLogger = (): Logger & { lines: { level: string; message: string; fields: object }[] } => {
  const lines: { level: string; message: string; fields: object }[] = []
  const level = (name: string) => (fields: object, message: string) => {
    lines.push({ level: name, message, fields })
  }
  return { lines, debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') }
}

/** Returns a port that is free: for what starts twice on one port, since a port opened as 0 stays in use for a while. */
export const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })

/** Starts it. `wrapBus` may stand between it and its bus. */
export const startRealtime = async ({
  limits,
  ready = async () => true,
  wrapBus = (bus) => bus,
  port: wanted = 0,
}: {
  limits?: RealtimeLimits
  ready?: () => Promise<boolean>
  wrapBus?: (bus: Bus) => Bus
  port?: number
} = {}) => {
  const log = createFakeLog()
  const logger = createTestLogger()
  const bus = createMemoryBus((subject, message) => realtime.receive(subject, message))
  const realtime = createRealtime({ app, bus: wrapBus(bus), log, ready, logger, ...(limits && { limits }) })
  const { port } = await realtime.listen({ host: '127.0.0.1', port: wanted })
  const sockets: RawSocket[] = []

  return {
    port,
    log,
    logger,
    bus,
    realtime,
    url: (path: string) => `http://127.0.0.1:${port}${path}`,
    /** Opens a socket at a path; nothing is read from it yet. */
    dial: async (path: string): Promise<RawSocket> => {
      const socket = await openRawSocket(`ws://127.0.0.1:${port}${path}`)
      sockets.push(socket)
      return socket
    },
    /** Opens a socket and returns it with its id. */
    connect: async (): Promise<{ socket: RawSocket; id: string }> => {
      const socket = await openRawSocket(`ws://127.0.0.1:${port}/app/${app.key}?protocol=7&client=js&version=8.6.0`)
      sockets.push(socket)
      return { socket, id: socketId(dataOf(await socket.waitFor('pusher:connection_established'))) }
    },
    /** Writes an event to the log and tells it on the bus, as the REST side does. */
    record: (workspace: string, change?: Partial<LoggedEvent>): LoggedEvent => {
      const event = log.append(workspace, change)
      bus.publish(streamSubject(workspace), encodeStreamEvent(toStreamEvent(event)))
      return event
    },
    stop: async (): Promise<void> => {
      await realtime.close()
      for (const socket of sockets) socket.terminate()
    },
  }
}

export type Started = Awaited<ReturnType<typeof startRealtime>>

/** A subscription as the operator signs it. */
export const operatorSubscribe = (socketId: string, channel: string) => ({
  event: 'pusher:subscribe',
  data: { channel, auth: signChannel(app, socketId, channel) },
})

/** A subscription as the authorizer signs it for a key of a workspace. */
export const grantedSubscribe = (
  socketId: string,
  channel: string,
  grant: { workspace: string; iat?: number; exp?: number },
) => {
  const channel_data = writeChannelData({ key: 'key_1', iat: Math.floor(Date.now() / 1000), ...grant })
  return {
    event: 'pusher:subscribe',
    data: { channel, auth: signChannel(app, socketId, channel, channel_data), channel_data },
  }
}

const socketId = (data: unknown): string => {
  if (typeof data === 'object' && data && 'socket_id' in data && typeof data.socket_id === 'string') {
    return data.socket_id
  }
  throw new Error('no socket_id')
}
