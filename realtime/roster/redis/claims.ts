/** Claims: what this process says of its own sockets and members, and what of it Redis has confirmed. */

import { writeMember } from '../news.ts'
import type { Joined, Member } from '../roster.ts'
import type { RosterPart } from './keys.ts'

/** What is claimed of one user. `max`: how many members the channel may have, -1: it is claimed whatever others say. */
export type MemberClaim = {
  readonly user: string
  member: Member
  text: string
  isHere: boolean
  /** Whether Redis has confirmed that it is here. */
  had: boolean
  /** Whether an answer was lost, so that Redis may have it or not. */
  isUnsure: boolean
  max: number
  waiting: Set<(joined: Joined) => void>
}

/** What is claimed of one channel. `isListed`: whether it is in the node's set of places. */
export type Claim = {
  readonly app: string
  readonly channel: string
  sockets: number
  /** How many Redis has confirmed. */
  had: number
  isUnsure: boolean
  isListed: boolean
  /** The part of the lists that it is in. */
  part: RosterPart | undefined
  /** Whether it has to be said although nothing has changed. */
  isForgotten: boolean
  members: Map<string, MemberClaim> | undefined
  /** The members that have something to say. */
  changed: Set<MemberClaim> | undefined
}

export type Claims = {
  get(app: string, channel: string): Claim | undefined
  of(app: string, channel: string): Claim
  /** Forgets a claim, if there is nothing in it and nothing left to say. */
  drop(claim: Claim): void
  all(): Claim[]
}

/** Makes the claims of a process. */
export const createClaims = (): Claims => {
  const apps = new Map<string, Map<string, Claim>>()

  return {
    get: (app, channel) => apps.get(app)?.get(channel),
    of: (app, channel) => {
      const channels = apps.get(app) ?? new Map<string, Claim>()
      apps.set(app, channels)
      const claim = channels.get(channel) ?? {
        app,
        channel,
        sockets: 0,
        had: 0,
        isUnsure: false,
        isListed: false,
        part: undefined,
        isForgotten: false,
        members: undefined,
        changed: undefined,
      }
      channels.set(channel, claim)
      return claim
    },
    drop: (claim) => {
      if (!isNothing(claim)) return
      const channels = apps.get(claim.app)
      if (channels?.get(claim.channel) === claim) channels.delete(claim.channel)
      if (channels?.size === 0) apps.delete(claim.app)
    },
    all: () => [...apps.values()].flatMap((channels) => [...channels.values()]),
  }
}

/** Claims that a user is here, who joins a channel of at most `max`. */
export const claimMember = (claim: Claim, member: Member, max: number): MemberClaim => {
  claim.members ??= new Map()
  const user = String(member.user_id)
  const known = claim.members.get(user)
  if (known?.isHere) return known
  const made: MemberClaim = known ?? {
    user,
    member,
    text: '',
    isHere: true,
    had: false,
    isUnsure: false,
    max,
    waiting: new Set(),
  }
  // Who has not been taken out yet stays the member that the others know.
  if (!made.had) Object.assign(made, { member, text: writeMember(member), max })
  made.isHere = true
  claim.members.set(user, made)
  changeMember(claim, made)
  return made
}

/** Marks a member that has something to say. */
export const changeMember = (claim: Claim, member: MemberClaim): void => {
  claim.changed ??= new Set()
  claim.changed.add(member)
}

/** Forgets a member that is not here, if Redis has confirmed that. */
export const dropMember = (claim: Claim, member: MemberClaim): void => {
  if (member.isHere || member.had || member.isUnsure) return
  if (claim.members?.get(member.user) === member) claim.members.delete(member.user)
  claim.changed?.delete(member)
}

/** Returns whether nothing is claimed of a channel, and Redis knows that. */
export const isNothing = ({ sockets, had, isUnsure, isListed, isForgotten, members }: Claim): boolean =>
  sockets === 0 && had === 0 && !isUnsure && !isListed && !isForgotten && !members?.size

/** Has everything said again to a Redis that was emptied: what it had confirmed is what the others still know. */
export const sayAgain = (claim: Claim): void => {
  claim.isListed = false
  claim.isForgotten = true
  claim.isUnsure = false
  for (const member of claim.members?.values() ?? []) {
    member.isUnsure = false
    changeMember(claim, member)
  }
}

/** Has everything said again to a shard that may have lost any of it. What it may have, it still may. */
export const sayOver = (claim: Claim): void => {
  claim.isListed = false
  claim.isForgotten = true
  for (const member of claim.members?.values() ?? []) changeMember(claim, member)
}

/** Has everything said under a new name: the others were told that all of the old one has gone. */
export const sayAnew = (claim: Claim): void => {
  claim.isListed = false
  claim.isForgotten = false
  claim.isUnsure = false
  claim.had = 0
  for (const member of claim.members?.values() ?? []) {
    Object.assign(member, { had: false, isUnsure: false, max: member.waiting.size > 0 ? member.max : -1 })
    changeMember(claim, member)
    dropMember(claim, member)
  }
}
