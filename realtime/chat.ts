/** The chat's side of an app: the streams of workspaces on its channels, what was missed, and the keys that open them. */

import type { ChannelGrant } from '../schema/channel-auth.ts'
import type { ChatChannel } from '../schema/channels.ts'
import { subscribedFrame } from '../schema/frames.ts'
import type { Bus } from './bus/bus.ts'
import type { Hub } from './hub.ts'
import { createKeyWatch } from './key-watch.ts'
import type { EventLog } from './log.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import { grantedWorkspace, type Refusal } from './refusals.ts'
import type { KeyHold, Socket } from './socket.ts'
import { createReplays } from './streams/replays.ts'
import { createStreams } from './streams/streams.ts'
import type { Asked } from './subscription-request.ts'

/** A subscription that is let in: `join` puts the socket on its channel, `isWanted` tells whether it still should. */
export type ChatEntry = {
  socket: Socket
  asked: Asked
  chat: ChatChannel
  workspace: string
  isWanted: () => boolean
  join: () => void
}

export type Chat = {
  /** Returns whose chat a channel is about, or why this socket may not hear it. */
  workspaceHeard(asked: Asked): Promise<string | undefined | Refusal>
  /** Counts a listener of a workspace. Returns a promise while its stream is not followed yet. */
  follow(workspace: string): Promise<void> | undefined
  release(workspace: string): void
  /** Confirms a subscription, tells what was missed, and joins. */
  enter(entry: ChatEntry): void | Promise<void>
  /** Returns why a grant opens nothing any more. */
  refusal(grant: ChannelGrant): Refusal | undefined
  /** Counts a subscription of a socket by the key that opened it. */
  hold(socket: Socket, grant: ChannelGrant | undefined): KeyHold | undefined
  releaseKey(socket: Socket, hold: KeyHold): void
  /** Says that a socket has room again, or is gone. */
  drained(socket: Socket): void
  forget(socket: Socket): void
  /** Takes a message of a workspace's stream, or a notice about a key. */
  receive(subject: string, message: string): void
  receiveNotice(message: string): void
  /** Catches up with what the bus may have lost. */
  busReturned(): void
  recheckKeys(): void
  close(): void
}

/** Makes it. Without a log (no database) events are told as they arrive and nothing is told again. */
export const createChat = ({
  bus,
  hub,
  log,
  metrics,
  logger,
  sendBuffer,
  now = Date.now,
}: {
  bus: Bus
  hub: Pick<Hub, 'count' | 'publish' | 'leave' | 'workspace'>
  log: EventLog | undefined
  metrics: Metrics
  logger: Logger
  sendBuffer: number
  now?: () => number
}): Chat => {
  const streams = createStreams({ bus, log, hub, metrics, logger })
  const keys = createKeyWatch({ hub, keyStates: log?.keyStates, metrics, logger })
  const replays = createReplays({ log, metrics, logger, maxBuffered: Math.min(64 * 1024, sendBuffer / 4) })

  const operatorWorkspace = async (chat: ChatChannel): Promise<string | Refusal> => {
    if (chat.audience === 'org') return chat.id
    if (!log) return { status: 503, error: 'This node has no database: subscribe with a grant of the authorizer' }
    return (await log.workspaceOf(chat)) ?? { status: 403, error: `There is no ${chat.id}` }
  }

  const recheckKeys = (): void => {
    keys.recheck().catch((error) => logger.warn({ err: error }, 'the keys could not be compared'))
  }

  return {
    workspaceHeard: async ({ channel, chat, place, grant }) => {
      if (!place) return undefined
      // On presence channels no events are heard: the operator's signature is enough.
      if (!grant && !chat) return undefined
      const workspace = grant ? grantedWorkspace(place, grant, now() / 1000) : await operatorWorkspace(place)
      const served = hub.workspace(channel)
      if (typeof workspace === 'string' && served !== undefined && served !== workspace) {
        return { status: 403, error: `${channel} is not of this workspace` }
      }
      return workspace
    },
    follow: streams.follow,
    release: streams.release,
    enter: ({ socket, asked: { channel, grant }, chat, workspace, isWanted, join }) => {
      const stream = streams.of(workspace)
      const since = grant?.since
      if (since !== undefined && stream) {
        socket.send(subscribedFrame(channel))
        return replays.run({ socket, channel, chat, workspace, stream, since, isWanted, join })
      }
      socket.send(subscribedFrame(channel, chat.audience === 'visitor' ? undefined : stream?.position()))
      join()
    },
    refusal: (grant) => {
      const error = keys.refusal(grant)
      return error === undefined ? undefined : { status: 401, error }
    },
    hold: keys.hold,
    releaseKey: keys.release,
    drained: replays.drained,
    forget: replays.drained,
    receive: streams.receive,
    receiveNotice: keys.receive,
    busReturned: () => {
      void streams.check()
      recheckKeys()
    },
    recheckKeys,
    close: () => {
      keys.close()
      streams.close()
    },
  }
}
