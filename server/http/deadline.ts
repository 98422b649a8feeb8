/** A deadline for every request: where Postgres hangs, nothing else would ever end it. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { HubbubError } from '../../schema/errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    deadline: NodeJS.Timeout | null
  }
}

/** How long the program may take for a request, in ms. What its sender takes for the body does not count. */
const deadline = 5000

/** Lifts the deadline of a request that waits for something to happen. */
export const liftDeadline = ({ deadline: timer }: FastifyRequest): void => {
  if (timer) clearTimeout(timer)
}

/** Sets it anew, for what the request does next. */
export const renewDeadline = (request: FastifyRequest, reply: FastifyReply): void => {
  liftDeadline(request)
  request.deadline = setTimeout(() => {
    if (!reply.sent) reply.send(new HubbubError('unavailable', tooLate))
  }, deadline)
}

/** Waits for somebody outside, who has a deadline of his own; the request's begins anew afterwards. */
export const waitOutside = async <T>(
  request: FastifyRequest,
  reply: FastifyReply,
  wait: () => Promise<T>,
): Promise<T> => {
  liftDeadline(request)
  try {
    return await wait()
  } finally {
    renewDeadline(request, reply)
  }
}

/** Returns what a promise gives; fails as a request does that takes too long. */
export const withinDeadline = async <T>(promise: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new HubbubError('unavailable', tooLate)), deadline)
  })
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/**
 * Answers 503 to requests that take too long. (Fastify's own `handlerTimeout` forgets a request as soon as its body was
 * read, so that it never ends a POST.)
 */
export const setDeadlines = (app: FastifyInstance): void => {
  const begin = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => renewDeadline(request, reply)
  const end = async (request: FastifyRequest): Promise<void> => liftDeadline(request)

  app.decorateRequest('deadline', null)
  app.addHook('onRequest', begin)
  app.addHook('preParsing', end)
  app.addHook('preValidation', begin)
  app.addHook('onResponse', end)
  app.addHook('onRequestAbort', end)
}

const tooLate =
  'The database does not answer in time. Whether a write was done is not known: try again with the same Idempotency-Key.'
