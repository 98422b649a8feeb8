/** Contracts of the Pusher HTTP API: what may be published within an app's limits, and what may be asked. */

import { z } from 'zod'
import { channelKind, channelName, channelUser } from './channels.ts'
import { writeJson } from './json.ts'
import type { PusherApp } from './pusher-apps.ts'
import { utf8Bytes } from './text.ts'

/** What may be asked of a channel, and of many at once. */
export const countAttributes = ['user_count', 'subscription_count'] as const
export const channelAttributes = [...countAttributes, 'cache'] as const

export type CountAttribute = (typeof countAttributes)[number]
export type ChannelAttribute = (typeof channelAttributes)[number]

/** An event to publish. `data` is the text that sockets get; `info` is what to answer of its channels. */
export type Publication = {
  name: string
  data: string
  channels: readonly string[]
  exceptSocketId: string | undefined
  info: readonly CountAttribute[]
}

/** Why a request is not served: 413 for data that is too large, 400 for all else. */
export type Unfit = { status: 400 | 413; text: string }

/** Reads what a request publishes, within the limits of one app. */
export type PublishReader = {
  trigger(params: Record<string, unknown>): Publication | Unfit
  batch(params: Record<string, unknown>): readonly Publication[] | Unfit
}

type PublishLimits = Pick<
  PusherApp,
  'maxEventNameLength' | 'maxChannelNameLength' | 'maxEventPayloadInKb' | 'maxEventChannelsAtOnce' | 'maxEventBatchSize'
>

/** Makes the reader of an app. */
export const createPublishReader = (limits: PublishLimits): PublishReader => {
  const { trigger, batch } = publishSchemas(limits)
  const maxData = Math.floor(limits.maxEventPayloadInKb * 1024)

  return {
    trigger: (params) => {
      const tooMany = beyond(params.channels, limits.maxEventChannelsAtOnce, 'channels', 'channels')
      if (tooMany) return tooMany
      const parsed = trigger.safeParse(params)
      if (!parsed.success) return unfit(parsed.error)
      const { channel, channels: given } = parsed.data
      const channels = given ?? (typeof channel === 'string' ? [channel] : [])
      if (channels.length === 0) return { status: 400, text: 'channels: is required, an array of at least one channel' }
      if (channels.length === 1) return publication(parsed.data, channels, maxData, '')
      const different = [...new Set(channels)]
      if (different.length > 1 && different.some((name) => channelKind(name).encrypted)) {
        return { status: 400, text: 'channels: an encrypted channel must be the only one, since each has its own key' }
      }
      return publication(parsed.data, different, maxData, '')
    },

    batch: (params) => {
      const tooMany = beyond(params.batch, limits.maxEventBatchSize, 'batch', 'events')
      if (tooMany) return tooMany
      const parsed = batch.safeParse(params)
      if (!parsed.success) return unfit(parsed.error)
      const events: Publication[] = []
      for (const [index, event] of parsed.data.batch.entries()) {
        const read = publication(event, [event.channel], maxData, `batch.${index}.`)
        if ('status' in read) return read
        events.push(read)
      }
      return events
    },
  }
}

/** Returns the attributes that an `info` asks for, or a text that names the one that is not known. */
export const readInfo = <Attribute extends string>(info: string, known: readonly Attribute[]): Attribute[] | string => {
  const asked: Attribute[] = []
  for (const name of infoNames(info)) {
    const attribute = known.find((one) => one === name)
    if (attribute === undefined) return `${JSON.stringify(name)} is not one of ${known.join(', ')}`
    asked.push(attribute)
  }
  return asked
}

/** Returns whether a channel has an attribute at all. */
export const hasAttribute = (channel: string, attribute: ChannelAttribute): boolean => {
  if (attribute === 'user_count') return channelKind(channel).access === 'presence'
  if (attribute === 'cache') return channelKind(channel).cached
  return channelUser(channel) === undefined
}

/** Returns whether a text can be the id of a user that events are sent to. */
export const isUserId = (id: string): boolean => id.length > 0 && id.length <= longestUserId && !/\p{Cc}/u.test(id)

// More than who signs in may have.
const longestUserId = 200

/** Says in words what the id of a user that events are sent to can be. */
export const userIdRule = `1 to ${longestUserId} characters, none of them a control character`

// Looked at first: what is wrong with each of a hundred thousand channels would take long to find out.
const beyond = (list: unknown, most: number, field: string, what: string): Unfit | undefined =>
  Array.isArray(list) && list.length > most
    ? { status: 400, text: `${field}: must have at most ${most} ${what}` }
    : undefined

const publishSchemas = ({ maxEventNameLength, maxChannelNameLength }: PublishLimits) => {
  const channel = text.refine((name) => {
    const user = channelUser(name)
    if (user !== undefined) return isUserId(user)
    return name.length <= maxChannelNameLength && channelName.test(name)
  }, `is not a channel name: 1 to ${maxChannelNameLength} letters, digits and _ - = @ , . ; are allowed, ` +
    `or #server-to-user- and an id of ${userIdRule}`)
  const event = {
    name: text
      .min(1, 'must not be empty')
      .max(maxEventNameLength, `must have at most ${maxEventNameLength} characters`)
      // A client takes these for the server's own word: subscription_succeeded with a roster, an error, a cache miss.
      .regex(/^(?!pusher(?:_internal)?:)/, 'must not begin with pusher: or pusher_internal:, which are reserved'),
    data: z.unknown().refine((data) => data !== undefined, 'is required; it may be empty text'),
    socket_id: text.regex(/^\d{1,20}\.\d{1,20}$/, 'must look like 123.456').nullish(),
    info: text
      .refine((info) => typeof readInfo(info, countAttributes) !== 'string', {
        error: ({ input }) => String(readInfo(String(input), countAttributes)),
      })
      .nullish(),
  }
  return {
    trigger: z.object({
      ...event,
      channel: channel.nullish(),
      channels: z.array(channel, 'must be an array of channel names').nullish(),
    }),
    batch: z.object({
      batch: z.array(z.object({ ...event, channel }, 'must be an object with name, channel and data'), {
        error: ({ input }) => (input === undefined ? 'is required' : 'must be an array of events'),
      }),
    }),
  }
}

const text = z.string({ error: ({ input }) => (input === undefined ? 'is required' : 'must be a string') })

const publication = (
  event: { name: string; data?: unknown; socket_id?: string | null | undefined; info?: string | null | undefined },
  channels: readonly string[],
  maxData: number,
  where: string,
): Publication | Unfit => {
  // Data that is not text is written as JSON once.
  const data = typeof event.data === 'string' ? event.data : writeJson(event.data)
  if (data === undefined) return { status: 400, text: `${where}data: is nested too deeply` }
  // A character has at most three bytes: what is short enough need not be counted.
  const size = data.length * 3 > maxData ? utf8Bytes(data) : 0
  if (size > maxData) return { status: 413, text: `${where}data: has ${size} bytes, at most ${maxData} are allowed` }
  const info = event.info ? readInfo(event.info, countAttributes) : []
  return {
    name: event.name,
    data,
    channels,
    exceptSocketId: event.socket_id ?? undefined,
    info: typeof info === 'string' ? [] : info,
  }
}

const infoNames = (info: string): Set<string> =>
  new Set(
    info
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  )

const unfit = (error: z.ZodError): Unfit => {
  const [issue] = error.issues
  return { status: 400, text: [issue?.path.map(String).join('.'), issue?.message].filter(Boolean).join(': ') }
}
