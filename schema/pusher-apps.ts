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

const flag = z.boolean('must be true or false')

const text = z.string('must be a string')

const count = z.int('must be a whole number').min(1, 'must be at least 1')

const size = z.number('must be a number').positive('must be more than 0')

const anObject = 'must be an object'

const webhook = z.strictObject(
  {
    url: z.url({ protocol: /^https?$/, message: 'must be an http or https address' }),
    event_types: z
      .array(z.enum(hookTypes, `is not one of ${hookTypes.join(', ')}`), 'must be an array of event types')
      .min(1, 'must name at least one'),
    filter: z
      .strictObject({ channel_name_starts_with: text.optional(), channel_name_ends_with: text.optional() }, anObject)
      .default({}),
    headers: z
      .record(z.string().regex(/^[\w-]+$/, 'is not the name of a header'), text, 'must be an object of texts by name')
      .default({}),
  },
  anObject,
)

/** Where an app's events are sent to, and which. */
export type PusherWebhook = z.infer<typeof webhook>

const name = text.regex(/^[A-Za-z0-9_-]+$/, 'must be letters, digits, _ or -')

const pusherApp = z.strictObject(
  {
    id: z.union([name, z.int().min(0).transform(String)], 'must be letters, digits, _ or -'),
    key: name,
    secret: text.min(1, 'must not be empty'),
    enabled: flag.default(true),
    /** Whether sockets have to come over TLS, here or at a trusted proxy. */
    forceTLS: flag.default(false),
    /** Origins that browsers may connect from, such as https://shop.example or https://*.shop.example; unset: any. */
    allowedOrigins: z.array(text, 'must be an array of origins').optional(),
    /** Sockets at a time, over all nodes. */
    maxConnections: limit.default(Number.POSITIVE_INFINITY),
    enableClientMessages: flag.default(false),
    enableUserAuthentication: flag.default(true),
    enableSubscriptionCount: flag.default(false),
    /** After how many seconds a socket is closed that has neither signed in nor a channel that asks for a signature; 0: never. */
    authorizationTimeout: z.number('must be a number').min(0, 'must be 0 or more').default(0),
    /** Of each socket. */
    maxClientEventsPerSecond: limit.default(10),
    /** Of the app at each node: events published, and questions asked, over HTTP. */
    maxBackendEventsPerSecond: limit.default(Number.POSITIVE_INFINITY),
    maxReadRequestsPerSecond: limit.default(Number.POSITIVE_INFINITY),
    maxPresenceMembersPerChannel: limit.default(100),
    /** Of a user_info, as JSON, in units of 1,024 bytes. */
    maxPresenceMemberSizeInKb: size.default(1),
    maxChannelNameLength: count.max(200, 'must be at most 200').default(maxChannelName),
    maxEventNameLength: count.max(maxEventName, `must be at most ${maxEventName}`).default(maxEventName),
    maxEventPayloadInKb: size.default(10),
    maxEventChannelsAtOnce: count.default(100),
    maxEventBatchSize: count.default(10),
    webhooks: z.array(webhook, 'must be an array of webhooks').default([]),
    /** Whether a webhook may carry many events. */
    enableWebhookBatching: flag.default(false),
  },
  anObject,
)

/** An app and its limits. `secret` is never shown. */
export type PusherApp = z.output<typeof pusherApp>

/** Returns an app that says no more than who it is. */
export const plainApp = (credentials: { id: string; key: string; secret: string }): PusherApp =>
  pusherApp.parse(credentials)

/** Returns the app of the chat: clients may speak on the channels that their key lets them write to. */
export const chatApp = (credentials: { id: string; key: string; secret: string }): PusherApp =>
  pusherApp.parse({ ...ofChat, ...credentials })

/** What the app of the chat does unless it is said otherwise. */
const ofChat = { enableClientMessages: true }

/**
 * Reads the text of a PUSHER_APPS file: a JSON array; the app with the id `chatId` has the defaults of the chat's. A
 * StartError names the app, counted from 0, and the field that cannot be used.
 */
export const readApps = (text: string, chatId?: string): PusherApp[] => {
  const given = parseJson(text)
  const apps = Array.isArray(given)
    ? given.map((app: unknown) => (isOf(app, chatId) ? { ...ofChat, ...app } : app))
    : given
  const parsed = z.array(pusherApp, 'must be an array of apps').safeParse(apps)
  if (!parsed.success) throw new StartError(`PUSHER_APPS: ${lineOf(parsed.error.issues[0])}`)
  for (const field of ['id', 'key'] as const) {
    const taken = new Set<string>()
    for (const app of parsed.data) {
      if (taken.has(app[field])) throw new StartError(`PUSHER_APPS: two apps have the ${field} ${app[field]}`)
      taken.add(app[field])
    }
  }
  return parsed.data
}

const isOf = (app: unknown, id: string | undefined): app is object =>
  typeof app === 'object' && app !== null && 'id' in app && id !== undefined && String(app.id) === id

/** Returns where something is wrong and what. */
const lineOf = (issue: z.core.$ZodIssue | undefined): string | undefined => {
  if (!issue) return undefined
  const [unknown] = issue.code === 'unrecognized_keys' ? issue.keys : []
  const where = [...issue.path, ...(unknown === undefined ? [] : [unknown])].map(String).join('.')
  const what = unknown === undefined ? issue.message : 'is not a field that is known'
  return where === '' ? what : `${where}: ${what}`
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw new StartError('PUSHER_APPS: the file is not JSON')
  }
}
