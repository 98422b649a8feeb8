/** Presence: who is on a channel, as the sockets of this process have been told, kept right by what other nodes tell. */

import { memberAddedFrame, memberRemovedFrame, presentFrame } from '../schema/frames.ts'
import type { Hub } from './hub.ts'
import type { Logger } from './logger.ts'
import type { Member, MemberChange, Roster } from './roster/roster.ts'

export type Presence = {
  /**
   * Counts a socket of a user on a channel whose subject is listened to; `full` where the channel has no room. Who has
   * joined is in `present`, and leaves by `leave`. Never rejects.
   */
  join(channel: string, member: Member): Promise<'joined' | 'full'>
  leave(channel: string, userId: Member['user_id']): void
  /** Returns the confirmation of a subscription, with everybody who is on the channel. */
  present(channel: string): string
  /** Takes what a node tells of a channel. */
  changed(channel: string, change: MemberChange): void
  /** Reads all channels again, since changes may have been missed. */
  reread(): Promise<void>
}

/** A user with sockets of this process: how many, and how their joining goes. */
type Local = { sockets: number; joining: ReturnType<Roster['join']> }

/**
 * A channel that sockets of this process are on. `members` are those the sockets have been told of; everything up to
 * `version` is in it. While it is read, changes wait in `arrived`.
 */
type View = {
  holders: number
  members: Map<string, Member>
  locals: Map<string, Local>
  version: number
  reading: Promise<void> | undefined
  arrived: MemberChange[]
  frame: string | undefined
}

/** Makes the presence of an app. */
export const createPresence = ({
  appId,
  maxMembers,
  roster,
  hub,
  logger,
}: {
  appId: string
  maxMembers: number
  roster: Pick<Roster, 'join' | 'leave' | 'members'>
  hub: Pick<Hub, 'publish'>
  logger: Logger
}): Presence => {
  const views = new Map<string, View>()

  const open = (channel: string): View => {
    const known = views.get(channel)
    if (known) return known
    const view: View = {
      holders: 0,
      members: new Map(),
      locals: new Map(),
      version: 0,
      reading: undefined,
      arrived: [],
      frame: undefined,
    }
    views.set(channel, view)
    view.reading = read(channel, view)
    return view
  }

  /** Reads who is there, and tells how that differs from what was told. */
  const read = async (channel: string, view: View): Promise<void> => {
    try {
      const { members, version } = await roster.members(appId, channel)
      const present = new Set(members.map(nameOf))
      for (const [user, member] of view.members) if (!present.has(user)) remove(channel, view, user, member)
      for (const member of members) add(channel, view, member)
      view.version = version
    } catch (error) {
      logger.warn({ err: error, channel }, 'the members of a channel could not be read')
    }
    view.reading = undefined
    for (const change of view.arrived.splice(0)) apply(channel, view, change)
  }

  const apply = (channel: string, view: View, { kind, member, version }: MemberChange): void => {
    if (version <= view.version) return
    view.version = version
    if (kind === 'joined') add(channel, view, member)
    else remove(channel, view, nameOf(member), member)
  }

  const add = (channel: string, view: View, member: Member): void => {
    const user = nameOf(member)
    if (view.members.has(user)) return
    view.members.set(user, member)
    view.frame = undefined
    if (views.get(channel) === view) hub.publish(channel, memberAddedFrame(channel, member))
  }

  const remove = (channel: string, view: View, user: string, { user_id }: Member): void => {
    // Whoever has a socket here is there, whatever is told of the time before.
    if (view.locals.has(user) || !view.members.delete(user)) return
    view.frame = undefined
    if (views.get(channel) === view) hub.publish(channel, memberRemovedFrame(channel, user_id))
  }

  const release = (channel: string, view: View, user: string, local: Local): void => {
    local.sockets -= 1
    if (local.sockets === 0 && view.locals.get(user) === local) view.locals.delete(user)
    view.holders -= 1
    if (view.holders === 0) views.delete(channel)
  }

  return {
    join: async (channel, member) => {
      const view = open(channel)
      view.holders += 1
      await view.reading
      const user = nameOf(member)
      let local = view.locals.get(user)
      if (local) local.sockets += 1
      else {
        local = { sockets: 1, joining: roster.join(appId, channel, member, maxMembers) }
        view.locals.set(user, local)
      }
      if ((await local.joining) === 'full') {
        release(channel, view, user, local)
        return 'full'
      }
      // Nobody waits for the news of its own joining: it may be the second node that the user is on.
      add(channel, view, member)
      return 'joined'
    },

    leave: (channel, userId) => {
      const user = String(userId)
      const view = views.get(channel)
      const local = view?.locals.get(user)
      if (!view || !local) return
      release(channel, view, user, local)
      if (local.sockets === 0) roster.leave(appId, channel, user)
    },

    present: (channel) => {
      const view = open(channel)
      view.frame ??= presentFrame(channel, [...view.members.values()])
      return view.frame
    },

    changed: (channel, change) => {
      const view = views.get(channel)
      if (!view) return
      if (view.reading) view.arrived.push(change)
      else apply(channel, view, change)
    },

    reread: async () => {
      const all = [...views].filter(([, view]) => !view.reading)
      for (const [channel, view] of all) view.reading = read(channel, view)
      await Promise.all(all.map(([, view]) => view.reading))
    },
  }
}

const nameOf = ({ user_id }: Member): string => String(user_id)
