/** The roster inside one process: nobody else has to be asked, and nobody else can die. */

import { channelKind, channelUser, userChannel } from '../../schema/channels.ts'
import type { HookEvent } from '../../schema/pusher-hooks.ts'
import {
  type CachedEvent,
  cacheLifetime,
  countPause,
  goodbyeDelay,
  largeChannel,
  type Member,
  type MemberChange,
  missedPause,
  type Roster,
  type RosterListener,
  type RosterPolicy,
} from './roster.ts'
import { createShortMemory } from './short-memory.ts'

/** A channel that has sockets or members. `told` is the count that was told last. */
type Place = { sockets: number; members?: Map<string, Member>; told: number; toldAt: number; due?: NodeJS.Timeout }

/**
 * Makes a roster for one process. `changed` is told right after `join` or `leave` has returned, everything else in the
 * call that made it so. `now` and the pauses are in ms.
 */
export const createMemoryRoster = ({
  policyOf,
  listener,
  now = () => performance.now(),
  goodbyePause = goodbyeDelay,
  pause = countPause,
}: {
  policyOf: (app: string) => RosterPolicy
  listener: RosterListener
  now?: () => number
  goodbyePause?: number
  pause?: number
}): Roster => {
  const apps = new Map<string, Map<string, Place>>()
  /** What will be noticed unless somebody comes back before. */
  const goodbyes = new Map<string, NodeJS.Timeout>()
  const cached = createShortMemory<CachedEvent>({ lifetime: cacheLifetime * 1000, now })
  const misses = createShortMemory<true>({ lifetime: missedPause * 1000, now })
  const changes: { app: string; channel: string; change: MemberChange }[] = []
  let version = 0
  let isClosed = false

  const placeOf = (app: string, channel: string): Place => {
    const places = apps.get(app) ?? new Map<string, Place>()
    apps.set(app, places)
    const place = places.get(channel) ?? { sockets: 0, told: 0, toldAt: Number.NEGATIVE_INFINITY }
    places.set(channel, place)
    return place
  }

  const dropIfEmpty = (app: string, channel: string, place: Place): void => {
    if (place.sockets > 0 || place.members?.size) return
    clearTimeout(place.due)
    const places = apps.get(app)
    places?.delete(channel)
    if (places?.size === 0) apps.delete(app)
  }

  /** Notices that somebody came, unless a goodbye is pending: then neither is told. */
  const greet = (app: string, goodbye: string, event: HookEvent): void => {
    if (!policyOf(app).hasHooks) return
    clearTimeout(goodbyes.get(goodbye))
    if (!goodbyes.delete(goodbye)) listener.noticed(app, event)
  }

  const sayGoodbye = (app: string, goodbye: string, event: HookEvent): void => {
    if (!policyOf(app).hasHooks) return
    clearTimeout(goodbyes.get(goodbye))
    const timer = setTimeout(() => {
      goodbyes.delete(goodbye)
      listener.noticed(app, event)
    }, goodbyePause)
    goodbyes.set(goodbye, timer)
  }

  const turn = (app: string, channel: string, isOccupied: boolean): void => {
    const user = channelUser(channel)
    if (user !== undefined) listener.turned(app, user, isOccupied)
    else if (!policyOf(app).hasHooks) return
    else if (isOccupied) greet(app, keyOf(app, channel), { name: 'channel_occupied', channel })
    else sayGoodbye(app, keyOf(app, channel), { name: 'channel_vacated', channel })
  }

  const tellCount = (app: string, channel: string, place: Place): void => {
    clearTimeout(place.due)
    delete place.due
    place.told = place.sockets
    place.toldAt = now()
    listener.counted(app, channel, place.sockets)
    if (!policyOf(app).hasHooks) return
    listener.noticed(app, { name: 'subscription_count', channel, subscription_count: place.sockets })
  }

  const count = (app: string, channel: string, place: Place): void => {
    if (!policyOf(app).tellsCounts || !hasCount(channel)) return
    const wait = place.sockets > largeChannel ? place.toldAt + pause - now() : 0
    if (wait <= 0) tellCount(app, channel, place)
    else place.due ??= setTimeout(tellDueCount, wait, app, channel, place)
  }
  const tellDueCount = (app: string, channel: string, place: Place): void => {
    delete place.due
    if (place.sockets !== place.told) tellCount(app, channel, place)
  }

  const change = (app: string, channel: string, kind: MemberChange['kind'], member: Member): void => {
    version += 1
    if (changes.push({ app, channel, change: { kind, member, version } }) === 1) queueMicrotask(tellChanges)
  }
  const tellChanges = (): void => {
    for (const { app, channel, change } of changes.splice(0)) if (!isClosed) listener.changed(app, channel, change)
  }

  return {
    occupy: (app, channel, sockets) => {
      if (isClosed) return
      const place = apps.get(app)?.get(channel) ?? placeOf(app, channel)
      const before = place.sockets
      place.sockets = sockets
      if (sockets !== before) {
        if (before === 0 || sockets === 0) turn(app, channel, sockets > 0)
        count(app, channel, place)
      }
      if (sockets === 0) dropIfEmpty(app, channel, place)
    },
    join: async (app, channel, member, max) => {
      if (isClosed) return 'unknown'
      const user = String(member.user_id)
      const known = apps.get(app)?.get(channel)?.members
      if (known?.has(user)) return 'joined'
      if ((known?.size ?? 0) >= max) return 'full'
      const place = placeOf(app, channel)
      place.members ??= new Map()
      place.members.set(user, member)
      change(app, channel, 'joined', member)
      greet(app, keyOf(app, channel, user), { name: 'member_added', channel, user_id: member.user_id })
      return 'joined'
    },
    leave: (app, channel, user) => {
      const place = apps.get(app)?.get(channel)
      const member = place?.members?.get(user)
      if (!place || !member) return
      place.members?.delete(user)
      dropIfEmpty(app, channel, place)
      change(app, channel, 'left', member)
      sayGoodbye(app, keyOf(app, channel, user), { name: 'member_removed', channel, user_id: member.user_id })
    },
    members: async (app, channel) => ({
      members: [...(apps.get(app)?.get(channel)?.members?.values() ?? [])],
      version,
    }),
    counts: async (app, channels) =>
      channels.map((channel) => {
        const place = apps.get(app)?.get(channel)
        return { subscriptions: place?.sockets ?? 0, users: place?.members?.size ?? 0 }
      }),
    channels: async (app, prefix) =>
      [...(apps.get(app) ?? [])]
        .filter(([name, { sockets }]) => sockets > 0 && name.startsWith(prefix) && channelUser(name) === undefined)
        .map(([name]) => name),
    online: async (app, users) => users.map((user) => (apps.get(app)?.get(userChannel(user))?.sockets ?? 0) > 0),
    othersSockets: () => 0,
    occupySockets: () => undefined,
    remember: async (app, channel, event) => {
      version += 1
      cached.set(keyOf(app, channel), { ...event, version })
      misses.delete(keyOf(app, channel))
      return version
    },
    recall: async (app, channel) => {
      const kept = cached.get(keyOf(app, channel))
      return kept && { ...kept.value, ttl: Math.ceil(kept.left / 1000) }
    },
    missed: async (app, channel) => {
      const key = keyOf(app, channel)
      if (misses.get(key)) return false
      misses.set(key, true)
      return true
    },
    recheck: () => {
      if (!isClosed) listener.returned()
    },
    close: async () => {
      isClosed = true
      for (const timer of goodbyes.values()) clearTimeout(timer)
      for (const places of apps.values()) for (const { due } of places.values()) clearTimeout(due)
      goodbyes.clear()
      apps.clear()
    },
  }
}

// No id of an app and no name of a channel has a line break; a user's may.
const keyOf = (app: string, channel: string, user?: string): string =>
  user === undefined ? `${app}\n${channel}` : `${app}\n${channel}\n${user}`

/** Returns whether the number of sockets on a channel is told: the members of a presence channel are told instead. */
const hasCount = (channel: string): boolean =>
  channelUser(channel) === undefined && channelKind(channel).access !== 'presence'
