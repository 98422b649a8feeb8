/** The HTTP side of the realtime port: Pusher's API for servers, the probes and the metrics. */

import type { AppCredentials } from '../auth/channel-signature.ts'
import { mayReadMetrics } from '../auth/metrics-access.ts'
import { readQuery, verifyRequest } from '../auth/request-signature.ts'
import { type Operations, presentHealth } from '../schema/health.ts'
import { maxEventData, triggerRequest } from '../schema/pusher-http.ts'
import type { Relay } from './relay.ts'
import type { HttpReply, HttpRequest } from './transport/transport.ts'

/** A Pusher app. */
export type App = AppCredentials & { id: string }

type Answer = (request: HttpRequest) => HttpReply | Promise<HttpReply>

/** Makes the answer to every HTTP request. */
export const createHttpApi = ({
  app,
  relay,
  operations,
  now = Date.now,
}: {
  app: App
  relay: Pick<Relay, 'publish'>
  operations: Operations
  now?: () => number
}): Answer => {
  const answer: Answer = (request) => {
    const { method, path } = request
    const appId = /^\/apps\/([^/]+)\/events$/.exec(path)?.[1]
    if (appId !== undefined) return method === 'POST' ? trigger(appId, request) : methodNotAllowed('POST')
    const probe = probes.get(path)
    if (!probe) return text(404, `There is no ${path} here`)
    return method === 'GET' || method === 'HEAD' ? probe(request) : methodNotAllowed('GET, HEAD')
  }

  const trigger = (appId: string, request: HttpRequest): HttpReply => {
    if (appId !== app.id) return text(404, `There is no app ${appId}`)
    const unsigned = verifyRequest(app, request, now())
    if (unsigned !== undefined) return text(401, unsigned)

    const params = readParams(request)
    if (params === undefined) return text(400, 'The body is not a JSON object')
    const event = triggerRequest.safeParse(params)
    if (!event.success) {
      const [issue] = event.error.issues
      return text(400, [issue?.path.map(String).join('.'), issue?.message].filter(Boolean).join(': '))
    }
    const { name, data: given, channel, channels = channel === undefined ? [] : [channel], socket_id } = event.data
    if (given === undefined) return text(400, 'data: is required')
    if (channels.length === 0) return text(400, 'channels: at least one is required')
    // Data that is not a string is written as JSON once.
    const data = typeof given === 'string' ? given : JSON.stringify(given)
    const size = Buffer.byteLength(data)
    if (size > maxEventData) return text(413, `data: has ${size} bytes, ${maxEventData} are allowed`)
    for (const channel of new Set(channels)) relay.publish(channel, name, data, socket_id ?? undefined)
    // Exactly this: official SDKs are tested against it.
    return json(200, '{}')
  }

  const readiness = async (): Promise<HttpReply> => {
    const { status, body } = presentHealth(await operations.health())
    return json(status, JSON.stringify(body))
  }

  const metrics = async (request: HttpRequest): Promise<HttpReply> =>
    mayReadMetrics(request, operations.metricsToken)
      ? text(200, await operations.metrics())
      : text(404, 'There is no /metrics here')

  const probes = new Map<string, Answer>([
    ['/up', () => json(200, '{"status":"up"}')],
    ['/ready', readiness],
    ['/metrics', metrics],
  ])

  return answer
}

/** Reads the params of a trigger: those of the body, else those of the query. Undefined for a broken body. */
const readParams = ({ query, body }: HttpRequest): Record<string, unknown> | undefined => {
  const params = namesParams.test(query) ? queryParams(query) : undefined
  if (body.length === 0) return params ?? {}
  try {
    const parsed: unknown = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString())
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined
    return { ...params, ...parsed }
  } catch {
    return undefined
  }
}

// Nearly every query holds the signature alone.
const namesParams = /(?:^|&)(?:name|data|channel|socket_id|[^=&]*%)/i

const queryParams = (query: string): Record<string, unknown> => {
  const given = readQuery(query)
  const params: Record<string, unknown> = {}
  for (const [key, value] of given) if (['name', 'data', 'channel', 'socket_id'].includes(key)) params[key] = value
  const channels = given.filter(([key]) => key === 'channels[]').map(([, value]) => value)
  if (channels.length > 0) params.channels = channels
  return params
}

const json = (status: number, body: string): HttpReply => ({
  status,
  headers: { 'Content-Type': 'application/json' },
  body,
})

const text = (status: number, body: string): HttpReply => ({
  status,
  headers: { 'Content-Type': 'text/plain; charset=utf-8' },
  body,
})

const methodNotAllowed = (allow: string): HttpReply => {
  const { status, headers, body } = text(405, `Method not allowed: use ${allow}`)
  return { status, headers: { ...headers, Allow: allow }, body }
}
