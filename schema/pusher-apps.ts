/** Pusher apps: what a file of them may say, with soketi's names for what soketi has, and Pusher's limits as defaults. */

import { z } from 'zod'
import { maxChannelName } from './channels.ts'
import { StartError } from './errors.ts'
import { maxEventName } from './frames.ts'
import { hookTypes } from './pusher-hooks.ts'

/** A whole number; -1 is no limit, which is Infinity from here on. */
const limit = z
  .int('must be a whole number')
  .min(-1, 'must be -1 (no limit) or more')
  .transform((most) => (most === -1 ? Number.POSITIVE_INFINITY : most))

const count = z.int('must be a whole number').min(1, 'must be at least 1')

const size = z.number('must be a number').positive('must be more than 0')

const webhook = z.strictObject({
  url: z.url({ protocol: /^https?$/, message: 'must be an http or https address' }),
  event_types: z.array(z.enum(hookTypes, `is not one of ${hookTypes.join(', ')}`)).min(1, 'must name at least one'),
  filter: z
    .strictObject({ channel_name_starts_with: z.string().optional(), channel_name_ends_with: z.string().optional() })
    .default({}),
  headers: z.record(z.string().regex(/^[\w-]+$/, 'is not the name of a header'), z.string()).default({}),
})

/** Where an app's events are sent to, and which. */
export type PusherWebhook = z.infer<typeof webhook>

const name = z.string('must be a string').regex(/^[A-Za-z0-9_-]+$/, 'must be letters, digits, _ or -')

const pusherApp = z.strictObject({
  id: z.union([name, z.int().min(0).transform(String)], 'must be letters, digits, _ or -'),
  key: name,
  secret: z.string('must be a string').min(1, 'must not be empty'),
  enabled: z.boolean().default(true),
  /** Whether sockets have to come over TLS, here or at a trusted proxy. */
  forceTLS: z.boolean().default(false),
  /** Origins that browsers may connect from, such as https://shop.example or https://*.shop.example; unset: any. */
  allowedOrigins: z.array(z.string()).optional(),
  /** Sockets at a time, over all nodes. */
  maxConnections: limit.default(Number.POSITIVE_INFINITY),
  enableClientMessages: z.boolean().default(false),
  enableUserAuthentication: z.boolean().default(true),
  enableSubscriptionCount: z.boolean().default(false),
  /** After how many seconds a socket is closed that has neither signed in nor a channel that asks for a signature; 0: never. */
  authorizationTimeout: z.number().min(0, 'must be 0 or more').default(0),
  /** Of each socket. */
  maxClientEventsPerSecond: limit.default(10),
  /** Of the app at each node: events published, and questions asked, over HTTP. */
  maxBackendEventsPerSecond: limit.default(Number.POSITIVE_INFINITY),
  maxReadRequestsPerSecond: limit.default(Number.POSITIVE_INFINITY),
  maxPresenceMembersPerChannel: limit.default(100),
  /** Of a user_info, or of a channel_data where that is smaller, in units of 1,024 bytes. */
  maxPresenceMemberSizeInKb: size.default(1),
  maxChannelNameLength: count.max(200, 'must be at most 200').default(maxChannelName),
  maxEventNameLength: count.max(maxEventName, `must be at most ${maxEventName}`).default(maxEventName),
  maxEventPayloadInKb: size.default(10),
  maxEventChannelsAtOnce: count.default(100),
  maxEventBatchSize: count.default(10),
  webhooks: z.array(webhook).default([]),
  /** Whether a webhook may carry many events. */
  enableWebhookBatching: z.boolean().default(false),
})

/** An app and its limits. `secret` is never shown. */
export type PusherApp = z.output<typeof pusherApp>

/** Returns an app that says no more than who it is. */
export const plainApp = (credentials: { id: string; key: string; secret: string }): PusherApp =>
  pusherApp.parse(credentials)

/** Returns the app of the chat: clients may speak on the channels that their key lets them write to. */
export const chatApp = (credentials: { id: string; key: string; secret: string }): PusherApp => ({
  ...plainApp(credentials),
  enableClientMessages: true,
})

/** Reads the text of a PUSHER_APPS file: a JSON array. A StartError names the app and the field that cannot be used. */
export const readApps = (text: string): PusherApp[] => {
  const parsed = z.array(pusherApp, 'must be an array of apps').safeParse(parseJson(text))
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    const where = issue?.path.map(String).join('.')
    throw new StartError(`PUSHER_APPS: ${where ? `${where}: ` : ''}${issue?.message}`)
  }
  for (const field of ['id', 'key'] as const) {
    const taken = new Set<string>()
    for (const app of parsed.data) {
      if (taken.has(app[field])) throw new StartError(`PUSHER_APPS: two apps have the ${field} ${app[field]}`)
      taken.add(app[field])
    }
  }
  return parsed.data
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw new StartError('PUSHER_APPS: the file is not JSON')
  }
}
