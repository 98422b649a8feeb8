/** Sends webhooks: makes deliveries of events, posts them, and removes what is old. */

import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Post } from '../../schema/outbound.ts'
import type { Context } from '../domain/context.ts'
import { fanOut, readNeeds, skipUnheard } from '../webhooks/fan-out.ts'
import type { WebhookMetrics } from '../webhooks/metrics.ts'
import { recoverSome } from '../webhooks/recovery.ts'
import { createSender } from '../webhooks/sender.ts'
import { failAbandoned, removeDeleted, removeOldDeliveries } from '../webhooks/upkeep.ts'
import { readWaiting } from '../webhooks/waiting.ts'
import { type Job, startLoop } from './loop.ts'

/** How often it looks for what other processes have written, or what is due again, in ms. */
const often = 250
/** How often it looks for what has to be tidied up. */
const seldom = 5000
/** How often it counts what waits: as often as metrics are asked for, as a rule. */
const nowAndThen = 15_000
const hour = 3_600_000

/** How long a stop waits for attempts that are under way; those that last longer are broken off and made again. */
const grace = 2000

/** Starts the job. */
export const startSendingWebhooks = ({
  context,
  logger,
  post,
  metrics,
}: {
  context: Context
  logger: FastifyBaseLogger
  post: Post
  metrics: WebhookMetrics
}): Job => {
  const { sql } = context
  let stopped = false
  const isStopped = () => stopped
  // While there is no webhook, a write costs nothing here.
  let isNeeded = true
  let lastRemoval = 0

  const sender = createSender({ context, post, logger, metrics, onSettled: () => sending.poke() })
  const sending = startLoop(
    'send webhooks',
    async () => {
      if (!stopped) await sender.send()
      return often
    },
    logger,
  )
  const following = startLoop(
    'tell webhooks',
    async () => {
      const { isAnyTold, isAnyRecovering } = await readNeeds(sql)
      isNeeded = isAnyTold
      for (let isMore = isNeeded; isMore && !stopped; ) {
        isMore = await fanOut(sql)
        if (isMore) sending.poke()
        if (!isAnyRecovering || !(await recoverSome(sql))) continue
        isMore = true
        sending.poke()
      }
      return often
    },
    logger,
  )
  const tidying = startLoop(
    'tidy webhooks',
    async () => {
      await skipUnheard(sql)
      await failAbandoned(sql)
      await removeDeleted(sql, { isStopped })
      if (Date.now() - lastRemoval > hour) {
        await removeOldDeliveries(sql, { isStopped })
        lastRemoval = Date.now()
      }
      return seldom
    },
    logger,
  )
  const counting = startLoop(
    'count webhooks',
    async () => {
      metrics.waits(await readWaiting(sql))
      return nowAndThen
    },
    logger,
  )

  return {
    poke: () => {
      if (isNeeded) following.poke()
    },
    stop: async () => {
      stopped = true
      await Promise.all([following.stop(), sending.stop(), tidying.stop(), counting.stop()])
      await Promise.race([sender.settled(), pause(grace, undefined, { ref: false })])
    },
  }
}
