/** What the authorizer is asked, and the grant that it signs into `channel_data`. */

import { z } from 'zod'

/** The request of pusher-js, as a form or as JSON. */
export const channelAuthRequest = z.object({
  socket_id: z.string().regex(/^\d+\.\d+$/, 'must look like 123.456'),
  channel_name: z.string().min(1).max(200),
})

/**
 * Who was let in, signed with the subscription: an API key (`key_…`), or the visitor of the conversation.
 * `iat` and `exp` are unix seconds; a hub refuses a grant older than `grantLifetime`.
 */
export const channelGrant = z.object({
  workspace: z.string(),
  key: z.string().optional(),
  iat: z.number().int(),
  exp: z.number().int().optional(),
})

export type ChannelGrant = z.infer<typeof channelGrant>

/** How long a grant may be used to subscribe, in seconds. */
export const grantLifetime = 60

/** Writes the `channel_data` that carries a grant. */
export const writeChannelData = (grant: ChannelGrant): string => JSON.stringify({ hubbub: grant })

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
