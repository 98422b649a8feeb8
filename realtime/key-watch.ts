/** The key watch: which subscriptions an API key has opened, and cutting them when it opens them no longer. */

import type { ChannelGrant } from '../schema/channel-auth.ts'
import { channelKind } from '../schema/channels.ts'
import { refusedFrame } from '../schema/frames.ts'
import { decodeKeyNotice, type KeyFate, type KeyNotice, type KeyStanding } from '../schema/key-notice.ts'
import { pusherCodes } from '../schema/pusher-codes.ts'
import type { Hub } from './hub.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import type { KeyHold, Socket } from './socket.ts'

export type KeyWatch = {
  /** Returns why a grant opens nothing any more; undefined if nothing is known against it. */
  refusal(grant: ChannelGrant | undefined): string | undefined
  /** Counts a subscription of a socket and returns what it is held by; undefined where no key opened it. */
  hold(socket: Socket, grant: ChannelGrant | undefined): KeyHold | undefined
  /** Counts one less. */
  release(socket: Socket, hold: KeyHold): void
  /** Takes a notice of the bus. */
  receive(message: string): void
  /** Compares all keys with how they stand now: notices may have been lost. */
  recheck(): Promise<void>
  close(): void
}

/** For how long a hub remembers a notice, in ms: twice as long as a signature may be used. */
const remembered = 120_000

/** Makes the watch. Without `keyStates` there is nothing to compare with. */
export const createKeyWatch = ({
  hub,
  keyStates,
  metrics,
  logger,
  now = Date.now,
}: {
  hub: Pick<Hub, 'leave'>
  keyStates: ((keys: string[]) => Promise<Map<string, KeyStanding>>) | undefined
  metrics: Pick<Metrics, 'keyCuts'>
  logger: Logger
  now?: () => number
}): KeyWatch => {
  const holds = new Map<string, KeyHold>()
  const notices = new Map<string, KeyNotice & { until: number }>()

  const hear = (notice: KeyNotice): void => {
    forgetOldNotices()
    const known = notices.get(notice.key)
    if (known && known.version > notice.version) return
    // At the end, since the oldest come first.
    notices.delete(notice.key)
    notices.set(notice.key, { ...notice, until: now() + remembered })
    for (const hold of [...holds.values()]) {
      if (hold.key === notice.key && hold.version < notice.version) cut(hold, reasons[notice.fate])
    }
  }

  const forgetOldNotices = (): void => {
    for (const [key, { until }] of notices) {
      if (until > now()) return
      notices.delete(key)
    }
  }

  const cut = (hold: KeyHold, error: string): void => {
    for (const socket of [...hold.holders.keys()]) {
      for (const [channel, by] of [...socket.channels]) {
        if (by?.key !== hold) continue
        hub.leave(socket, channel)
        metrics.keyCuts.inc()
        socket.send(refusedFrame(channel, error, 401))
        socket.sendError(error)
      }
      if (!socket.user && !hasAuthorizedChannel(socket)) socket.refuse(pusherCodes.unauthorized, error)
    }
  }

  const expireAt = (hold: KeyHold, seconds: number): void => {
    const left = seconds * 1000 - now()
    if (left <= 0) cut(hold, reasons.expired)
    else hold.expiry = setTimeout(expireAt, Math.min(left, longestTimer), hold, seconds)
  }

  const isHeldBefore = (key: string, version: number): boolean =>
    [...holds.values()].some((hold) => hold.key === key && hold.version < version)

  const drop = (hold: KeyHold): void => {
    clearTimeout(hold.expiry)
    holds.delete(nameOf(hold.key, hold.version))
  }

  return {
    refusal: (grant) => {
      if (grant?.key === undefined) return undefined
      const notice = notices.get(grant.key)
      if (notice && (grant.version ?? 0) < notice.version && notice.until > now()) return reasons[notice.fate]
      return grant.exp !== undefined && grant.exp * 1000 <= now() ? reasons.expired : undefined
    },

    hold: (socket, grant) => {
      if (grant?.key === undefined) return undefined
      const { key, version = 0, exp } = grant
      let hold = holds.get(nameOf(key, version))
      if (!hold) {
        hold = { key, version, holders: new Map(), expiry: undefined }
        holds.set(nameOf(key, version), hold)
        if (exp !== undefined) expireAt(hold, exp)
      }
      hold.holders.set(socket, (hold.holders.get(socket) ?? 0) + 1)
      return hold
    },

    release: (socket, hold) => {
      const left = (hold.holders.get(socket) ?? 0) - 1
      if (left > 0) hold.holders.set(socket, left)
      else hold.holders.delete(socket)
      if (hold.holders.size === 0) drop(hold)
    },

    receive: (message) => {
      const notice = decodeKeyNotice(message)
      if (notice) hear(notice)
      else logger.error({}, 'a message on the bus is not a notice')
    },

    recheck: async () => {
      if (holds.size === 0) return
      if (!keyStates) {
        // Nobody can be asked: whom a key let in authorizes again.
        const sockets = new Set([...holds.values()].flatMap(({ holders }) => [...holders.keys()]))
        for (const socket of sockets) socket.refuse(pusherCodes.reconnect, 'Authorize again: the bus was away')
        return
      }
      const keys = [...new Set([...holds.values()].map(({ key }) => key))]
      const states = await keyStates(keys)
      for (const key of keys) {
        const standing = states.get(key) ?? { version: Number.MAX_SAFE_INTEGER, refusal: 'revoked' as const }
        const fate: KeyFate = standing.refusal ?? 'changed'
        if (standing.refusal || isHeldBefore(key, standing.version)) hear({ key, version: standing.version, fate })
      }
    },

    close: () => {
      for (const hold of holds.values()) clearTimeout(hold.expiry)
      holds.clear()
    },
  }
}

const reasons: Record<KeyFate, string> = {
  revoked: 'API key revoked',
  expired: 'API key expired',
  changed: 'API key changed: authorize again',
}

// What setTimeout can wait at most.
const longestTimer = 2 ** 31 - 1

const nameOf = (key: string, version: number): string => `${key} ${version}`

const hasAuthorizedChannel = (socket: Socket): boolean =>
  [...socket.channels.keys()].some((channel) => channelKind(channel).access !== 'public')
