/** The sender of one webhook: it tries events in the order of their channels, and what failed again and again. */

import type { Post, PostResult } from '../../schema/outbound.ts'
import type { PusherApp, PusherWebhook } from '../../schema/pusher-apps.ts'
import type { Logger } from '../logger.ts'
import { within } from '../within.ts'
import { type Delivery, deliveryOf, ownHeaders } from './delivery.ts'
import { createLines, type Waiting } from './lines.ts'
import { createRetries } from './retries.ts'
import { lifetime, retryDelay } from './schedule.ts'

/** Why an event was not told: nobody took it for five minutes, too many were waiting, or the program stopped. */
export type DropReason = 'expired' | 'full' | 'stopped'

/** What senders count; `events` and requests differ where a request carries many. */
export type HookMetrics = {
  told(events: number): void
  failed(): void
  dropped(events: number, reason: DropReason): void
}

/** Bounds of one webhook. Lengths are of JSON, in characters; times in ms. */
export type HookLimits = {
  waitingEvents: number
  waitingLength: number
  batchEvents: number
  /** Receivers often take no more than 100 kB. */
  batchLength: number
  batchWindow: number
  requests: number
  /** Of the requests: those that are tries again, which must not keep out what is new. */
  retries: number
  timeout: number
}

/** One receiver is complained of at most so often, in ms: a dead one would fill the log. */
const complaintPause = 60_000

export type Sender = ReturnType<typeof createSender>

/** Makes the sender. It takes for granted that the webhook wants what it is told. */
export const createSender = ({
  webhook,
  app,
  post,
  limits,
  logger,
  metrics,
  now,
  random,
}: {
  webhook: PusherWebhook
  app: Pick<PusherApp, 'id' | 'key' | 'secret' | 'enableWebhookBatching'>
  post: Post
  limits: HookLimits
  logger: Logger
  metrics: HookMetrics
  now: () => number
  random: () => number
}) => {
  const lines = createLines()
  const retries = createRetries()
  const own = ownHeaders(webhook.headers)
  const names = { app: app.id, host: new URL(webhook.url).host }
  let firsts = 0
  let again = 0
  let events = 0
  let length = 0
  let state: 'open' | 'closing' | 'closed' = 'open'
  /** Whether the last request failed: the first of many that fail is told. */
  let hasFailed = false
  let unsaid = 0
  let quietUntil = 0
  let window: NodeJS.Timeout | undefined
  let alarm: NodeJS.Timeout | undefined
  let idle: () => void = () => undefined

  const drop = (count: number, size: number, reason: DropReason, cause: object = {}): void => {
    forget(count, size)
    metrics.dropped(count, reason)
    unsaid += count
    if (now() < quietUntil) return
    logger.warn({ ...names, ...cause, reason, events: unsaid }, 'a webhook was not told of events')
    unsaid = 0
    quietUntil = now() + complaintPause
  }

  const forget = (count: number, size: number): void => {
    events -= count
    length -= size
  }

  const isFree = (): boolean => firsts + again < limits.requests

  /** Sends what may be sent now. */
  const go = (): void => {
    if (!app.enableWebhookBatching || state === 'closing' || lines.ready() >= limits.batchEvents) sendFirsts()
    else if (lines.ready() > 0) window ??= setTimeout(endWindow, limits.batchWindow).unref()
    sendAgain()
    if (state === 'closing' && firsts + again === 0 && lines.ready() === 0) idle()
  }

  const endWindow = (): void => {
    window = undefined
    sendFirsts()
  }

  const sendFirsts = (): void => {
    while (isFree() && lines.ready() > 0) {
      const taken = lines.take(app.enableWebhookBatching ? limits.batchEvents : 1, limits.batchLength)
      const fresh = taken.filter((event) => event.time + lifetime > now() || dropStale(event))
      if (fresh.length === 0) lines.release(taken)
      else sendFirst(taken, fresh)
    }
  }

  const dropStale = ({ json }: Waiting): false => {
    drop(1, json.length, 'expired')
    return false
  }

  const sendFirst = (taken: readonly Waiting[], fresh: readonly Waiting[]): void => {
    const delivery = deliveryOf(fresh, app.secret)
    firsts += 1
    void send(delivery).then((result) => {
      firsts -= 1
      if (state === 'closed') return
      lines.release(taken)
      settle(delivery, result)
      go()
    })
  }

  const sendAgain = (): void => {
    clearTimeout(alarm)
    const hasRoom = () => isFree() && again < limits.retries
    while (hasRoom()) {
      const delivery = retries.take(now())
      if (!delivery) break
      // It may have waited for room; its last try is due when its time is up, and may be a little late.
      const isLate = now() > delivery.until + limits.timeout
      if (isLate) drop(delivery.events, delivery.length, 'expired')
      else retry(delivery)
    }
    // Where there is no room, what ends makes some and comes by here.
    const due = retries.due()
    if (due !== undefined && hasRoom()) alarm = setTimeout(sendAgain, due - now()).unref()
  }

  const retry = (delivery: Delivery): void => {
    again += 1
    void send(delivery).then((result) => {
      again -= 1
      if (state === 'closed') return
      settle(delivery, result)
      go()
    })
  }

  const send = async ({ body, signature }: Delivery): Promise<PostResult> => {
    const headers = {
      ...own,
      'Content-Type': 'application/json',
      'X-Pusher-Key': app.key,
      'X-Pusher-Signature': signature,
    }
    return post(webhook.url, { headers, body, timeout: limits.timeout })
  }

  const settle = (delivery: Delivery, result: PostResult): void => {
    if (result.ok) {
      forget(delivery.events, delivery.length)
      metrics.told(delivery.events)
      hasFailed = false
      return
    }
    metrics.failed()
    const cause = causeOf(result)
    if (!hasFailed) logger.warn({ ...names, ...cause }, 'a webhook was not taken and is tried again')
    hasFailed = true
    delivery.failures += 1
    const delay = retryDelay(delivery.failures, delivery.until - now(), random)
    if (delay === undefined) drop(delivery.events, delivery.length, 'expired', cause)
    else if (state === 'closing') drop(delivery.events, delivery.length, 'stopped', cause)
    else retries.add(delivery, now() + delay)
  }

  return {
    tell: (event: Waiting): void => {
      events += 1
      length += event.json.length
      if (state !== 'open') drop(1, event.json.length, 'stopped')
      else if (events > limits.waitingEvents || length > limits.waitingLength) drop(1, event.json.length, 'full')
      else {
        lines.push(event)
        go()
      }
    },

    /** Sends what was never tried and waits for what is on its way, but no longer than `grace` ms; the rest is lost. */
    close: async (grace: number): Promise<void> => {
      state = 'closing'
      const ended = new Promise<void>((resolve) => {
        idle = resolve
      })
      clearTimeout(window)
      for (const delivery of retries.clear()) drop(delivery.events, delivery.length, 'stopped')
      go()
      await within(ended, grace)
      state = 'closed'
      clearTimeout(alarm)
      if (events > 0) drop(events, length, 'stopped')
    },
  }
}

const causeOf = (result: PostResult): object =>
  'failure' in result ? { failure: result.failure } : { status: result.status }
