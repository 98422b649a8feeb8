/** The worker: the jobs beside the requests. Any number of processes may run them; they share the work. */

import type { FastifyBaseLogger } from 'fastify'
import type { Post } from '../schema/outbound.ts'
import type { Ai } from './ai/ai.ts'
import type { Context } from './domain/context.ts'
import { startForgettingClaims } from './jobs/forget-claims.ts'
import { startPruningLog } from './jobs/prune-log.ts'
import { startRemovingUnsent } from './jobs/remove-unsent.ts'
import { startRunningRules } from './jobs/run-rules.ts'
import { startSendingWebhooks } from './jobs/send-webhooks.ts'
import { startSortingSearch } from './jobs/sort-search.ts'
import { startSummarizingClosed } from './jobs/summarize-closed.ts'
import { startWakingSnoozed } from './jobs/wake-snoozed.ts'
import type { WebhookMetrics } from './webhooks/metrics.ts'

export type WorkerDeps = {
  context: Context
  /** The address of the database, for connections that listen. */
  url: string
  post: Post
  ai: Ai | undefined
  retentionDays: number
  webhookMetrics: WebhookMetrics
  logger: FastifyBaseLogger
}

/** Starts the jobs. `poke` tells them that something was logged in this process, so that they need not look. */
export const startWorker = ({ context, url, post, ai, retentionDays, webhookMetrics, logger }: WorkerDeps) => {
  const { sql } = context
  const following = [
    startSendingWebhooks({ context, post, metrics: webhookMetrics, logger }),
    startRunningRules({ context, logger }),
    startSummarizingClosed({ context, ai, logger }),
  ]
  const stops = [
    startWakingSnoozed({ context, url, logger }).stop,
    startRemovingUnsent({ context, logger }).stop,
    startForgettingClaims(sql, logger),
    startSortingSearch(sql, logger),
    startPruningLog(sql, retentionDays, logger),
    ...following.map(({ stop }) => stop),
  ]
  return {
    poke: () => {
      for (const job of following) job.poke()
    },
    stop: async () => {
      await Promise.all(stops.map((stop) => stop()))
    },
  }
}
