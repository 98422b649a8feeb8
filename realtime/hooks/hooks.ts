/** The webhooks of an app: what happens on its channels is told to those of its addresses that ask for it. */

import type { Post } from '../../schema/outbound.ts'
import type { PusherApp } from '../../schema/pusher-apps.ts'
import type { HookEvent } from '../../schema/pusher-hooks.ts'
import type { Logger } from '../logger.ts'
import { wants } from './filter.ts'
import type { Waiting } from './lines.ts'
import { createSender, type HookLimits, type HookMetrics } from './sender.ts'

export type Hooks = {
  /** Tells what has just happened. Never waits and never throws: what cannot be told in time is counted and dropped. */
  tell(event: HookEvent): void
  /** Sends what has not been sent yet and ends, in two seconds at most unless it was made otherwise. */
  close(): Promise<void>
}

const usual: HookLimits = {
  waitingEvents: 10_000,
  waitingLength: 16 * 1024 * 1024,
  batchEvents: 100,
  batchLength: 64 * 1024,
  batchWindow: 50,
  requests: 10,
  retries: 5,
  timeout: 10_000,
}

/**
 * Makes the webhooks of one app. Events of one channel are first tried in their order: each waits until the one before
 * has been tried once. A 2xx is an end; anything else is tried again for five minutes.
 */
export const createHooks = ({
  app,
  post,
  logger,
  metrics = uncounted,
  limits = {},
  grace = 2000,
  now = Date.now,
  random = Math.random,
}: {
  app: Pick<PusherApp, 'id' | 'key' | 'secret' | 'webhooks' | 'enableWebhookBatching'>
  post: Post
  logger: Logger
  metrics?: HookMetrics
  limits?: Partial<HookLimits>
  grace?: number
  now?: () => number
  random?: () => number
}): Hooks => {
  const senders = app.webhooks.map((webhook) => ({
    webhook,
    sender: createSender({ webhook, app, post, limits: { ...usual, ...limits }, logger, metrics, now, random }),
  }))

  return {
    tell: (event) => {
      let waiting: Waiting | undefined
      for (const { webhook, sender } of senders) {
        if (!wants(webhook, event)) continue
        waiting ??= { channel: event.channel, json: JSON.stringify(event), time: now() }
        sender.tell(waiting)
      }
    },
    close: async () => {
      await Promise.all(senders.map(({ sender }) => sender.close(grace)))
    },
  }
}

const uncounted: HookMetrics = { told: () => undefined, failed: () => undefined, dropped: () => undefined }
