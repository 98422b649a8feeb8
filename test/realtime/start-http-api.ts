/** The HTTP API to test: on a free port, over real transports, with apps that write down what is asked of them. */

import { createHash, createHmac } from 'node:crypto'
import PusherServer from 'pusher'
import { inject } from 'vitest'
import type { AppApi } from '../../realtime/http/app-api.ts'
import { createHttpApi } from '../../realtime/http/http-api.ts'
import type { AppMetrics } from '../../realtime/metrics.ts'
import { createMemoryRoster } from '../../realtime/roster/memory.ts'
import type { Roster } from '../../realtime/roster/roster.ts'
import { createUwsTransport } from '../../realtime/transport/uws.ts'
import { createWsTransport } from '../../realtime/transport/ws.ts'
import { channelKind } from '../../schema/channels.ts'
import type { Health } from '../../schema/health.ts'
import { type PusherApp, plainApp } from '../../schema/pusher-apps.ts'

/** Pusher.forURL reads an app's id as a number. */
export const app: PusherApp = plainApp({ id: '3', key: 'app-key', secret: 'app-secret' })

/** What was published, as [channel, event, data], with the socket to spare if there is one. */
type Published = [channel: string, event: string, data: string, exceptSocketId?: string]

/** Of a signed request; `signedPath` is what the client takes the path for. */
type Sending = {
  method?: string
  params?: readonly [name: string, value: string][]
  body?: string | Uint8Array
  signedPath?: string
  timestamp?: number
  as?: Pick<PusherApp, 'key' | 'secret'>
}

/** Starts it for some apps. */
export const startHttpApi = async ({
  apps = [app],
  health = async () => ({ isReady: true, database: 'up', bus: 'up' }),
  metricsToken,
  pathPrefix,
  now,
}: {
  apps?: PusherApp[]
  health?: () => Promise<Health>
  metricsToken?: string
  pathPrefix?: string
  now?: () => number
} = {}) => {
  const doubles = new Map(apps.map((app) => [app.id, createAppDouble(app)]))
  const { roster, side } = createRoster()
  const lines: string[] = []
  const line = (_: object, message: string) => void lines.push(message)
  const logger = { debug: line, info: line, warn: line, error: line }
  const transport = createTransport({ maxFrame: 1024, sendBuffer: 1024, logger })
  const http = createHttpApi({
    apps: doubles,
    roster,
    operations: { health, metrics: async () => 'hubbub_sockets 0\n', metricsToken },
    ...(pathPrefix !== undefined && { pathPrefix }),
    ...(now && { now }),
  })
  const port = await transport.listen({ ...noSockets, http }, { host: '127.0.0.1', port: 0 })
  const url = (path: string): string => `http://127.0.0.1:${port}${path}`
  const only = doubles.get(apps[0]?.id ?? '') ?? createAppDouble(app)

  return {
    port,
    url,
    roster,
    /** What the roster does: `isAway` makes its reads fail. */
    side,
    /** What the transport logged: what is here went wrong. */
    lines,
    /** What was asked of the first app, and of each. */
    ...only,
    double: (id: string) => doubles.get(id) ?? only,
    /** The official client of servers. */
    sdk: (options: Partial<{ appId: string; key: string; secret: string; encryptionMasterKeyBase64: string }> = {}) =>
      new PusherServer({
        appId: app.id,
        key: app.key,
        secret: app.secret,
        host: '127.0.0.1',
        port: String(port),
        useTLS: false,
        ...options,
      }),
    query: signedQuery,
    /** Sends a signed request as whoever has no SDK does; returns its status, body and type. */
    send: async (path: string, sending: Sending = {}) => {
      const { method = 'GET', body } = sending
      const response = await fetch(url(`${path}?${signedQuery(path, sending)}`), {
        method,
        ...(body !== undefined && body.length > 0 && { body: Buffer.from(body) }),
      })
      return replyOf(response)
    },
    /** Publishes with a signed request. */
    post: async (path: string, body: unknown, sending: Sending = {}) => {
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      const query = signedQuery(path, { ...sending, method: 'POST', body: text })
      return replyOf(await fetch(url(`${path}?${query}`), { method: 'POST', body: text }))
    },
    stop: async (): Promise<void> => {
      transport.close()
      await roster.close()
    },
  }
}

