/** Reads the Idempotency-Key of a request. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import { HubbubError } from '../../schema/errors.ts'
import { idempotencyKey } from '../../schema/muro/conventions.ts'
import type { Claim, Settled } from '../domain/idempotency.ts'

/** Returns what a request claims to do once; undefined if it does not say. `owner` is who claims: a key, a conversation. */
export const claimOf = (request: FastifyRequest, owner: string): Claim | undefined => {
  const header = request.headers['idempotency-key']
  if (header === undefined) return undefined
  const parsed = idempotencyKey.safeParse(header)
  if (!parsed.success) {
    throw new HubbubError('invalid', `Idempotency-Key: ${parsed.error.issues[0]?.message}`, {
      param: 'Idempotency-Key',
    })
  }
  const [path = ''] = request.url.split('?')
  return {
    owner,
    route: `${request.method} ${path}`,
    key: parsed.data,
    fingerprint: request.fingerprint ?? Buffer.alloc(0),
  }
}

/** Returns the answer of a settled write; a replayed one is marked in the headers. */
export const answerOf = <T>({ answer, replayed }: Settled<T>, reply: FastifyReply): T => {
  if (replayed) reply.header('Idempotent-Replayed', 'true')
  return answer
}
