/** Who may subscribe to what: deny by default. */

import type { ChatChannel } from '../schema/channels.ts'

/** Who asks: an API key of a workspace, or the visitor of one conversation. */
export type Subscriber =
  | { kind: 'key'; workspace: string }
  | { kind: 'visitor'; workspace: string; conversation: string }

/**
 * Returns whether the subscriber may hear the channel. `workspaceOf` tells whose a conversation is;
 * undefined: there is none.
 */
export const maySubscribe = async (
  subscriber: Subscriber,
  channel: ChatChannel | undefined,
  workspaceOf: (conversation: string) => Promise<string | undefined>,
): Promise<boolean> => {
  if (!channel) return false
  if (subscriber.kind === 'visitor') return channel.audience === 'visitor' && channel.id === subscriber.conversation
  if (channel.audience === 'org') return channel.id === subscriber.workspace
  if (channel.audience === 'conv') return (await workspaceOf(channel.id)) === subscriber.workspace
  return false
}
