/** Contract of `GET /realtime`: what a pusher-js client needs to know. */

import { z } from 'zod'

/** How pusher-js connects. */
export const realtimeAddress = z.object({
  key: z.string(),
  host: z.string(),
  port: z.int(),
  forceTLS: z.boolean(),
  wsPath: z.string().optional(),
})

const channel = z.string()

export const realtime = z
  .object({
    object: z.literal('realtime'),
    enabled: z.boolean(),
    config: realtimeAddress.extend({ cluster: z.literal('') }).describe('For the constructor of pusher-js.'),
    auth_endpoint: z.string(),
    channels: z
      .object({
        workspace: channel.describe('All events that the key may hear.'),
        site: channel.optional(),
        conversation: channel,
        visitor: channel,
        workspace_presence: channel.optional(),
        conversation_presence: channel,
      })
      .describe('Put an id in the place of `{id}`.'),
    events: z
      .record(z.string(), z.array(z.string()))
      .describe('The fields of each event’s data as staff hear it; one with `?` is not always there.'),
    sync: z.object({ url: z.string(), cursor: z.string() }).describe('Where to go on over REST, from now.'),
  })
  .meta({ id: 'Realtime' })
