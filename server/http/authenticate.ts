/** Finds out who sends a request by its API key, and counts it. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import { keyRefusal } from '../../auth/api-keys.ts'
import { networkOf } from '../../auth/networks.ts'
import { HubbubError } from '../../schema/errors.ts'
import type { KeyScope } from '../../schema/ids.ts'
import type { AgentScope } from '../domain/context.ts'
import type { KeyCache } from '../domain/key-cache.ts'
import type { Bucket, Limiter } from './limiter.ts'

/** Returns the scope of the API key of a request; a key that opens nothing is refused. */
export const agentOf = async (keys: KeyCache, request: FastifyRequest): Promise<AgentScope> => {
  const [, token] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? []
  if (!token) throw new HubbubError('unauthenticated', 'Send your API key as Authorization: Bearer mr_live_…')
  const found = await keys.find(token)
  if (!found) throw new HubbubError('unauthenticated', 'This API key is not known.')
  const refusal = keyRefusal(found, new Date())
  if (refusal) throw new HubbubError('unauthenticated', `This API key is ${refusal}.`)
  return found.scope
}

/**
 * Returns the scope of the API key of a request, and counts the request: on the key, or on the address where the key
 * opens nothing. All that a key asks is counted together, whatever face it asks.
 */
export const admitAgent = async (
  { keys, limiter, perMinute }: { keys: KeyCache; limiter: Limiter; perMinute: number },
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<AgentScope> => {
  const agent = await agentOf(keys, request).catch(async (refusal: unknown) => {
    // Where the database is away nobody knows whether the key is good.
    if (refusal instanceof HubbubError)
      await countRequest(limiter, reply, `address ${networkOf(request.ip)}`, perMinute)
    throw refusal
  })
  await countRequest(limiter, reply, `key ${agent.key.publicId}`, perMinute)
  return agent
}

/**
 * Counts a request that finds no route and is answered so: it is one of its key's, or a guess at one. What sends no key
 * is no guess.
 */
export const countUnserved = async (
  access: Parameters<typeof admitAgent>[0],
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> => {
  if (request.headers.authorization === undefined) return
  // Whatever else is wrong with its key, what it asks for is not there.
  await admitAgent(access, request, reply).catch((error: unknown) => {
    if (error instanceof HubbubError && error.code === 'rate_limited') throw error
  })
}

/** Refuses a key that lacks a scope. */
export const requireScope = (agent: AgentScope, scope: KeyScope): void => {
  if (!agent.key.scopes.includes(scope)) {
    throw new HubbubError('forbidden', `This API key lacks the scope ${scope}.`)
  }
}

/**
 * Takes a request out of a bucket and tells in the headers what is left, in the usual words and in those of the IETF's
 * draft; refuses when nothing is. 0 is no limit.
 */
export const countRequest = async (
  limiter: Limiter,
  reply: FastifyReply,
  bucket: Bucket,
  perMinute: number,
): Promise<void> => {
  if (perMinute === 0) return
  const { allowed, limit, remaining, resetIn } = await limiter(bucket, perMinute)
  const seconds = Math.max(1, Math.ceil(resetIn / 1000))
  reply.headers({
    'X-RateLimit-Limit': limit,
    'X-RateLimit-Remaining': remaining,
    'X-RateLimit-Reset': Math.ceil((Date.now() + resetIn) / 1000),
    'RateLimit-Policy': `"default";q=${limit};w=60`,
    RateLimit: `"default";r=${remaining};t=${seconds}`,
  })
  if (allowed) return
  reply.header('Retry-After', seconds)
  throw new HubbubError('rate_limited', `More than ${limit} requests in a minute; try again in ${seconds} s.`)
}
