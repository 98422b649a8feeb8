/** The grammar of channel names: what a name is made of, and what its prefix means. */

/** Pusher's limit on a channel name, in characters. */
export const maxChannelName = 164

/** What a channel name is made of. */
export const channelName = /^[A-Za-z0-9_\-=@,.;]+$/

export type ChannelKind = { access: 'public' | 'private' | 'presence'; encrypted: boolean; cached: boolean }

/** Returns what the prefix of a channel name asks for. */
export const channelKind = (name: string): ChannelKind => {
  const match = /^(?:(private-encrypted|private|presence)-)?(cache-)?/.exec(name)
  const access = match?.[1]
  return {
    access: access === undefined ? 'public' : access === 'presence' ? 'presence' : 'private',
    encrypted: access === 'private-encrypted',
    cached: match?.[2] !== undefined,
  }
}

/** A channel that the chat core speaks on. `id` is the workspace's (`org_…`), the site's or the conversation's. */
export type ChatChannel = { audience: 'org' | 'site' | 'conv' | 'visitor'; id: string }

/** Returns the chat channel a name stands for; undefined for a general Pusher channel. */
export const chatChannel = (name: string): ChatChannel | undefined => {
  const match =
    /^private-(?:org-(?<org>org_\w+)|site-(?<site>web_\w+)|conv-(?<conv>cnv_\w+)|visitor-(?<visitor>cnv_\w+))$/.exec(
      name,
    )
  for (const audience of ['org', 'site', 'conv', 'visitor'] as const) {
    const id = match?.groups?.[audience]
    if (id !== undefined) return { audience, id }
  }
  return undefined
}

/** A presence channel of the chat: who is online in a workspace, or looks at a conversation. */
export const chatPresence = (name: string): ChatChannel | undefined => {
  const match = /^presence-(?:org-(?<org>org_\w+)|conv-(?<conv>cnv_\w+))$/.exec(name)
  const { org, conv } = match?.groups ?? {}
  if (org !== undefined) return { audience: 'org', id: org }
  return conv === undefined ? undefined : { audience: 'conv', id: conv }
}

/** Names the chat channels. */
export const orgChannel = (workspace: string): string => `private-org-${workspace}`
export const siteChannel = (site: string): string => `private-site-${site}`
export const convChannel = (conversation: string): string => `private-conv-${conversation}`
export const visitorChannel = (conversation: string): string => `private-visitor-${conversation}`
export const orgPresence = (workspace: string): string => `presence-org-${workspace}`
export const convPresence = (conversation: string): string => `presence-conv-${conversation}`

const userPrefix = '#server-to-user-'

/** Names the channel of a user: all sockets that are signed in as that user, and nobody else. */
export const userChannel = (user: string): string => userPrefix + user

/** Returns whose channel a name stands for; undefined for any other channel. */
export const channelUser = (name: string): string | undefined =>
  name.startsWith(userPrefix) && name.length > userPrefix.length ? name.slice(userPrefix.length) : undefined
