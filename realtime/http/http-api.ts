/** The HTTP side of the realtime port: Pusher's API for servers, the probes and the metrics. */

import { verifyRequest } from '../../auth/request-signature.ts'
import type { Operations } from '../../schema/health.ts'
import type { Roster } from '../roster/roster.ts'
import type { HttpReply, HttpRequest } from '../transport/transport.ts'
import type { AppApi } from './app-api.ts'
import { type Caller, createCaller, type Route, unescapePath } from './call.ts'
import { createProbes } from './probes.ts'
import { createPublishing } from './publishing.ts'
import { createQuestions } from './questions.ts'
import { methodNotAllowed, text } from './replies.ts'

type Answer = HttpReply | Promise<HttpReply>

/** Makes the answer to every HTTP request. `pathPrefix`, such as /ws, may be in front of each path or not. */
export const createHttpApi = ({
  apps,
  roster,
  operations,
  pathPrefix = '',
  now = Date.now,
}: {
  apps: ReadonlyMap<string, AppApi>
  roster: Pick<Roster, 'channels' | 'counts' | 'members' | 'recall'>
  operations: Operations
  pathPrefix?: string
  now?: () => number
}): ((request: HttpRequest) => Answer) => {
  const { use } = operations
  const probes = createProbes(operations)
  const { trigger, batch, triggerOne, terminate } = createPublishing({ roster })
  const { channels, channel, users, stats } = createQuestions({ roster })
  const ofApps = new Map([
    ['events', trigger],
    ['batch_events', batch],
    ['channels', channels],
  ])
  const ofChannels = new Map([
    ['', channel],
    ['events', triggerOne],
    ['users', users],
    ['stats', stats],
  ])
  const callers = new WeakMap<AppApi, Caller>()

  const callerOf = (api: AppApi): Caller => {
    const known = callers.get(api)
    if (known) return known
    const caller = createCaller(api, now)
    callers.set(api, caller)
    return caller
  }

  /** What a client may have signed instead of the path that arrived: a proxy may add or take the prefix, or escape. */
  const otherPaths = (path: string): string[] => {
    const known = new Set([path])
    if (pathPrefix !== '') known.add(withoutPrefix(path) ?? pathPrefix + path)
    for (const one of [...known]) known.add(unescapePath(one) ?? one)
    known.delete(path)
    return [...known]
  }

  const withoutPrefix = (path: string): string | undefined =>
    pathPrefix !== '' && path.startsWith(`${pathPrefix}/`) ? path.slice(pathPrefix.length) : undefined

  const answerAt = (path: string, request: HttpRequest): Answer | undefined => {
    const match = appPath.exec(path)
    if (!match) {
      const probe = probes.get(path)
      if (!probe) return undefined
      return allows('GET, HEAD', request.method) ? probe(request) : methodNotAllowed('GET, HEAD')
    }
    const [, id = '', ofApp, channel, ofChannel = '', user] = match
    const route = user !== undefined ? terminate : ofApp === undefined ? ofChannels.get(ofChannel) : ofApps.get(ofApp)
    if (!route) return undefined
    if (!allows(route.allow, request.method)) return methodNotAllowed(route.allow)
    const api = apps.get(id)
    if (!api) return text(404, `There is no app ${id} here: compare it with the id of your app`)
    const answered = serve(callerOf(api), route, channel ?? user ?? '', request)
    return answered instanceof Promise ? answered.then((reply) => counted(api, reply)) : counted(api, answered)
  }

  const serve = (caller: Caller, { answer }: Route, subject: string, request: HttpRequest): Answer => {
    const { app } = caller.api
    const unsigned = verifyRequest(app, request, now(), () => otherPaths(request.path))
    if (unsigned !== undefined) return text(401, unsigned)
    if (!app.enabled) return text(403, `App ${app.id} is disabled: enable it where it is configured`)
    return answer({ caller, request, subject })
  }

  const answer = (request: HttpRequest): Answer => {
    const { path } = request
    const stripped = withoutPrefix(path)
    return (
      answerAt(path, request) ??
      (stripped === undefined ? undefined : answerAt(stripped, request)) ??
      text(404, `There is no ${path} here: servers ask below /apps/APP_ID/`)
    )
  }

  return (request) => {
    if (use) use.lastAsked = Date.now()
    const answered = answer(request)
    if (!use?.isDraining) return answered
    return answered instanceof Promise ? answered.then(last) : last(answered)
  }
}

/** The last answer on its connection: whoever keeps that would have the next request cut off. */
const last = (reply: HttpReply): HttpReply => ({ ...reply, headers: { ...reply.headers, Connection: 'close' } })

/** A path of the API: an app's own, one of its channels', or of its users'. Names are still escaped. */
const appPath =
  /^\/apps\/([^/]+)\/(?:(events|batch_events|channels)|channels\/([^/]+)(?:\/(events|users|stats))?|users\/([^/]+)\/terminate_connections)$/

const allows = (allow: Route['allow'], method: string): boolean =>
  allow === 'POST' ? method === 'POST' : method === 'GET' || method === 'HEAD'

const counted = ({ metrics }: AppApi, reply: HttpReply): HttpReply => {
  if (reply.status >= 400) metrics.refused(String(reply.status))
  return reply
}
