/** Contracts of the Pusher HTTP API. */

import { z } from 'zod'
import { channelName, maxChannelName } from './channels.ts'
import { maxEventName } from './frames.ts'

/** Pusher's limits: bytes of an event's data, channels of one trigger. */
export const maxEventData = 10 * 1024
export const maxTriggerChannels = 100

const channel = z
  .string('must be a string')
  .max(maxChannelName, 'is not a channel name')
  .regex(channelName, 'is not a channel name')

/** `POST /apps/:id/events`. */
export const triggerRequest = z.object({
  name: z
    .string('must be a string')
    .min(1, 'must not be empty')
    .max(maxEventName, `must have at most ${maxEventName} characters`),
  data: z.unknown().optional(),
  channels: z
    .array(channel, 'must be an array of channel names')
    .max(maxTriggerChannels, `has more than ${maxTriggerChannels} channels`)
    .optional(),
  channel: channel.optional(),
  socket_id: z
    .string('must be a string')
    .regex(/^\d+\.\d+$/, 'must look like 123.456')
    .nullish(),
})
