/** The rules of subscribing: which channels there are, who may join them, and from when on they are heard. */

import { type AppCredentials, verifyChannel } from '../auth/channel-signature.ts'
import { type ChannelGrant, grantLifetime, readChannelGrant } from '../schema/channel-auth.ts'
import { type ChatChannel, channelKind, chatChannel, isChannelName, maxChannelName } from '../schema/channels.ts'
import { refusedFrame, type SubscribeData, subscribedFrame } from '../schema/frames.ts'
import type { Hub } from './hub.ts'
import type { Logger } from './logger.ts'
import type { Relay } from './relay.ts'
import type { Socket } from './socket.ts'
import type { Streams } from './streams.ts'

export type Subscriptions = {
  /** Joins a socket to a channel or tells it why not; never throws. */
  subscribe(socket: Socket, request: SubscribeData): void
  /** Takes a socket off a channel, also one that it is still waiting for. */
  unsubscribe(socket: Socket, channel: string): void
  /** Forgets what a closed socket was waiting for. */
  forget(socket: Socket): void
}

/** Why a subscription is refused: 400 name, 401 signature or key, 403 rule, 413 limit, 503 not now. */
type Refusal = { status: 400 | 401 | 403 | 413 | 503; error: string }

/** Makes the subscriptions of an app. `workspaceOf` tells whose a conversation is. */
export const createSubscriptions = ({
  app,
  hub,
  relay,
  streams,
  workspaceOf,
  maxChannels,
  logger,
  now = Date.now,
}: {
  app: AppCredentials
  hub: Pick<Hub, 'join' | 'leave' | 'workspace'>
  relay: Pick<Relay, 'hold' | 'release'>
  streams: Pick<Streams, 'follow' | 'release'>
  workspaceOf: (conversationId: string) => Promise<string | undefined>
  maxChannels: number
  logger: Logger
  now?: () => number
}): Subscriptions => {
  // Kept here and not at the socket: nearly all sockets wait for nothing.
  const pending = new Map<Socket, Set<{ channel: string }>>()

  const subscribe = (socket: Socket, request: SubscribeData): void => {
    const { channel } = request
    if (socket.channels.has(channel)) {
      socket.send(subscribedFrame(channel))
      return
    }
    const refusal = nameRefusal(channel) ?? limitRefusal(socket) ?? signatureRefusal(app, socket, request)
    if (refusal) refuse(socket, channel, refusal)
    else ask(socket, request)
  }

  const ask = (socket: Socket, request: SubscribeData): void => {
    const asked = { channel: request.channel }
    pending.set(socket, (pending.get(socket) ?? new Set()).add(asked))
    admit(socket, request, asked).catch((error) => {
      logger.error({ err: error, ...asked }, 'a subscription failed')
      if (settle(socket, asked)) refuse(socket, asked.channel, { status: 503, error: 'Not available now, try again' })
    })
  }

  const admit = async (socket: Socket, request: SubscribeData, asked: { channel: string }): Promise<void> => {
    const { channel } = asked
    const workspace = await listenedWorkspace(request)
    if (typeof workspace === 'object') {
      if (settle(socket, asked)) refuse(socket, channel, workspace)
      return
    }
    if (!pending.get(socket)?.has(asked)) return
    await Promise.all([relay.hold(channel), workspace === undefined ? undefined : streams.follow(workspace)])

    // One turn from here to the join: no event may come before the confirmation, and none get lost after it.
    const wanted = settle(socket, asked)
    if (wanted) socket.send(subscribedFrame(channel))
    if (wanted && !socket.closed && !socket.channels.has(channel)) return hub.join(socket, channel, workspace)
    relay.release(channel)
    if (workspace !== undefined) streams.release(workspace)
  }

  /** Returns whose chat is heard on a channel, undefined on a general one, or why this socket may not hear it. */
  const listenedWorkspace = async ({ channel, channel_data }: SubscribeData): Promise<string | undefined | Refusal> => {
    const chat = chatChannel(channel)
    if (!chat) return undefined
    const grant = readChannelGrant(channel_data)
    const workspace = grant === undefined ? await operatorWorkspace(chat) : grantedWorkspace(chat, grant, now() / 1000)
    if (workspace === undefined) return { status: 403, error: `There is no conversation ${chat.id}` }
    const served = hub.workspace(channel)
    if (typeof workspace === 'string' && served !== undefined && served !== workspace) {
      return { status: 403, error: `${channel} is not of this workspace` }
    }
    return workspace
  }

  const limitRefusal = (socket: Socket): Refusal | undefined =>
    socket.channels.size + (pending.get(socket)?.size ?? 0) < maxChannels
      ? undefined
      : { status: 413, error: `A socket may be subscribed to ${maxChannels} channels at most` }

  const operatorWorkspace = async ({ audience, id }: ChatChannel): Promise<string | undefined> =>
    audience === 'org' ? id : workspaceOf(id)

  /** Returns whether the socket still wants the channel, and that it no longer waits for it. */
  const settle = (socket: Socket, asked: { channel: string }): boolean => {
    const waiting = pending.get(socket)
    const wanted = waiting?.delete(asked) ?? false
    if (waiting?.size === 0) pending.delete(socket)
    return wanted
  }

  return {
    subscribe,
    unsubscribe: (socket, channel) => {
      for (const asked of pending.get(socket) ?? []) if (asked.channel === channel) settle(socket, asked)
      hub.leave(socket, channel)
    },
    forget: (socket) => {
      pending.delete(socket)
    },
  }
}

