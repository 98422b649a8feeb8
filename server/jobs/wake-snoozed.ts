/** Wakes conversations that were snoozed until now. */

import type { FastifyBaseLogger } from 'fastify'
import type { Context } from '../domain/context.ts'
import { type Job, noJob } from './loop.ts'

/** Starts the job. */
export const startWakingSnoozed = (_deps: { context: Context; logger: FastifyBaseLogger; url: string }): Job => noJob
