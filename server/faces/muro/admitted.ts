/** What every route of the muro face is given. */

import type { FastifyRequest } from 'fastify'
import { HubbubError } from '../../../schema/errors.ts'
import type { KeyScope } from '../../../schema/ids.ts'
import type { Ai } from '../../ai/ai.ts'
import type { AgentScope, Context } from '../../domain/context.ts'
import type { UrlRefusal } from '../../domain/webhooks.ts'
import type { Addresses } from '../addresses.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** In whose name the request acts; set before any route of the face runs. */
    agent: AgentScope | null
  }
  interface FastifyContextConfig {
    /** The scope that a key needs for this route. */
    scope?: KeyScope
  }
}

/** What the routes need; `ai` is undefined where it is off. */
export type MuroRouteDeps = { context: Context; addresses: Addresses; ai: Ai | undefined; refusalOf: UrlRefusal }

/** Returns the agent that a request of this face was admitted for. */
export const admitted = ({ agent }: FastifyRequest): AgentScope => {
  if (!agent) throw new HubbubError('unauthenticated', 'This request was not admitted.')
  return agent
}

/** Shows a page of a list. */
export const presentList = <T>(data: T[], next_cursor: string | null) => ({
  object: 'list' as const,
  data,
  has_more: next_cursor !== null,
  next_cursor,
})
