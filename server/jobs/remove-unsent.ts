/** Removes files that were uploaded and never sent. */

import type { FastifyBaseLogger } from 'fastify'
import type { Context } from '../domain/context.ts'
import { type Job, noJob } from './loop.ts'

/** Starts the job. */
export const startRemovingUnsent = (_deps: { context: Context; logger: FastifyBaseLogger }): Job => noJob
