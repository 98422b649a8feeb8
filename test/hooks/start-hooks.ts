/** Starts the webhooks of an app in a test: with one webhook for everything, and a log and counts to look at. */

import { createHooks } from '../../realtime/hooks/hooks.ts'
import type { Logger } from '../../realtime/logger.ts'
import type { Post, PostResult } from '../../schema/outbound.ts'
import { type PusherApp, readApps } from '../../schema/pusher-apps.ts'
import { type HookEvent, hookTypes } from '../../schema/pusher-hooks.ts'

export const credentials = { id: '1', key: 'app-key', secret: 'app-secret' }

/** An app as its file says it; a webhook without event_types asks for all. */
export const appWith = (webhooks: { url: string; [field: string]: unknown }[], more: object = {}): PusherApp => {
  const asked = webhooks.map((webhook) => ({ event_types: hookTypes, ...webhook }))
  const [app] = readApps(JSON.stringify([{ ...credentials, webhooks: asked, ...more }]))
  if (!app) throw new Error('there is no app')
  return app
}

export const occupied = (channel: string): HookEvent => ({ name: 'channel_occupied', channel })

export const counted = (channel: string, subscription_count: number): HookEvent => ({
  name: 'subscription_count',
  channel,
  subscription_count,
})

/** Starts hooks; `failures` are the first of many tries that failed, `lines` all else that was logged. Nothing is left to chance unless `random` says so. */
export const startHooks = (
  app: PusherApp,
  post: Post,
  { limits = {}, grace, random = () => 0.5 }: Partial<Parameters<typeof createHooks>[0]> = {},
) => {
  const counts = { told: 0, failed: 0, expired: 0, full: 0, stopped: 0 }
  const lines: { level: string; fields: object; message: string }[] = []
  const failures: object[] = []
  const log = (level: string) => (fields: object, message: string) => {
    if (message === 'a webhook was not taken and is tried again') failures.push(fields)
    else lines.push({ level, fields, message })
  }
  const logger: Logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
  const hooks = createHooks({
    app,
    post,
    logger,
    metrics: {
      told: (events) => {
        counts.told += events
      },
      failed: () => {
        counts.failed += 1
      },
      dropped: (events, reason) => {
        counts[reason] += events
      },
    },
    limits,
    random,
    ...(grace === undefined ? {} : { grace }),
  })
  return { ...hooks, counts, lines, failures }
}

/** What was posted: `events` are read from the body; `at` counts from the start of the script, in ms. */
export type Posted = {
  at: number
  url: string
  headers: Record<string, string>
  body: string
  events: HookEvent[]
  end(result?: PostResult): Promise<void>
}

/** Stands in for the network where the clock is moved: keeps what is posted until the test ends it, or at once. */
export const scriptedPost = (script?: (posted: Posted) => PostResult | undefined) => {
  const began = Date.now()
  const posted: Posted[] = []
  const post: Post = (url, { headers, body }) =>
    new Promise((resolve) => {
      const text = String(body)
      const one: Posted = {
        at: Date.now() - began,
        url,
        headers,
        body: text,
        events: JSON.parse(text).events,
        end: async (result = good) => {
          resolve(result)
          // What comes of it, before the test looks.
          await new Promise<void>((later) => setImmediate(later))
        },
      }
      posted.push(one)
      const result = script?.(one)
      if (result) resolve(result)
    })
  return { post, posted }
}

export const good: PostResult = { ok: true, status: 200, body: '' }
export const bad: PostResult = { ok: false, status: 500, body: '' }
