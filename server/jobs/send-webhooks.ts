/** Sends webhooks: makes deliveries of events, and posts them. */

import type { FastifyBaseLogger } from 'fastify'
import type { Post } from '../../schema/outbound.ts'
import type { Context } from '../domain/context.ts'
import { type Job, noJob } from './loop.ts'

/** Starts the job. */
export const startSendingWebhooks = (_deps: { context: Context; logger: FastifyBaseLogger; post: Post }): Job => noJob
