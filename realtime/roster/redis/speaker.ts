/** Says to Redis what this process claims: all that has changed, in one batch after the other, over one link. */

import type { Logger } from '../../logger.ts'
import type { Answer, Asked, Keyspace } from '../../redis/keyspace.ts'
import type { Member } from '../roster.ts'
import { type Claim, type Claims, dropMember, isNothing, type MemberClaim } from './claims.ts'
import { placeName, type RosterKeys, type RosterPart } from './keys.ts'
import type { Goodbyes } from './notices.ts'
import type { CallChannel } from './scripts.ts'

export type Speaker = {
  /** Says what has changed of a claim, with all else of this turn. What somebody waits for goes first. */
  say(claim: Claim, isUrgent?: boolean): void
  /** Says what could not be said before. */
  resume(): void
  /** Resolves when all that there is to say now was said, or cannot be said. */
  settle(): Promise<void> | undefined
}

/** Has something asked in a batch, and its answer taken. */
type Run = (asked: Asked, take: (result: unknown) => void, fail: () => void) => void

/** How many channels are in one batch: Redis and this process have others to answer, too. */
const atOnce = 500

/** Makes a speaker. `mayTalk` returns whether anything can be said of a claim now, under the name of this process. */
export const createSpeaker = ({
  keyspace,
  keys,
  partAt,
  claims,
  node,
  call,
  mayTalk,
  heard,
  goodbyes,
  logger,
}: {
  keyspace: Pick<Keyspace, 'run' | 'runAll'>
  keys: RosterKeys
  /** Returns the part of the lists that is beside a key. */
  partAt: (key: string) => RosterPart
  claims: Claims
  node: () => string
  call: CallChannel
  mayTalk: (claim: Claim) => boolean
  /** Takes what a script leaves to do. */
  heard: (app: string, channel: string, todo: unknown, member?: Member) => void
  goodbyes: Pick<Goodbyes, 'isPending'>
  logger: Logger
}): Speaker => {
  const changed = new Set<Claim>()
  const urgent = new Set<Claim>()
  /** What could not be said when it changed. */
  const held = new Set<Claim>()
  let turn: NodeJS.Immediate | undefined
  let talk: Promise<void> | undefined

  const start = (): void => {
    turn = undefined
    talk ??= speak()
      .catch((error) => logger.error({ err: error }, 'the roster could not be said'))
      .finally(() => {
        talk = undefined
        if (urgent.size + changed.size > 0) turn ??= setImmediate(start)
      })
  }

  const speak = async (): Promise<void> => {
    while (urgent.size + changed.size > 0) {
      const batch = take()
      const now = batch.filter(mayTalk)
      if (now.length < batch.length) hold(batch.filter((claim) => !mayTalk(claim)))
      if (now.length > 0) await sayBatch(now)
    }
  }

  // Without Redis there is only the truth to hold, not what came and went.
  const hold = (batch: Claim[]): void => {
    for (const claim of batch) {
      for (const member of claim.changed ?? []) {
        answer(member, 'unknown')
        dropMember(claim, member)
      }
      if (isNothing(claim)) held.delete(claim)
      else held.add(claim)
      claims.drop(claim)
    }
  }

  const take = (): Claim[] => {
    const batch: Claim[] = []
    for (const set of [urgent, changed]) {
      for (const claim of set) {
        if (batch.length === atOnce) return batch
        set.delete(claim)
        batch.push(claim)
      }
    }
    return batch
  }

  const sayBatch = async (batch: Claim[]): Promise<void> => {
    const asked: Asked[] = []
    const takers: ((answer: Answer) => void)[] = []
    const name = node()
    let failure: Error | undefined
    const run: Run = (one, take, fail) => {
      asked.push(one)
      takers.push(([error, result]) => {
        failure = error ?? failure
        // What was said under another name has to be said again.
        if (error || name !== node()) fail()
        else take(result)
      })
    }
    for (const claim of batch) sayClaim(claim, run)
    const answers = await keyspace.runAll(asked)
    for (const [n, take] of takers.entries()) take(answers[n] ?? [new Error('no answer'), undefined])
    for (const claim of batch) forget(claim)
    if (failure && batch.some(mayTalk)) {
      logger.warn({ err: failure }, 'what the roster said could not be kept; it is said again')
    }
  }

  const sayClaim = (claim: Claim, run: Run): void => {
    const { app, channel, sockets, isForgotten } = claim
    let listing: Asked | undefined

    /** Puts the place on the list before anything is there: what is on no list is never found again. */
    const list = (): void => {
      if (claim.isListed) return
      claim.isListed = true
      claim.part = partAt(keys.roster(app, channel))
      const places = claim.part.places(node())
      listing = { key: places, command: ['sadd', places, placeName(app, channel)] }
      run(listing, nothing, nothing)
    }

    const sayMembers = (): void => {
      for (const member of claim.changed ?? []) {
        claim.changed?.delete(member)
        const { user, text, isHere, isUnsure } = member
        const had = !isUnsure && member.had ? 1 : 0
        if (isHere === member.had && !isUnsure && !isForgotten) {
          answer(member, 'joined')
          dropMember(claim, member)
          continue
        }
        list()
        const words = isHere
          ? call(
              'join',
              app,
              channel,
              user,
              text,
              member.had || isUnsure ? -1 : member.max,
              had,
              lost(isUnsure, member.had),
            )
          : call('leave', app, channel, user, text, had, lost(isUnsure, member.had))
        run(
          { ...words, needs: listing },
          (todo) => {
            if (isHere && isFull(todo)) return refuse(claim, member)
            Object.assign(member, { had: isHere, isUnsure: false })
            heard(app, channel, todo, member.member)
            if (isHere) answer(member, 'joined')
            dropMember(claim, member)
          },
          () => {
            member.isUnsure = !isForgotten
            claim.changed?.add(member)
            fail(claim, isForgotten)
            answer(member, 'unknown')
          },
        )
      }
    }

    const saySockets = (): void => {
      if (sockets === claim.had && !claim.isUnsure && !isForgotten) return
      list()
      const had = claim.isUnsure ? 0 : claim.had
      run(
        { ...call('occupy', app, channel, sockets, had, lost(claim.isUnsure, claim.had > 0)), needs: listing },
        (todo) => {
          Object.assign(claim, { had: sockets, isUnsure: false })
          heard(app, channel, todo)
        },
        () => {
          claim.isUnsure = !isForgotten
          fail(claim, isForgotten)
        },
      )
    }

    if (sockets > 0) saySockets()
    sayMembers()
    if (sockets === 0) saySockets()
    claim.isForgotten = false
  }

  const fail = (claim: Claim, isForgotten: boolean): void => {
    claim.isListed = false
    claim.isForgotten ||= isForgotten
    held.add(claim)
  }

  /** Takes a place off the list when nothing of this node is there; after the scripts that said so. */
  const forget = (claim: Claim): void => {
    const { app, channel } = claim
    if (claim.isListed && isNothing({ ...claim, isListed: false })) {
      claim.isListed = false
      const { places, goodbyes: goodbyesOf } = claim.part ?? partAt(keys.roster(app, channel))
      const [from, to, place] = [places(node()), goodbyesOf(node()), placeName(app, channel)]
      const gone = goodbyes.isPending(app, channel)
        ? keyspace.run(from, 'smove', from, to, place)
        : keyspace.run(from, 'srem', from, place)
      gone.catch(() => {
        // Nobody knows whether it is on the list: it is said once more that nothing is there.
        const again = claims.of(app, channel)
        again.isUnsure = true
        fail(again, false)
      })
    }
    claims.drop(claim)
  }

  const refuse = (claim: Claim, member: MemberClaim): void => {
    member.isUnsure = false
    if (member.waiting.size > 0) {
      member.isHere = false
      answer(member, 'full')
      dropMember(claim, member)
    } else if (member.isHere) {
      // Whoever asked has gone on without an answer.
      member.max = -1
      claim.changed?.add(member)
      changed.add(claim)
    } else {
      dropMember(claim, member)
    }
  }

  return {
    say: (claim, isUrgent) => {
      const set = isUrgent ? urgent : changed
      set.add(claim)
      if (!talk) turn ??= setImmediate(start)
    },
    resume: () => {
      for (const claim of held) changed.add(claim)
      held.clear()
      if (!talk) turn ??= setImmediate(start)
    },
    settle: () => {
      if (urgent.size + changed.size > 0 && !talk) {
        clearImmediate(turn)
        start()
      }
      return talk
    },
  }
}

// That a place could not be listed fails all that needs it.
const nothing = (): void => undefined

/** Tells a script whether an answer was lost, and whether none ever came. */
const lost = (isUnsure: boolean, had: boolean): '' | 'lost' | 'new' => (!isUnsure ? '' : had ? 'lost' : 'new')

const isFull = (todo: unknown): boolean => Array.isArray(todo) && Array.isArray(todo[0]) && todo[0][0] === 'full'

const answer = ({ waiting }: MemberClaim, joined: 'joined' | 'full' | 'unknown'): void => {
  for (const tell of waiting) tell(joined)
  waiting.clear()
}
