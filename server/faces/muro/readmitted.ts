/** Whether a request that lasts longer is still allowed what it was admitted for. */

import type { FastifyRequest } from 'fastify'
import type { Arrivals } from '../../domain/arrivals.ts'
import type { AgentScope, Context } from '../../domain/context.ts'
import type { KeyCache } from '../../domain/key-cache.ts'
import { agentOf, requireScope } from '../../http/authenticate.ts'
import { admitted } from './admitted.ts'

/** What the routes of sync need. */
export type SyncDeps = { context: Context; keys: KeyCache; arrivals: Arrivals }

/** Refuses a request whose key opens nothing any more; tells whether it still opens what it did. */
export const readmit = async (keys: KeyCache, request: FastifyRequest): Promise<'same' | 'changed'> => {
  const { key } = admitted(request)
  const now = await agentOf(keys, request)
  requireScope(now, 'read')
  return now.key.version === key.version ? 'same' : 'changed'
}

/** Returns for how long in ms a key still opens something. */
export const timeOf = ({ key: { expiresAt } }: AgentScope): number =>
  expiresAt === null ? Number.POSITIVE_INFINITY : Math.max(0, expiresAt.getTime() - Date.now())
