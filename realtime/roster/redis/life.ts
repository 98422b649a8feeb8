/** The life of a node among others: it beats, comes back after it was away, and sweeps what the dead have left. */

import type { Logger } from '../../logger.ts'
import type { RedisLink } from '../../redis/link.ts'
import { within } from '../../within.ts'
import type { RosterListener } from '../roster.ts'
import { type Claims, sayAgain } from './claims.ts'
import type { Lease } from './lease.ts'
import type { Notices } from './notices.ts'
import { loadScripts } from './scripts.ts'
import type { Speaker } from './speaker.ts'
import type { RosterTimes } from './times.ts'

export type Life = {
  start(): void
  /** The link to Redis is there, for the first time or again. */
  linked(): void
  /** Looks whether the others still know this node, and tells that it has returned. */
  comeBack(): void
  /** Resolves when nothing more is done. */
  end(): Promise<void>
}

/** Makes the life of a node, which begins with `start`. */
export const createLife = ({
  link,
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
  link: Pick<RedisLink, 'client' | 'isReady'>
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
    if (looking || !isOn || !link.isReady()) return
    const isReturn = isWanted
    isWanted = false
    let hasFailed = false
    looking = beat(isReturn).catch((error) => {
      hasFailed = true
      // Of a lost link the bus has told, and the next one begins with this.
      if (link.isReady()) logger.warn({ err: error }, 'the roster could not be looked after; it is tried again')
    })
    await looking
    looking = undefined
    if (isWanted) void look()
    else isWanted = hasFailed
  }

  const beat = async (isReturn: boolean): Promise<void> => {
    // Redis forgets scripts when it is started again.
    if (isReturn) await loadScripts(link.client)
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
    speaker.resume()
    if (outcome === 'emptied') {
      // The others have to say it again, too, before it can be read.
      clearTimeout(settling)
      settling = setTimeout(tellReturned, times.settle)
    } else if (!settling && (outcome === 'reaped' || isReturn)) {
      void tellWhenSaid()
    }
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
    if (isSweeping || !link.isReady() || !lease.isHeld() || now() - linkedAt < times.settle) return
    isSweeping = true
    await sweep().catch((error) => {
      if (link.isReady()) logger.warn({ err: error }, 'dead nodes could not be swept; it is tried again')
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
    end: async () => {
      isOn = false
      for (const timer of timers) clearInterval(timer)
      clearTimeout(settling)
      await looking
    },
  }
}