// In two forms: pusher-js tells a channel the first, other SDKs look at errors only.
const refuse = (socket: Socket, channel: string, { status, error }: Refusal): void => {
  socket.send(refusedFrame(channel, error, status))
  socket.sendError(error)
}

const nameRefusal = (channel: string): Refusal | undefined => {
  if (channel.startsWith('#')) return { status: 400, error: 'Channels of users (#) are not available' }
  if (!isChannelName(channel)) {
    return {
      status: 400,
      error: `A channel name has 1 to ${maxChannelName} characters of A-Z a-z 0-9 _ - = @ , . ;`,
    }
  }
  const { access, cached } = channelKind(channel)
  if (access === 'presence') return { status: 400, error: 'Presence channels are not available' }
  if (cached) return { status: 400, error: 'Cache channels are not available' }
  return undefined
}

const signatureRefusal = (
  app: AppCredentials,
  socket: Socket,
  { channel, auth, channel_data }: SubscribeData,
): Refusal | undefined => {
  if (channelKind(channel).access === 'public') return undefined
  const signature = verifyChannel(app, auth, socket.id, channel, channel_data)
  if (signature === 'valid') return undefined
  if (signature === 'missing') return { status: 401, error: `Subscribing to ${channel} needs a signature (auth)` }
  if (signature === 'wrong_key') return { status: 401, error: 'Invalid key in subscription auth data' }
  const signed = typeof channel_data === 'string' ? `${socket.id}:${channel}:<channel_data>` : `${socket.id}:${channel}`
  return { status: 401, error: `Invalid signature: Expected HMAC SHA256 hex digest of ${signed}` }
}

const grantedWorkspace = (
  { audience, id }: ChatChannel,
  grant: ChannelGrant | 'broken',
  seconds: number,
): string | Refusal => {
  if (grant === 'broken') return { status: 401, error: 'The grant in channel_data is broken' }
  if (Math.abs(seconds - grant.iat) > grantLifetime) {
    return { status: 401, error: `The grant in channel_data is not of the last ${grantLifetime} seconds` }
  }
  if (grant.exp !== undefined && grant.exp <= seconds) return { status: 401, error: 'API key expired' }
  if (audience === 'org' && grant.workspace !== id) return { status: 403, error: `${id} is not of this workspace` }
  return grant.workspace
}
