/** What the authorizer is asked, and the grant that it signs into `channel_data`. */

import { z } from 'zod'
import { readSince, type Since } from './recovery.ts'
import type { MemberData } from './users.ts'

/** The request of pusher-js, as a form or as JSON. */
export const channelAuthRequest = z.looseObject({
  socket_id: z.string().regex(/^\d+\.\d+$/, 'must look like 123.456'),
  channel_name: z.string().min(1).max(200),
  since: z
    .unknown()
    .optional()
    .describe(
      'The last `seq` that was seen, by channel: `since[CHANNEL]=57` in a form, `{"CHANNEL": 57}` in JSON; or the number ' +
        'alone, for a client of one channel. What was missed since then comes first.',
    ),
})

/** What pusher-js subscribes with. */
export const channelAuthorization = z
  .object({
    auth: z.string().describe('The signature.'),
    channel_data: z.string().describe('What is signed with it: who was let in, and who joins a presence channel.'),
  })
  .meta({ id: 'ChannelAuthorization' })

/**
 * Returns what a request says was seen last on its channel: `since[CHANNEL]=n` in a form, `"since": {"CHANNEL": n}` in
 * JSON, or a bare `since`, which is right for a client of one channel. Undefined: nothing.
 */
export const sinceOf = (request: z.infer<typeof channelAuthRequest>): Since | undefined => {
  const { channel_name, since } = request
  const named = request[`since[${channel_name}]`]
  if (named !== undefined) return readSince(named)
  if (typeof since !== 'object' || since === null) return readSince(since)
  const entry = Object.entries(since).find(([channel]) => channel === channel_name)
  return readSince(entry?.[1])
}

/**
 * Who was let in, signed with the subscription: an API key (`key_…`) as it stood at `version`, or the visitor of the
 * conversation. `write`: whether it may also speak, as client events. `iat` and `exp` are unix seconds; a hub refuses a grant older than `grantLifetime`. `since` is what the
 * subscriber saw last.
 */
export const channelGrant = z.object({
  workspace: z.string(),
  key: z.string().optional(),
  version: z.number().int().optional(),
  write: z.boolean().optional(),
  iat: z.number().int(),
  exp: z.number().int().optional(),
  since: z.union([z.int().min(0), z.literal('invalid')]).optional(),
})

export type ChannelGrant = z.infer<typeof channelGrant>

/** How long a grant may be used to subscribe, in seconds. */
export const grantLifetime = 60

/** Writes the `channel_data` that carries a grant, and on a presence channel who joins it. */
export const writeChannelData = (grant: ChannelGrant, member?: MemberData): string =>
  JSON.stringify({ hubbub: grant, ...member })

/** Reads the grant out of `channel_data`; undefined where there is none (a signature made by the operator). */
export const readChannelGrant = (channelData: string | null | undefined): ChannelGrant | 'broken' | undefined => {
  if (channelData === null || channelData === undefined) return undefined
  let parsed: unknown
  try {
    parsed = JSON.parse(channelData)
  } catch {
    return 'broken'
  }
  const holder = z.object({ hubbub: z.unknown() }).safeParse(parsed)
  if (!holder.success || holder.data.hubbub === undefined) return undefined
  const grant = channelGrant.safeParse(holder.data.hubbub)
  return grant.success ? grant.data : 'broken'
}
