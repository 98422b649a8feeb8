/** The life of a node among others: it beats, comes back after it was away, and sweeps what the dead have left. */

import type { Logger } from '../../logger.ts'
import { within } from '../../within.ts'
import type { RosterListener } from '../roster.ts'
import { type Claim, type Claims, sayAgain, sayOver } from './claims.ts'
import type { Lease } from './lease.ts'
import type { Notices } from './notices.ts'
import type { Speaker } from './speaker.ts'
import type { RosterTimes } from './times.ts'

export type Life = {
  start(): void
  /** The link to Redis is there, for the first time or again. */
  linked(): void
  /** What is said of these channels is on a connection on which it was not: it may have been lost. */
  gained(isGained: (claim: Pick<Claim, 'app' | 'channel'>) => boolean): void
  /** Looks whether the others still know this node, and tells that it has returned. */
  comeBack(): void
  /** Resolves when nothing more is done. */
  end(): Promise<void>
}

/** Makes the life of a node, which begins with `start`. */
export const createLife = ({
  isReady,
  load,
  register,
  isCluster,
  lease,
  claims,
  speaker,
  notices,
  sweep,
  listener,
  times,
  now,
  logger,
}: {
  /** Whether it can be said now that this node lives. */
  isReady: () => boolean
  /** Gives Redis the scripts once more. */
  load: () => Promise<void>
  /** Puts this node on the list of those who have anything in Redis. */
  register: () => void
  /** In a Cluster others may always have to say again what they have, before it can be read. */
  isCluster: boolean
  lease: Lease
  claims: Claims
  speaker: Speaker
  notices: Pick<Notices, 'writeAgain'>
  sweep: () => Promise<void>
  listener: Pick<RosterListener, 'returned'>
  times: RosterTimes
  now: () => number
  logger: Logger
}): Life => {
  let isOn = false
  let linkedAt = now()
  let timers: NodeJS.Timeout[] = []
  let settling: NodeJS.Timeout | undefined
  let looking: Promise<void> | undefined
  let isWanted = false
  let isSweeping = false

  /** Beats, once at a time; what is asked meanwhile is looked at after that. */
  const look = async (): Promise<void> => {
    if (looking || !isOn) return
    if (!isReady()) {
      if (isCluster) goOnWithout()
      return
    }
    const isReturn = isWanted
    isWanted = false
    let hasFailed = false
    looking = beat(isReturn).catch((error) => {
      hasFailed = true
      // Of a lost link the bus has told, and the next one begins with this.
      if (isReady()) logger.warn({ err: error }, 'the roster could not be looked after; it is tried again')
    })
    await looking
    looking = undefined
    if (isWanted) void look()
    else isWanted = hasFailed
  }

  const beat = async (isReturn: boolean): Promise<void> => {
    // Redis forgets scripts when it is started again.
    if (isReturn) await load()
    const outcome = await lease.beat()
    if (outcome === 'reaped') logger.warn({ node: lease.node() }, 'this node was taken for dead; it has a new name')
    if (outcome === 'emptied') {
      logger.warn({ node: lease.node() }, 'Redis has lost what the roster had there; this node says again what it has')
      for (const claim of claims.all()) {
        sayAgain(claim)
        speaker.say(claim)
      }
      notices.writeAgain()
    }
    if (isReturn || outcome !== 'kept') register()
    speaker.resume()
    if (outcome === 'emptied') {
      // The others have to say it again, too, before it can be read.
      clearTimeout(settling)
      settling = setTimeout(tellReturned, times.settle)
    } else if (isCluster && isReturn) {
      settling ??= setTimeout(tellReturned, times.settle)
    } else if (!settling && (outcome === 'reaped' || isReturn)) {
      void tellWhenSaid()
    }
  }

  /** What the other shards have goes on while the one with the leases is away: nobody else is taken for dead then. */
  const goOnWithout = (): void => {
    speaker.resume()
    if (!isWanted) return
    isWanted = false
    register()
    settling ??= setTimeout(tellReturned, times.settle)
  }

  const tellWhenSaid = async (): Promise<void> => {
    const said = speaker.settle()
    if (said) await within(said, times.settle)
    // A link that was lost meanwhile comes back here.
    if (lease.isHeld()) tellReturned()
  }

  const tellReturned = (): void => {
    settling = undefined
    if (!isOn) return
    try {
      listener.returned()
    } catch (error) {
      logger.error({ err: error }, 'that the roster is back could not be taken')
    }
  }

  const sweepOnce = async (): Promise<void> => {
    // After an outage the others have to be able to beat first.
    if (isSweeping || !isReady() || !lease.isHeld() || now() - linkedAt < times.settle) return
    isSweeping = true
    await sweep().catch((error) => {
      if (isReady()) logger.warn({ err: error }, 'dead nodes could not be swept; it is tried again')
    })
    isSweeping = false
  }

  const comeBack = (): void => {
    isWanted = true
    void look()
  }

  return {
    start: () => {
      isOn = true
      timers = [setInterval(look, times.beat), setInterval(sweepOnce, times.sweep)]
    },
    linked: () => {
      linkedAt = now()
      if (isOn) comeBack()
    },
    comeBack,
    gained: (isGained) => {
      linkedAt = now()
      if (!isOn) return
      clearTimeout(settling)
      settling = undefined
      for (const claim of claims.all()) {
        if (!isGained(claim)) continue
        sayOver(claim)
        speaker.say(claim)
      }
      comeBack()
    },
    end: async () => {
      isOn = false
      for (const timer of timers) clearInterval(timer)
      clearTimeout(settling)
      await looking
    },
  }
}
