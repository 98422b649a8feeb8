/** A realtime side to test: real sockets on a free port, a memory bus, and a log that lives in the test. */

import { createServer } from 'node:net'
import { inject } from 'vitest'
import { signChannel } from '../../auth/channel-signature.ts'
import { type Bus, type BusListener, streamSubject } from '../../realtime/bus/bus.ts'
import { createMemoryBus } from '../../realtime/bus/memory.ts'
import type { EventLog } from '../../realtime/log.ts'
import type { Logger } from '../../realtime/logger.ts'
import { createMetrics } from '../../realtime/metrics.ts'
import { createRealtime, policyOf, type RealtimeAccess, type RealtimeLimits } from '../../realtime/realtime.ts'
import { createMemoryRoster } from '../../realtime/roster/memory.ts'
import type { RosterListener } from '../../realtime/roster/roster.ts'
import { createUwsTransport } from '../../realtime/transport/uws.ts'
import { createWsTransport } from '../../realtime/transport/ws.ts'
import { type ChannelGrant, writeChannelData } from '../../schema/channel-auth.ts'
import { type ChatChannel, chatChannel } from '../../schema/channels.ts'
import { encodeStreamEvent, type LoggedEvent, tellingsOf, toStreamEvent } from '../../schema/events.ts'
import type { Health } from '../../schema/health.ts'
import type { KeyStanding } from '../../schema/key-notice.ts'
import type { Post } from '../../schema/outbound.ts'
import { chatApp, type PusherApp } from '../../schema/pusher-apps.ts'
import { type Missed, type MissedRequest, maxReplay } from '../../schema/recovery.ts'
import { dataOf, openRawSocket, type RawSocket } from '../support/raw-socket.ts'

export const app = { id: '3', key: 'app-key', secret: 'app-secret' }

declare module 'vitest' {
  export interface ProvidedContext {
    /** Over which transport the realtime suite runs. */
    transport: 'uws' | 'ws'
  }
}

/** The transport that this run of the suite is about. */
export const createTransport = inject('transport') === 'ws' ? createWsTransport : createUwsTransport

export type FakeLog = ReturnType<typeof createFakeLog>

/**
 * A log in memory. `failures` makes the next reads fail; `reads`, `headReads` and `missedReads` count what was asked.
 * `keys` are those that are known; the events up to `pruned` are gone.
 */
export const createFakeLog = () => {
  const events: LoggedEvent[] = []
  const conversations = new Map<string, string>()
  const keys = new Map<string, KeyStanding>()
  const log = {
    events,
    conversations,
    keys,
    reads: 0,
    headReads: 0,
    missedReads: 0,
    pruned: 0,
    /** What a read of what was missed waits for before it answers. */
    gate: Promise.resolve(),
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
        site: 'web_1',
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
    missed: async ({ workspace, channel, since }: MissedRequest): Promise<Missed> => {
      log.missedReads += 1
      failIfAsked()
      const answer = missedNow(workspace, channel, since)
      await log.gate
      return answer
    },
    workspaceOf: async ({ id }: ChatChannel): Promise<string | undefined> => {
      failIfAsked()
      return conversations.get(id)
    },
    keyStates: async (ids: string[]): Promise<Map<string, KeyStanding>> => {
      failIfAsked()
      return new Map([...keys].filter(([id]) => ids.includes(id)))
    },
  } satisfies EventLog & Record<string, unknown>
  const missedNow = (workspace: string, channel: ChatChannel, since: number): Missed => {
    const isVisitor = channel.audience === 'visitor'
    const number = (event: LoggedEvent) => (isVisitor ? (event.public_seq ?? 0) : event.seq)
    const heard = events.filter((event) => event.workspace === workspace && isHeard(event, channel))
    const head = isVisitor ? Math.max(0, ...heard.map(number)) : headOf(workspace)
    if (since > head) return { failure: 'invalid', head }
    if (since < log.pruned) return { failure: 'expired', head }
    const missed = heard.filter((event) => number(event) > since)
    return missed.length > maxReplay.events ? { failure: 'too_many', head } : { events: missed, head }
  }
  const isHeard = (event: LoggedEvent, { audience, id }: ChatChannel) =>
    tellingsOf(toStreamEvent(event)).some(({ channel }) => {
      const chat = chatChannel(channel)
      return chat?.audience === audience && chat.id === id
    })
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
  settings = {},
  apps = [],
  access,
  post = async () => ({ ok: true, status: 200, body: '' }),
  health = async () => ({ isReady: true, database: 'up', bus: 'up' }),
  metricsToken,
  wrapBus = (bus) => bus,
  withLog = true,
  port: wanted = 0,
}: {
  limits?: RealtimeLimits
  /** What the chat's app differs in from what it usually is. */
  settings?: Partial<PusherApp>
  /** Further apps. */
  apps?: readonly PusherApp[]
  access?: RealtimeAccess
  /** Takes what webhooks send. */
  post?: Post
  health?: () => Promise<Health>
  metricsToken?: string
  wrapBus?: (bus: Bus) => Bus
  withLog?: boolean
  port?: number
} = {}) => {
  const log = createFakeLog()
  const logger = createTestLogger()
  const metrics = createMetrics()
  const bus = createMemoryBus(listenerOf(() => realtime))
  const chat = { ...chatApp(app), ...settings }
  const roster = createMemoryRoster({
    policyOf: policyOf([chat, ...apps]),
    listener: rosterListenerOf(() => realtime.roster),
  })
  const realtime = createRealtime({
    chat,
    apps,
    bus: wrapBus(bus),
    roster,
    post,
    log: withLog ? log : undefined,
    operations: { health, metrics: metrics.text, metricsToken },
    metrics,
    logger,
    createTransport,
    ...(access && { access }),
    ...(limits && { limits }),
  })
  const { port } = await realtime.listen({ host: '127.0.0.1', port: wanted })
  const sockets: RawSocket[] = []

  return {
    port,
    log,
    logger,
    metrics,
    bus,
    roster,
    realtime,
    url: (path: string) => `http://127.0.0.1:${port}${path}`,
    /** Opens a socket at a path; nothing is read from it yet. */
    dial: async (path: string, headers: Record<string, string> = {}): Promise<RawSocket> => {
      const socket = await openRawSocket(`ws://127.0.0.1:${port}${path}`, headers)
      sockets.push(socket)
      return socket
    },
    /** Opens a socket and returns it with its id. */
    connect: async (key = app.key): Promise<{ socket: RawSocket; id: string }> => {
      const socket = await openRawSocket(`ws://127.0.0.1:${port}/app/${key}?protocol=7&client=js&version=8.6.0`)
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
      await roster.close()
      for (const socket of sockets) socket.terminate()
    },
  }
}

const rosterListenerOf = (listener: () => RosterListener): RosterListener => ({
  changed: (...told) => listener().changed(...told),
  turned: (...told) => listener().turned(...told),
  counted: (...told) => listener().counted(...told),
  noticed: (...told) => listener().noticed(...told),
  returned: () => listener().returned(),
})

const listenerOf = (
  realtime: () => Pick<ReturnType<typeof createRealtime>, 'receive' | 'busReturned'>,
): BusListener => ({
  receive: (subject, message) => realtime().receive(subject, message),
  returned: () => realtime().busReturned(),
})

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
  grant: Pick<ChannelGrant, 'workspace'> & Partial<ChannelGrant>,
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
