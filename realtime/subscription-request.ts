/** What a socket asks for when it subscribes: read, and checked as far as nobody else has to be asked. */

import type { AppCredentials } from '../auth/channel-signature.ts'
import { type ChannelGrant, readChannelGrant } from '../schema/channel-auth.ts'
import {
  type ChannelKind,
  type ChatChannel,
  channelKind,
  channelUser,
  chatChannel,
  chatPresence,
} from '../schema/channels.ts'
import type { SubscribeData } from '../schema/frames.ts'
import { writeJson } from '../schema/json.ts'
import type { PusherApp } from '../schema/pusher-apps.ts'
import { type MemberData, readMember } from '../schema/users.ts'
import { brokenGrant, nameRefusal, type Refusal, signatureRefusal } from './refusals.ts'
import type { Socket } from './socket.ts'

/**
 * A subscription that may go on. `chat` is the channel of the chat whose events are heard, `place` what of the chat it
 * is about, events or not; `grant` is what its authorizer signed, undefined for the operator's signature.
 */
export type Asked = {
  channel: string
  kind: ChannelKind
  chat: ChatChannel | undefined
  place: ChatChannel | undefined
  grant: ChannelGrant | undefined
  member: MemberData | undefined
  /** Whether it may not speak there. */
  isMute: boolean
}

/** The part of an app that subscribing is about. */
export type AskedApp = AppCredentials &
  Pick<PusherApp, 'maxChannelNameLength' | 'maxPresenceMemberSizeInKb'> & { isChat: boolean }

/** Reads a subscription, or says why it is refused. */
export const readSubscription = (app: AskedApp, socket: Socket, request: SubscribeData): Asked | Refusal => {
  const { channel, channel_data } = request
  const user = channelUser(channel)
  if (user !== undefined) return socket.user?.id === user ? plain(channel) : notYours
  const kind = channelKind(channel)
  const refusal = nameRefusal(channel, app.maxChannelNameLength) ?? signatureRefusal(app, socket, request, kind)
  if (refusal) return refusal
  const chat = app.isChat ? chatChannel(channel) : undefined
  const place = chat ?? (app.isChat ? chatPresence(channel) : undefined)
  const grant = place && readChannelGrant(channel_data)
  if (grant === 'broken') return brokenGrant
  const member = kind.access === 'presence' ? memberOf(app, socket, channel_data) : undefined
  if (member && 'error' in member) return member
  const isMute = (chat && chat.audience !== 'conv') || (grant !== undefined && grant.write !== true)
  return { channel, kind, chat, place, grant, member, isMute }
}

const plain = (channel: string): Asked => ({
  channel,
  kind: { access: 'public', encrypted: false, cached: false },
  chat: undefined,
  place: undefined,
  grant: undefined,
  member: undefined,
  isMute: false,
})

const notYours: Refusal = { status: 403, error: 'This channel is for those who have signed in as its user' }

const memberOf = (
  { maxPresenceMemberSizeInKb }: Pick<PusherApp, 'maxPresenceMemberSizeInKb'>,
  { user }: Socket,
  channelData: string | null | undefined,
): MemberData | Refusal => {
  const said = typeof channelData === 'string' ? readMember(channelData) : undefined
  if (typeof said === 'string') return { status: 400, error: said }
  const member = said ?? (user && { user_id: user.id, ...(user.info === undefined ? {} : { user_info: user.info }) })
  if (!member) {
    return { status: 401, error: 'A presence channel needs a user: sign user_id into channel_data, or sign in' }
  }
  const info = writeJson(member.user_info ?? null)
  if (info === undefined) return { status: 413, error: 'user_info is nested too deeply' }
  const bytes = Buffer.byteLength(info)
  if (bytes <= maxPresenceMemberSizeInKb * 1024) return member
  return { status: 413, error: `user_info has ${bytes} bytes, ${maxPresenceMemberSizeInKb * 1024} are allowed` }
}
