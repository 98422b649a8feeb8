/** What a worker counts of the chat's webhooks, for Prometheus. Those of Pusher apps are counted where they are sent. */

import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { Outcome } from './outcomes.ts'
import type { Settled } from './settling.ts'
import type { Waiting } from './waiting.ts'

export type WebhookMetrics = ReturnType<typeof createWebhookMetrics>

/** Up to the ten seconds that an attempt may last. */
const buckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Makes what counts webhooks. */
export const createWebhookMetrics = (registry: Registry) => {
  const registers = [registry]
  const attempts = new Histogram({
    name: 'hubbub_chat_webhook_attempt_duration_seconds',
    help: 'How long attempts to deliver webhooks of the chat took, by how they ended: taken, or why they failed.',
    labelNames: ['outcome'] as const,
    buckets,
    registers,
  })
  const deliveries = new Counter({
    name: 'hubbub_chat_webhook_deliveries_total',
    help: 'Deliveries of webhooks of the chat by what an attempt made of them: delivered, to be retried, or failed for good.',
    labelNames: ['outcome'] as const,
    registers,
  })
  const disabled = new Counter({
    name: 'hubbub_chat_webhooks_disabled_total',
    help: 'Webhooks of the chat that were disabled since their receiver is gone (410) or failed for too long.',
    labelNames: ['reason'] as const,
    registers,
  })
  const waiting = new Gauge({
    name: 'hubbub_chat_webhook_deliveries_waiting',
    help: 'Deliveries of webhooks of the chat that wait to be sent or sent again; the same at every worker.',
    registers,
  })
  const late = new Gauge({
    name: 'hubbub_chat_webhook_deliveries_late_seconds',
    help: 'For how long the delivery has been due that has been due longest, but for receivers that fail.',
    registers,
  })
  // Shown before the first of them, so that it counts as an increase.
  for (const outcome of ['delivered', 'retried', 'failed']) deliveries.inc({ outcome }, 0)
  for (const reason of ['gone', 'failing']) disabled.inc({ reason }, 0)

  return {
    /** Counts an attempt that has ended. */
    attempted: ({ failure, durationMs }: Outcome): void =>
      attempts.observe({ outcome: failure ?? 'taken' }, durationMs / 1000),
    /** Counts what an attempt has changed. */
    settled: ({ outcome, disabled: reason }: Settled): void => {
      deliveries.inc({ outcome })
      if (reason !== null) disabled.inc({ reason })
    },
    /** Shows what waits. */
    waits: (now: Waiting): void => {
      waiting.set(now.count)
      late.set(now.late)
    },
  }
}
