/** Runs automation rules on what happens. */

import type { FastifyBaseLogger } from 'fastify'
import type { Context } from '../domain/context.ts'
import { type Job, noJob } from './loop.ts'

/** Starts the job. */
export const startRunningRules = (_deps: { context: Context; logger: FastifyBaseLogger }): Job => noJob
