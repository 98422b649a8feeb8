/** The webhooks of the Pusher server: what its apps are told by HTTP of what happens on their channels. */

/** Every event that a webhook can be asked for. */
export const hookTypes = [
  'channel_occupied',
  'channel_vacated',
  'member_added',
  'member_removed',
  'client_event',
  'cache_miss',
  'subscription_count',
] as const

export type HookType = (typeof hookTypes)[number]

/** One event as it is in the body of a webhook. Ids of users keep the type that they were signed with. */
export type HookEvent =
  | { name: 'channel_occupied' | 'channel_vacated' | 'cache_miss'; channel: string }
  | { name: 'member_added' | 'member_removed'; channel: string; user_id: string | number }
  | {
      name: 'client_event'
      channel: string
      event: string
      /** As the client sent it: text as it is, anything else as JSON. */
      data: string
      socket_id: string
      user_id?: string | number
    }
  | { name: 'subscription_count'; channel: string; subscription_count: number }

/** Writes the body of a webhook. `events` are HookEvents as JSON, `time` is in ms. */
export const hookBody = (events: readonly string[], time: number): string =>
  `{"time_ms":${time},"events":[${events.join(',')}]}`
