/** The HTTP side of the realtime port: Pusher's API for servers, and the probes. */

import type { AppCredentials } from '../auth/channel-signature.ts'
import { readQuery, verifyRequest } from '../auth/request-signature.ts'
import { maxEventData, triggerRequest } from '../schema/pusher-http.ts'
import type { Logger } from './logger.ts'
import type { Relay } from './relay.ts'
import type { HttpReply, HttpRequest } from './transport/transport.ts'

/** A Pusher app. */
export type App = AppCredentials & { id: string }

type Answer = (request: HttpRequest) => HttpReply | Promise<HttpReply>

/** Makes the answer to every HTTP request. `ready` tells whether this process can do its work. */
export const createHttpApi = ({
  app,
  relay,
  ready,
  logger,
  now = Date.now,
}: {
  app: App
  relay: Pick<Relay, 'publish'>
  ready: () => Promise<boolean>
  logger: Logger
  now?: () => number
}): Answer => {
  const answer: Answer = (request) => {
    const { method, path } = request
    const appId = /^\/apps\/([^/]+)\/events$/.exec(path)?.[1]
    if (appId !== undefined) return method === 'POST' ? trigger(appId, request) : methodNotAllowed('POST')
    if (path !== '/up' && path !== '/ready') return text(404, `There is no ${path} here`)
    if (method !== 'GET' && method !== 'HEAD') return methodNotAllowed('GET, HEAD')
    return path === '/up' ? json(200, '{"status":"up"}') : readiness()
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
    const { name, data, channels, socket_id } = event.data
    const size = Buffer.byteLength(data)
    if (size > maxEventData) return text(413, `data: has ${size} bytes, ${maxEventData} are allowed`)
    for (const channel of channels) relay.publish(channel, name, data, socket_id ?? undefined)
    // Exactly this: official SDKs are tested against it.
    return json(200, '{}')
  }

  const readiness = async (): Promise<HttpReply> => {
    try {
      if (await ready()) return json(200, '{"status":"ready"}')
    } catch (error) {
      logger.warn({ err: error }, 'the readiness could not be told')
    }
    return json(503, '{"status":"not ready"}')
  }

  return answer
}

/** Reads the params of a trigger: those of the body, else those of the query. Undefined for a broken body. */
const readParams = ({ query, body }: HttpRequest): Record<string, unknown> | undefined => {
  const given = readQuery(query)
  const params: Record<string, unknown> = {}
  for (const [key, value] of given) if (['name', 'data', 'channel', 'socket_id'].includes(key)) params[key] = value
  const channels = given.filter(([key]) => key === 'channels[]').map(([, value]) => value)
  if (channels.length > 0) params.channels = channels
  if (body.length === 0) return params
  try {
    const parsed: unknown = JSON.parse(Buffer.from(body).toString())
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined
    return { ...params, ...parsed }
  } catch {
    return undefined
  }
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
