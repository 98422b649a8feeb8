/** Which events a webhook is told. */

import type { PusherWebhook } from '../../schema/pusher-apps.ts'
import type { HookEvent } from '../../schema/pusher-hooks.ts'

/** Returns whether a webhook asks for this event on this channel: by its type, and the beginning and end of the name. */
export const wants = (
  { event_types, filter }: Pick<PusherWebhook, 'event_types' | 'filter'>,
  { name, channel }: Pick<HookEvent, 'name' | 'channel'>,
): boolean =>
  event_types.includes(name) &&
  channel.startsWith(filter.channel_name_starts_with ?? '') &&
  channel.endsWith(filter.channel_name_ends_with ?? '')
