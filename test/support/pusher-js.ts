/** The official browser client, typed as far as it can be without the DOM. */

import PusherModule from 'pusher-js'

export type PusherChannel = {
  /** `metadata` names who sent a client event on a presence channel. */
  bind(event: string, listener: (data: unknown, metadata?: { user_id?: string }) => void): PusherChannel
  bind_global(listener: (event: string, data: unknown) => void): PusherChannel
  trigger(event: string, data: unknown): boolean
  subscribed: boolean
  subscriptionCount: number | null
  /** On presence channels. */
  members?: { count: number; me: { id: string; info: unknown } | null; members: Record<string, unknown> }
}

export type PusherClient = {
  connection: { state: string; socket_id: string; bind(event: string, listener: (data: unknown) => void): void }
  subscribe(channel: string): PusherChannel
  unsubscribe(channel: string): void
  bind_global(listener: (event: string, data: unknown) => void): void
  signin(): void
  user: {
    user_data: unknown
    bind(event: string, listener: (data: unknown) => void): void
    watchlist: { bind(event: string, listener: (data: unknown) => void): void }
  }
  connect(): void
  disconnect(): void
}

/** Asks for a signature; the callback gets an error or what the authorizer answered. */
export type ChannelAuthorizer = (
  request: { socketId: string; channelName: string },
  done: (error: Error | null, answer: { auth: string; channel_data?: string; shared_secret?: string } | null) => void,
) => void

/** Asks for the signature of a signin. */
export type UserAuthenticator = (
  request: { socketId: string },
  done: (error: Error | null, answer: { auth: string; user_data: string } | null) => void,
) => void

/** How channels are authorized: by asking the program's authorizer, or by a function of the test. */
export type ChannelAuthorization =
  | { customHandler: ChannelAuthorizer }
  | { endpoint: string; headers: Record<string, string>; paramsProvider?: () => Record<string, string> }

export type PusherOptions = {
  cluster: string
  wsHost: string
  wsPort: number
  forceTLS: boolean
  enabledTransports: 'ws'[]
  enableStats: boolean
  channelAuthorization?: ChannelAuthorization
  userAuthentication?: { customHandler: UserAuthenticator }
}

type PusherClass = new (key: string, options: PusherOptions) => PusherClient

// At run time the default import is the class; its types, made for bundlers, say that it is a namespace.
const isClass = (value: unknown): value is PusherClass => typeof value === 'function'
const imported: unknown = PusherModule
if (!isClass(imported)) throw new Error('pusher-js does not export its class')

export const Pusher: PusherClass = imported

/** Connects to a server on this machine. */
export const connectPusher = (key: string, port: number, channelAuthorization?: ChannelAuthorization): PusherClient =>
  new Pusher(key, {
    cluster: '',
    wsHost: '127.0.0.1',
    wsPort: port,
    forceTLS: false,
    enabledTransports: ['ws'],
    enableStats: false,
    ...(channelAuthorization && { channelAuthorization }),
  })
