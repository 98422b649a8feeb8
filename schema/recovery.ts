/** Recovery: how a subscriber says what it saw last, and how it is told what it missed. */

import type { ChatChannel } from './channels.ts'
import type { LoggedEvent } from './events.ts'
import { eventFrame } from './frames.ts'

/** Bounds of one replay: beyond them the subscriber is told to read the state anew. */
export const maxReplay = { events: 1000, bytes: 1024 * 1024 }

/** Why a subscriber was not given what it missed. */
export type RecoveryFailure = 'expired' | 'invalid' | 'too_many' | 'unavailable'

/**
 * The number of the last event that a subscriber saw on a channel: of the workspace, and on a visitor's channel the
 * `public_seq` of the conversation. `invalid` is what is no such number.
 */
export type Since = number | 'invalid'

/** Reads a `since` as clients send it; absent, empty, `undefined` and `null` mean that there is none. */
export const readSince = (given: unknown): Since | undefined => {
  if (given === undefined || given === null || given === '' || given === 'undefined' || given === 'null')
    return undefined
  const text = typeof given === 'number' ? String(given) : given
  if (typeof text !== 'string' || !/^\d{1,15}$/.test(text)) return 'invalid'
  return Number(text)
}

/** Asks the log what a channel told after `since`. */
export type MissedRequest = { workspace: string; channel: ChatChannel; since: number }

/**
 * What the log answers: all of it in order, or why it cannot. `head` is the number of the newest event, of the
 * workspace or, on a visitor's channel, of the conversation's `public_seq`.
 */
export type Missed =
  | { events: LoggedEvent[]; head: number }
  | { failure: 'expired' | 'invalid' | 'too_many'; head: number }

/** How a replay went; `to` is the number up to which everything was told, null where it is not known. */
export type Recovery = { from: number | null; to: number | null; failure?: RecoveryFailure }

/**
 * Writes `hubbub:recovery`: from here on a channel is heard live. Where `recovered` is false the state has to be read
 * anew, at the path `sync` of the API.
 */
export const recoveryFrame = (channel: string, chat: ChatChannel, { from, to, failure }: Recovery): string =>
  eventFrame(
    channel,
    'hubbub:recovery',
    JSON.stringify({ recovered: failure === undefined, from, to, reason: failure, sync: syncPath(chat) }),
  )

const syncPath = ({ audience, id }: ChatChannel): string => {
  if (audience === 'conv') return `/api/v1/conversations/${id}/messages`
  if (audience === 'visitor') return '/api/v1/chat/conversations/{visitor_token}/messages'
  return '/api/v1/snapshot'
}
