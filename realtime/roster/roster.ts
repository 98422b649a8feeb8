/** The roster: facts that several nodes share: who is on a channel, how many, and what was triggered there last. */

import type { HookEvent } from '../../schema/pusher-hooks.ts'

/** A user on a presence channel, as signed: the id keeps its type. Two members are one if their ids are the same text. */
export type Member = { user_id: string | number; user_info?: unknown }

/**
 * A change of who is on a presence channel. Versions of a channel rise with each change, also when everybody had left
 * in between; there may be gaps between them.
 */
export type MemberChange = { kind: 'joined' | 'left'; member: Member; version: number }

/** How `join` ended: `unknown` where the other nodes cannot be asked now; they are told later. */
export type Joined = 'joined' | 'full' | 'unknown'

/** Of a channel, over all nodes: the sockets on it, and the users on a presence channel. */
export type Counts = { subscriptions: number; users: number }

/** What was triggered on a cache channel last; `frame` is what sockets get. Versions of a channel rise with each trigger. */
export type CachedEvent = { version: number; data: string; frame: string }

/**
 * Every function takes an app's id first. Promises reject where the answer cannot be had in time, but `join` never
 * does. `channel` is a channel's name, or `#server-to-user-ID`, which stands for the sockets that are signed in as a
 * user: those are told by `online`, and are neither counted nor noticed.
 */
export type Roster = {
  /** Says how many sockets of this process are on a channel now. Never waits; many calls in a turn are one. */
  occupy(app: string, channel: string, sockets: number): void
  /** Says that a user has a first socket on a presence channel here. `max`: how many members it may have. */
  join(app: string, channel: string, member: Member, max: number): Promise<Joined>
  /** Says that a user's last socket has left a presence channel here. */
  leave(app: string, channel: string, user: string): void
  /** Returns who is on a presence channel; changes of this version and before are in it. */
  members(app: string, channel: string): Promise<{ members: Member[]; version: number }>
  /** Returns the counts of channels, in their order. */
  counts(app: string, channels: readonly string[]): Promise<Counts[]>
  /** Returns the names of the channels that have sockets and begin with `prefix`. */
  channels(app: string, prefix: string): Promise<string[]>
  /** Returns whether there are sockets that are signed in as a user, in the order of the users. */
  online(app: string, users: readonly string[]): Promise<boolean[]>
  /** Returns how many sockets an app has on other nodes, as was known a moment ago. `occupySockets` says how many here. */
  othersSockets(app: string): number
  occupySockets(app: string, sockets: number): void
  /** Keeps what was triggered on a cache channel for 30 minutes; resolves to its version when every node would recall it. */
  remember(app: string, channel: string, event: Omit<CachedEvent, 'version'>): Promise<number>
  /** Returns what was kept, and for how many seconds more. */
  recall(app: string, channel: string): Promise<(CachedEvent & { ttl: number }) | undefined>
  /** Returns whether nobody has missed this channel's cached event in the last ten seconds. */
  missed(app: string, channel: string): Promise<boolean>
  /** Looks whether the others still know this process, since the bus was away; `returned` is called then. */
  recheck(): void
  /** Takes everything of this process out of the roster, without a word to its own listener, and ends. */
  close(): Promise<void>
}

/** What a roster tells. Changes come in their order, once; never before the call that made them returns a promise. */
export type RosterListener = {
  /** Who is on a presence channel has changed: told in every process that listens to the channel's subject. */
  changed(app: string, channel: string, change: MemberChange): void
  /** A user has a first socket that is signed in, or none any more: likewise, on the subject of `#server-to-user-ID`. */
  turned(app: string, user: string, isOnline: boolean): void
  /** How many sockets are on a channel has changed: likewise, in apps that tell it. */
  counted(app: string, channel: string, subscriptions: number): void
  /** Something that a webhook may tell: told in one process alone. */
  noticed(app: string, event: HookEvent): void
  /** What the others said may have been missed: members, cached events and who is online have to be read again. */
  returned(): void
}

/** What the roster does for an app beside keeping it. */
export type RosterPolicy = { tellsCounts: boolean; hasHooks: boolean }

/** After how many ms without a return a channel that was left is told to be vacated, and a member to be removed. */
export const goodbyeDelay = 3000

/** With more sockets than these a count is told at most every `countPause` ms. */
export const largeChannel = 100
export const countPause = 5000

/** For how long the last event of a cache channel is kept, in seconds. */
export const cacheLifetime = 30 * 60

/** For how long a cached event that was missed is not told to be missed again, in seconds. */
export const missedPause = 10
