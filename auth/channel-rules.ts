/** Who may subscribe to what: deny by default. */

import type { ChatChannel } from '../schema/channels.ts'

/** Who asks: an API key of a workspace, pinned to a site of it or not (null), or the visitor of one conversation. */
export type Subscriber =
  | { kind: 'key'; workspace: string; site: string | null }
  | { kind: 'visitor'; workspace: string; conversation: string }

/**
 * Returns whether the subscriber may hear the channel. `placeOf` tells of which workspace and site a channel's site or
 * conversation is; undefined: there is none.
 */
export const maySubscribe = async (
  subscriber: Subscriber,
  channel: ChatChannel | undefined,
  placeOf: (channel: ChatChannel) => Promise<{ workspace: string; site: string | null } | undefined>,
): Promise<boolean> => {
  if (!channel) return false
  if (subscriber.kind === 'visitor') return channel.audience === 'visitor' && channel.id === subscriber.conversation
  if (channel.audience === 'org') return subscriber.site === null && channel.id === subscriber.workspace
  if (channel.audience === 'site' || channel.audience === 'conv') {
    const place = await placeOf(channel)
    if (place?.workspace !== subscriber.workspace) return false
    return subscriber.site === null || place.site === subscriber.site
  }
  return false
}
