/** A request of an app's server, once it is known to be one: what its answer is made from. */

import { createPublishReader, type PublishReader } from '../../schema/pusher-http.ts'
import type { HttpReply, HttpRequest } from '../transport/transport.ts'
import { type Allowance, createAllowance } from './allowance.ts'
import type { AppApi } from './app-api.ts'

/** An app, with what the API keeps for it. */
export type Caller = {
  api: AppApi
  reader: PublishReader
  events: Allowance
  reads: Allowance
}

/** A signed request. `subject` is the channel or the user that the path names, still escaped. */
export type Call = { caller: Caller; request: HttpRequest; subject: string }

/** What answers at a path. */
export type Route = { allow: 'POST' | 'GET, HEAD'; answer: (call: Call) => HttpReply | Promise<HttpReply> }

/** Returns what the API keeps for an app. */
export const createCaller = (api: AppApi, now: () => number): Caller => ({
  api,
  reader: createPublishReader(api.app),
  events: createAllowance({ limit: api.app.maxBackendEventsPerSecond, what: 'events', now }),
  reads: createAllowance({ limit: api.app.maxReadRequestsPerSecond, what: 'questions', now }),
})

/** Returns the name in a path, undefined if it is escaped wrongly. */
export const unescapePath = (part: string): string | undefined => {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}
