/** The rules of subscribing: which channels there are, who may join them, and from when on they are heard. */

import type { AppCredentials } from '../auth/channel-signature.ts'
import { type ChannelGrant, readChannelGrant } from '../schema/channel-auth.ts'
import { type ChatChannel, chatChannel } from '../schema/channels.ts'
import { refusedFrame, type SubscribeData, subscribedFrame } from '../schema/frames.ts'
import type { Hub } from './hub.ts'
import type { KeyWatch } from './key-watch.ts'
import type { EventLog } from './log.ts'
import type { Logger } from './logger.ts'
import { brokenGrant, grantedWorkspace, nameRefusal, type Refusal, signatureRefusal, unavailable } from './refusals.ts'
import type { Relay } from './relay.ts'
import type { Socket } from './socket.ts'
import type { Replays } from './streams/replays.ts'
import type { Streams } from './streams/streams.ts'

export type Subscriptions = {
  /** Joins a socket to a channel or tells it why not; never throws. */
  subscribe(socket: Socket, request: SubscribeData): void
  /** Takes a socket off a channel, also one that it is still waiting for. */
  unsubscribe(socket: Socket, channel: string): void
  /** Forgets what a closed socket was waiting for. */
  forget(socket: Socket): void
}

/** A subscription that is on its way, and the grant that it was asked with; undefined: the operator's. */
type Asked = { channel: string; grant: ChannelGrant | undefined }

/** Makes the subscriptions of an app. `workspaceOf` tells whose a chat channel is; undefined without a database. */
export const createSubscriptions = ({
  app,
  hub,
  relay,
  streams,
  replays,
  keys,
  workspaceOf,
  maxChannels,
  logger,
  now = Date.now,
}: {
  app: AppCredentials
  hub: Pick<Hub, 'join' | 'leave' | 'workspace'>
  relay: Pick<Relay, 'hold' | 'release'>
  streams: Pick<Streams, 'follow' | 'release' | 'of'>
  replays: Pick<Replays, 'run' | 'drained'>
  keys: Pick<KeyWatch, 'refusal' | 'hold'>
  workspaceOf: EventLog['workspaceOf'] | undefined
  maxChannels: number
  logger: Logger
  now?: () => number
}): Subscriptions => {
  // Kept here and not at the socket: nearly all sockets wait for nothing.
  const pending = new Map<Socket, Set<Asked>>()

  const subscribe = (socket: Socket, request: SubscribeData): void => {
    const { channel } = request
    // What is on its way already is answered once.
    if (askedFor(socket, channel)) return
    if (socket.channels.has(channel)) {
      socket.send(subscribedFrame(channel))
      return
    }
    const refusal = nameRefusal(channel) ?? limitRefusal(socket) ?? signatureRefusal(app, socket, request)
    const chat = chatChannel(channel)
    const grant = chat && readChannelGrant(request.channel_data)
    if (refusal || grant === 'broken') {
      refuse(socket, channel, refusal ?? brokenGrant)
      return
    }
    const heard = chat ? undefined : relay.hold(channel)
    // Nothing to wait for: most sockets are on channels that this process listens to already.
    if (!chat && !heard) {
      socket.send(subscribedFrame(channel))
      hub.join(socket, channel)
      return
    }
    const asked = { channel, grant }
    pending.set(socket, (pending.get(socket) ?? new Set()).add(asked))
    admit(socket, asked, chat, heard).catch((error) => {
      logger.error({ err: error, channel }, 'a subscription failed')
      if (settle(socket, asked)) refuse(socket, channel, unavailable)
    })
  }

  const admit = async (
    socket: Socket,
    asked: Asked,
    chat: ChatChannel | undefined,
    held: Promise<void> | undefined,
  ): Promise<void> => {
    const { channel, grant } = asked
    const workspace = chat && (await workspaceHeard(channel, chat, grant))
    if (typeof workspace === 'object') {
      if (settle(socket, asked)) refuse(socket, channel, workspace)
      return
    }
    // An interest that was held already is released below.
    if (!held && !isPending(socket, asked)) return
    const heard = held ?? relay.hold(channel)
    const followed = workspace === undefined ? undefined : streams.follow(workspace)
    if (heard || followed) await Promise.all([heard, followed])
    const joined = await enter(socket, asked, chat, workspace)
    if (joined) return
    relay.release(channel)
    if (workspace !== undefined) streams.release(workspace)
  }

  /** Confirms a subscription, tells what was missed, and joins; returns whether the socket is on the channel then. */
  const enter = async (
    socket: Socket,
    asked: Asked,
    chat: ChatChannel | undefined,
    workspace: string | undefined,
  ): Promise<boolean> => {
    const { channel, grant } = asked
    const stream = workspace === undefined ? undefined : streams.of(workspace)
    let joined = false
    const join = (): void => {
      if (!settle(socket, asked) || socket.closed) return
      hub.join(socket, channel, { workspace, key: keys.hold(socket, grant) })
      joined = true
    }
    const isWanted = (): boolean => isPending(socket, asked) && !socket.closed && keys.refusal(grant) === undefined
    // One turn from the confirmation to the join: no event may come before the one, and none get lost before the other.
    if (isWanted()) {
      const since = grant?.since
      const isNew = since === undefined || !chat || !stream || workspace === undefined
      socket.send(subscribedFrame(channel, isNew && chat?.audience !== 'visitor' ? stream?.position() : undefined))
      if (isNew) join()
      else await replays.run({ socket, channel, chat, workspace, stream, since, isWanted, join })
    }
    const revoked = keys.refusal(grant)
    if (settle(socket, asked) && revoked !== undefined) refuse(socket, channel, { status: 401, error: revoked })
    return joined
  }

  /** Returns whose chat is heard on a channel, or why this socket may not hear it. */
  const workspaceHeard = async (
    channel: string,
    chat: ChatChannel,
    grant: ChannelGrant | undefined,
  ): Promise<string | Refusal> => {
    const workspace = grant ? grantedWorkspace(chat, grant, now() / 1000) : await operatorWorkspace(chat)
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

  const operatorWorkspace = async (chat: ChatChannel): Promise<string | Refusal> => {
    if (chat.audience === 'org') return chat.id
    if (!workspaceOf)
      return { status: 503, error: 'This node has no database: subscribe with a grant of the authorizer' }
    return (await workspaceOf(chat)) ?? { status: 403, error: `There is no ${chat.id}` }
  }

  const askedFor = (socket: Socket, channel: string): Asked | undefined =>
    [...(pending.get(socket) ?? [])].find((asked) => asked.channel === channel)

  const isPending = (socket: Socket, asked: Asked): boolean => pending.get(socket)?.has(asked) ?? false

  /** Returns whether the socket still wanted the channel, and that it no longer waits for it. */
  const settle = (socket: Socket, asked: Asked): boolean => {
    const waiting = pending.get(socket)
    const wanted = waiting?.delete(asked) ?? false
    if (waiting?.size === 0) pending.delete(socket)
    return wanted
  }

  return {
    subscribe,
    unsubscribe: (socket, channel) => {
      const asked = askedFor(socket, channel)
      if (asked) settle(socket, asked)
      hub.leave(socket, channel)
    },
    forget: (socket) => {
      pending.delete(socket)
      replays.drained(socket)
    },
  }
}

// In two forms: pusher-js tells a channel the first, other SDKs look at errors only.
const refuse = (socket: Socket, channel: string, { status, error }: Refusal): void => {
  socket.send(refusedFrame(channel, error, status))
  socket.sendError(error)
}
