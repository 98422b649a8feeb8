/** The sender: posts deliveries that are due and settles how each attempt ended. */

import { performance } from 'node:perf_hooks'
import type { FastifyBaseLogger } from 'fastify'
import type { Post } from '../../schema/outbound.ts'
import type { Context } from '../domain/context.ts'
import { atOnce, type Claimed, claimDeliveries } from './claims.ts'
import { headersOf } from './headers.ts'
import type { WebhookMetrics } from './metrics.ts'
import { outcomeOf } from './outcomes.ts'
import { releaseDelivery, settleDelivery } from './settling.ts'

/** How long a receiver may take, in ms, from dialling it to the end of its answer. */
export const attemptTimeout = 10_000

export type Sender = {
  /** Takes what is due and begins to send it, as much as may be under way; returns how many. */
  send(): Promise<number>
  /** Resolves when nothing is under way. */
  settled(): Promise<void>
}

/** Makes a sender. `onSettled` hears of every attempt that has ended: there may be more to send. `ahead` moves its clock, in ms. */
export const createSender = ({
  context,
  post,
  logger,
  metrics,
  onSettled = () => undefined,
  ahead = () => 0,
  random = Math.random,
  timeout = attemptTimeout,
}: {
  context: Context
  post: Post
  logger: Pick<FastifyBaseLogger, 'warn'>
  metrics: Pick<WebhookMetrics, 'attempted' | 'settled'>
  onSettled?: () => void
  ahead?: () => number
  random?: () => number
  timeout?: number
}): Sender => {
  const underWay = new Map<Claimed, Promise<void>>()

  const attempt = async (claimed: Claimed): Promise<void> => {
    const started = performance.now()
    const headers = headersOf(claimed, Math.floor(Date.now() / 1000))
    const result = await post(claimed.url, { headers, body: claimed.body, timeout })
    if ('failure' in result && result.failure === 'closed') return await releaseDelivery(context.sql, claimed)
    const outcome = outcomeOf(result, performance.now() - started)
    metrics.attempted(outcome)
    const settled = await settleDelivery(context, claimed, outcome, { ahead: ahead(), random: random() })
    if (settled) metrics.settled(settled)
  }

  const begin = (claimed: Claimed): void => {
    const ended = attempt(claimed)
      // Its lease runs out, and it is sent again: receivers know it by its id.
      .catch((error: unknown) => logger.warn({ err: error, event: claimed.eventId }, 'a webhook was not settled'))
      .finally(() => {
        underWay.delete(claimed)
        onSettled()
      })
    underWay.set(claimed, ended)
  }

  return {
    send: async () => {
      const slots = atOnce.all - underWay.size
      if (slots <= 0) return 0
      const running = [...underWay.keys()].map(({ endpointId, workspaceId }) => ({ endpointId, workspaceId }))
      const claimed = await claimDeliveries(context.sql, { slots, underWay: running, ahead: ahead() })
      for (const one of claimed) begin(one)
      return claimed.length
    },
    settled: async () => {
      while (underWay.size > 0) await Promise.all(underWay.values())
    },
  }
}
