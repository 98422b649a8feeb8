/** The rules of subscribing: who may join which channel, what is told first, and from when on it is heard. */

import type { ChannelGrant } from '../schema/channel-auth.ts'
import { cacheMissFrame, refusedFrame, type SubscribeData, subscribedFrame } from '../schema/frames.ts'
import type { Cache } from './cache.ts'
import type { Chat } from './chat.ts'
import type { Hub } from './hub.ts'
import type { Logger } from './logger.ts'
import type { Presence } from './presence.ts'
import { type Refusal, unavailable } from './refusals.ts'
import type { Relay } from './relay.ts'
import type { Membership, Socket } from './socket.ts'
import { type Asked, type AskedApp, readSubscription } from './subscription-request.ts'

export type Subscriptions = {
  /** Joins a socket to a channel or tells it why not; never throws. */
  subscribe(socket: Socket, request: SubscribeData): void
  /** Takes a socket off a channel, also one that it is still waiting for. */
  unsubscribe(socket: Socket, channel: string): void
  /** Forgets what a closed socket was waiting for. */
  forget(socket: Socket): void
}

/** Makes the subscriptions of an app. `missed` is told of cache channels that had nothing to tell. */
export const createSubscriptions = ({
  app,
  hub,
  relay,
  presence,
  cache,
  chat,
  missed,
  authorized,
  refused,
  maxChannels,
  logger,
}: {
  app: AskedApp
  hub: Pick<Hub, 'join' | 'leave'>
  relay: Pick<Relay, 'hold' | 'release'>
  presence: Pick<Presence, 'join' | 'leave' | 'present'>
  cache: Pick<Cache, 'follow' | 'last'>
  chat: Chat | undefined
  missed: (channel: string) => void
  authorized: (socket: Socket) => void
  refused: (status: number) => void
  maxChannels: number
  logger: Logger
}): Subscriptions => {
  // Kept here and not at the socket: nearly all sockets wait for nothing.
  const pending = new Map<Socket, Set<Asked>>()

  const subscribe = (socket: Socket, request: SubscribeData): void => {
    const { channel } = request
    // What is on its way already is answered once.
    if (askedFor(socket, channel)) return
    if (socket.channels.has(channel)) {
      const isMember = socket.channels.get(channel)?.user !== undefined
      socket.send(isMember ? presence.present(channel) : subscribedFrame(channel))
      return
    }
    const asked = limitRefusal(socket) ?? readSubscription(app, socket, request)
    if ('error' in asked) {
      refuse(socket, channel, asked)
      return
    }
    // Nothing to wait for: most sockets are on channels that this process listens to already.
    const heard = asked.place ? undefined : relay.hold(channel)
    if (!heard && !asked.place && !asked.member && !asked.kind.cached) {
      socket.send(subscribedFrame(channel))
      if (asked.kind.access !== 'public') authorized(socket)
      hub.join(socket, channel)
      return
    }
    pending.set(socket, (pending.get(socket) ?? new Set()).add(asked))
    admit(socket, asked, heard).catch((error) => {
      logger.error({ err: error, channel }, 'a subscription failed')
      if (settle(socket, asked)) refuse(socket, channel, unavailable)
    })
  }

  /** Waits for all that a channel needs, then enters it; what was held for nothing is released. */
  const admit = async (socket: Socket, asked: Asked, held: Promise<void> | undefined): Promise<void> => {
    const { channel, place, member, kind } = asked
    const workspace = place && chat ? await chat.workspaceHeard(asked) : undefined
    if (typeof workspace === 'object') {
      if (settle(socket, asked)) refuse(socket, channel, workspace)
      return
    }
    const heard = place ? relay.hold(channel) : held
    const followed = asked.chat && workspace !== undefined ? chat?.follow(workspace) : undefined
    if (heard || followed) await Promise.all([heard, followed])
    if (kind.cached) await cache.follow(channel)
    const outcome = member && isPending(socket, asked) ? await presence.join(channel, member) : undefined
    if (outcome === 'full' && settle(socket, asked)) refuse(socket, channel, full)
    if (await enter(socket, asked, workspace)) return
    if (outcome === 'joined' && member) presence.leave(channel, member.user_id)
    relay.release(channel)
    if (asked.chat && workspace !== undefined) chat?.release(workspace)
  }

  /** Confirms a subscription, tells what comes first, and joins; returns whether the socket is on the channel then. */
  const enter = async (socket: Socket, asked: Asked, workspace: string | undefined): Promise<boolean> => {
    const { channel, member, grant } = asked
    let joined = false
    const join = (): void => {
      if (!settle(socket, asked) || socket.closed) return
      hub.join(socket, channel, membershipOf(socket, asked), asked.chat && workspace)
      joined = true
      authorized(socket)
    }
    const isWanted = (): boolean => isPending(socket, asked) && !socket.closed && !refusalOf(grant)
    // One turn from the confirmation to the join: no event may come before the one, and none get lost before the other.
    if (isWanted()) {
      if (asked.chat && chat && workspace !== undefined) {
        await chat.enter({ socket, asked, chat: asked.chat, workspace, isWanted, join })
      } else {
        socket.send(member ? presence.present(channel) : subscribedFrame(channel))
        if (asked.kind.cached) tellLast(socket, channel)
        join()
      }
    }
    const refusal = refusalOf(grant)
    if (settle(socket, asked) && refusal) refuse(socket, channel, refusal)
    return joined
  }

  const tellLast = (socket: Socket, channel: string): void => {
    const last = cache.last(channel)
    socket.send(last ?? cacheMissFrame(channel))
    if (last === undefined) missed(channel)
  }

  const membershipOf = (socket: Socket, { grant, member, isMute }: Asked): Membership | undefined => {
    const key = chat?.hold(socket, grant)
    if (!key && !member && !isMute) return undefined
    return { key, user: member?.user_id, isMute }
  }

  const refusalOf = (grant: ChannelGrant | undefined): Refusal | undefined => grant && chat?.refusal(grant)

  const limitRefusal = (socket: Socket): Refusal | undefined =>
    socket.channels.size + (pending.get(socket)?.size ?? 0) < maxChannels
      ? undefined
      : { status: 413, error: `A socket may be subscribed to ${maxChannels} channels at most` }

  const askedFor = (socket: Socket, channel: string): Asked | undefined => {
    for (const asked of pending.get(socket) ?? []) if (asked.channel === channel) return asked
    return undefined
  }

  const isPending = (socket: Socket, asked: Asked): boolean => pending.get(socket)?.has(asked) ?? false

  /** Returns whether the socket still wanted the channel, and that it no longer waits for it. */
  const settle = (socket: Socket, asked: Asked): boolean => {
    const waiting = pending.get(socket)
    const wanted = waiting?.delete(asked) ?? false
    if (waiting?.size === 0) pending.delete(socket)
    return wanted
  }

  // In two forms: pusher-js tells a channel the first, other SDKs look at errors only.
  const refuse = (socket: Socket, channel: string, { status, error }: Refusal): void => {
    refused(status)
    socket.send(refusedFrame(channel, error, status))
    socket.sendError(error)
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
      chat?.forget(socket)
    },
  }
}

const full: Refusal = { status: 413, error: 'This presence channel has as many members as it may have' }
