/** Arrivals: who waits in this process for events that are yet to come, and how they are woken. */

import { HubbubError } from '../../schema/errors.ts'
import type { LoggedEvent } from '../../schema/events.ts'
import type { AgentScope } from './context.ts'
import type { KeyCache } from './key-cache.ts'

/**
 * Why a wait has ended: there may be events after the place, the time is over, the key may have changed, the process is
 * about to stop, or nobody waits any more.
 */
export type Arrival = 'events' | 'time' | 'key' | 'closing' | 'left'

/** A place to wait at, for as long as a request lasts. */
export type Seat = {
  /** Waits, up to `ms`, until there may be events after `seq`. */
  next(seq: number, ms: number): Promise<Arrival>
  leave(): void
}

export type Arrivals = {
  /**
   * Takes a seat for a key; refused where it has too many, or the process has. `onCall` is called when the key may have
   * changed or the process is about to stop, also between two waits.
   */
  sit(agent: AgentScope, onCall?: () => void): Seat
  /** Wakes who waits for what this process has logged. */
  tell(events: LoggedEvent[]): void
  /** Ends all waits, and those to come. */
  close(): void
}

/** So many may wait at a time. */
export type ArrivalLimits = { perKey: number; perProcess: number }

const usualLimits: ArrivalLimits = { perKey: 20, perProcess: 2000 }

// What other processes write is seen by one query at this pace, in ms; with the query itself that stays below 500.
const lookInterval = 250

// A process that is about to stop still answers for a while: whoever waits there is sent elsewhere, but not in a hurry.
const drainingWait = 1000

type Sitter = {
  workspace: string
  site: string | null
  key: string
  /** The newest event that the sitter may have to hear of. */
  known: number
  /** What has happened between two waits. */
  call: 'key' | 'closing' | undefined
  onCall: () => void
  waiting: { seq: number; end: (arrival: Arrival) => void } | undefined
}

/**
 * Makes the waiting room. `heads` reads the numbers of the last events: one query for all that anybody waits for, and
 * none where nobody does.
 */
export const createArrivals = ({
  heads,
  keys,
  isDraining,
  onFailure,
  limits = usualLimits,
}: {
  heads: (workspaces: string[]) => Promise<Map<string, number>>
  keys: Pick<KeyCache, 'watch'>
  isDraining: () => boolean
  onFailure: (error: unknown) => void
  limits?: ArrivalLimits
}): Arrivals => {
  const sitters = new Set<Sitter>()
  const byWorkspace = new Map<string, Set<Sitter>>()
  let waiting = 0
  let look: NodeJS.Timeout | undefined
  let looking = false
  let closed = false
  let wasDraining = false

  const learn = (sitter: Sitter, seq: number): void => {
    if (seq > sitter.known) sitter.known = seq
    if (sitter.waiting && sitter.known > sitter.waiting.seq) sitter.waiting.end('events')
  }
  const callUp = (sitter: Sitter, call: 'key' | 'closing'): void => {
    sitter.call = call
    sitter.waiting?.end(call)
    sitter.onCall()
  }
  const lookUp = async (): Promise<void> => {
    if (isDraining() && !wasDraining) {
      wasDraining = true
      for (const sitter of sitters) callUp(sitter, 'closing')
    }
    const awaited = [...sitters].filter((sitter) => sitter.waiting)
    if (awaited.length === 0) return
    const numbers = await heads([...new Set(awaited.map(({ workspace }) => workspace))])
    for (const sitter of sitters) learn(sitter, numbers.get(sitter.workspace) ?? 0)
  }
  const lookLater = (): void => {
    if (look !== undefined || looking || waiting === 0 || closed) return
    look = setTimeout(() => {
      look = undefined
      looking = true
      lookUp()
        .catch(onFailure)
        .finally(() => {
          looking = false
          lookLater()
        })
    }, lookInterval)
  }
  const unwatch = keys.watch((key) => {
    for (const sitter of sitters) if (key === undefined || sitter.key === key) callUp(sitter, 'key')
  })

  const wait = (sitter: Sitter, seq: number, ms: number): Promise<Arrival> => {
    if (!sitters.has(sitter)) return Promise.resolve('left')
    const { call } = sitter
    sitter.call = undefined
    if (closed) return Promise.resolve('closing')
    if (call) return Promise.resolve(call)
    if (sitter.known > seq) return Promise.resolve('events')
    return new Promise((resolve) => {
      const end = (arrival: Arrival): void => {
        clearTimeout(timer)
        sitter.waiting = undefined
        sitter.call = undefined
        waiting -= 1
        resolve(arrival)
      }
      const [over, time] = isDraining() ? (['closing', Math.min(ms, drainingWait)] as const) : (['time', ms] as const)
      const timer = setTimeout(() => end(over), Math.max(0, time))
      sitter.waiting = { seq, end }
      waiting += 1
      lookLater()
    })
  }

  return {
    sit: ({ workspace, site, key }, onCall = () => undefined) => {
      const ofKey = [...sitters].filter((sitter) => sitter.key === key.publicId).length
      if (ofKey >= limits.perKey) {
        throw new HubbubError(
          'rate_limited',
          `This API key waits ${limits.perKey} times already; end a wait or a stream, or ask with wait=0.`,
        )
      }
      if (sitters.size >= limits.perProcess) {
        throw new HubbubError('unavailable', 'Too many wait here already; try again shortly, or ask with wait=0.')
      }
      const sitter: Sitter = {
        workspace: workspace.publicId,
        site: site?.publicId ?? null,
        key: key.publicId,
        known: 0,
        call: undefined,
        onCall,
        waiting: undefined,
      }
      sitters.add(sitter)
      const neighbours = byWorkspace.get(sitter.workspace) ?? new Set()
      byWorkspace.set(sitter.workspace, neighbours.add(sitter))
      return {
        next: (seq, ms) => wait(sitter, seq, ms),
        leave: () => {
          sitters.delete(sitter)
          neighbours.delete(sitter)
          if (neighbours.size === 0 && byWorkspace.get(sitter.workspace) === neighbours)
            byWorkspace.delete(sitter.workspace)
          sitter.waiting?.end('left')
        },
      }
    },
    tell: (events) => {
      for (const { workspace, site, seq } of events) {
        for (const sitter of byWorkspace.get(workspace) ?? []) {
          if (sitter.site === null || sitter.site === site) learn(sitter, seq)
        }
      }
    },
    close: () => {
      closed = true
      clearTimeout(look)
      unwatch()
      for (const sitter of sitters) callUp(sitter, 'closing')
    },
  }
}
