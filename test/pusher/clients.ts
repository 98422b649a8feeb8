/** Users of a Pusher server in a browser: pusher-js as its documentation sets it up, with what it has heard. */

import { onTestFinished } from 'vitest'
import { z } from 'zod'
import { Pusher, type PusherClient, type PusherOptions } from '../support/pusher-js.ts'
import { type PusherNodes, shop } from '../support/pusher-nodes.ts'

/** What was heard. */
export type Heard = { event: string; data: unknown }

export type Browser = {
  pusher: PusherClient
  /** Subscribes and resolves when that is confirmed; keeps all that is told there. */
  join(channel: string): Promise<{ channel: ReturnType<PusherClient['subscribe']>; heard: Heard[] }>
  /** Signs in and resolves when the user is heard on the channel of its own. */
  signIn(): Promise<void>
}

/** Who the app's server says that a browser belongs to. */
export type Visitor = { id: string; user_info?: Record<string, unknown>; watchlist?: string[] }

/** Returns how pusher-js is set up for a node; the app's server signs with the official SDK. */
export const optionsFor = (nodes: PusherNodes, node: number, visitor?: Visitor): PusherOptions => {
  const server = nodes.serverAt(node)
  return {
    cluster: '',
    wsHost: '127.0.0.1',
    wsPort: nodes.portOf(node),
    forceTLS: false,
    enabledTransports: ['ws'],
    enableStats: false,
    channelAuthorization: {
      customHandler: ({ socketId, channelName }, done) => {
        const member = channelName.startsWith('presence-') && visitor ? memberOf(visitor) : undefined
        done(null, server.authorizeChannel(socketId, channelName, member))
      },
    },
    userAuthentication: {
      customHandler: ({ socketId }, done) => {
        if (visitor) done(null, server.authenticateUser(socketId, visitor))
        else done(new Error('nobody'), null)
      },
    },
  }
}

/** Opens a browser at a node, for the rest of the test. */
export const openBrowser = async (nodes: PusherNodes, node: number, visitor?: Visitor): Promise<Browser> => {
  const pusher = new Pusher(shop.key, optionsFor(nodes, node, visitor))
  onTestFinished(() => pusher.disconnect())
  await new Promise<void>((resolve) => pusher.connection.bind('connected', () => resolve()))
  return {
    pusher,
    join: async (name) => {
      const channel = pusher.subscribe(name)
      const heard: Heard[] = []
      channel.bind_global((event, data) => {
        // It comes whenever somebody comes or goes.
        if (event !== 'pusher:subscription_count') heard.push({ event, data })
      })
      await new Promise<void>((resolve, reject) => {
        channel.bind('pusher:subscription_succeeded', () => resolve())
        channel.bind('pusher:subscription_error', (error) => reject(new Error(JSON.stringify(error))))
      })
      heard.length = 0
      return { channel, heard }
    },
    signIn: async () => {
      const signedIn = new Promise<void>((resolve) => {
        pusher.connection.bind('message', (message) => {
          const { event, channel } = z.object({ event: z.string(), channel: z.string().optional() }).parse(message)
          if (channel?.startsWith('#') && event === 'pusher_internal:subscription_succeeded') resolve()
        })
      })
      pusher.signin()
      await signedIn
    },
  }
}

const memberOf = ({ id, user_info }: Visitor) =>
  user_info === undefined ? { user_id: id } : { user_id: id, user_info }