export type StartedHttpApi = Awaited<ReturnType<typeof startHttpApi>>

/** An answer in words, and one in JSON, as `send` and `post` return it. */
export const words = (status: number, body: unknown) => ({ status, body, type: 'text/plain; charset=utf-8' })
export const told = (body: unknown) => ({ status: 200, body: JSON.stringify(body), type: 'application/json' })

/** Returns a query as SDKs sign it, escaped for the wire. */
export const signedQuery = (
  path: string,
  { method = 'GET', params = [], body = '', signedPath = path, timestamp, as: { key, secret } = app }: Sending = {},
): string => {
  const pairs: [string, string][] = [
    ['auth_key', key],
    ['auth_timestamp', String(timestamp ?? Math.floor(Date.now() / 1000))],
    ['auth_version', '1.0'],
    ...params,
  ]
  if (body.length > 0) pairs.push(['body_md5', createHash('md5').update(body).digest('hex')])
  pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  const text = `${method}\n${signedPath}\n${pairs.map((pair) => pair.join('=')).join('&')}`
  const signature = createHmac('sha256', secret).update(text).digest('hex')
  return [...pairs, ['auth_signature', signature]].map((pair) => pair.map(encodeURIComponent).join('=')).join('&')
}

const replyOf = async (response: Response) => ({
  status: response.status,
  body: await response.text(),
  type: response.headers.get('content-type'),
})

const createTransport = inject('transport') === 'ws' ? createWsTransport : createUwsTransport

const noSockets = {
  open: () => undefined,
  message: () => undefined,
  binary: () => undefined,
  drain: () => undefined,
  dropped: () => undefined,
  close: () => undefined,
}

/** An app's side that keeps what it is asked. `cache.keep` is what an event on a cache channel waits for. */
const createAppDouble = (app: PusherApp) => {
  const published: Published[] = []
  const terminated: string[] = []
  const refusals: string[] = []
  const cache = { keep: () => Promise.resolve() }
  const metrics: AppMetrics = {
    sockets: 0,
    subscriptions: 0,
    published: 0,
    clientEvents: 0,
    sent: 0,
    sentBytes: 0,
    received: 0,
    receivedBytes: 0,
    refused: (reason) => void refusals.push(reason),
  }
  const api: AppApi = {
    app,
    metrics,
    publish: (channel, event, data, exceptSocketId) => {
      published.push(exceptSocketId === undefined ? [channel, event, data] : [channel, event, data, exceptSocketId])
      return channelKind(channel).cached ? cache.keep() : undefined
    },
    terminate: (user) => void terminated.push(user),
  }
  return { ...api, published, terminated, refusals, cache }
}

const createRoster = () => {
  const nobody = () => undefined
  const roster = createMemoryRoster({
    policyOf: () => ({ tellsCounts: false, hasHooks: false }),
    listener: { changed: nobody, turned: nobody, counted: nobody, noticed: nobody, returned: nobody },
  })
  const side = { isAway: false, reads: 0 }
  const read = <T>(answer: () => Promise<T>): Promise<T> => {
    side.reads += 1
    return side.isAway ? Promise.reject(new Error('the roster is away')) : answer()
  }
  const watched: Roster = {
    ...roster,
    members: (...args) => read(() => roster.members(...args)),
    counts: (...args) => read(() => roster.counts(...args)),
    channels: (...args) => read(() => roster.channels(...args)),
    recall: (...args) => read(() => roster.recall(...args)),
  }
  return { roster: watched, side }
}
