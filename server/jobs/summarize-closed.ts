/** Summarizes conversations that were closed. */

import type { FastifyBaseLogger } from 'fastify'
import type { Ai } from '../ai/ai.ts'
import type { Context } from '../domain/context.ts'
import { type Job, noJob } from './loop.ts'

/** Starts the job. */
export const startSummarizingClosed = (_deps: {
  context: Context
  logger: FastifyBaseLogger
  ai: Ai | undefined
}): Job => noJob
