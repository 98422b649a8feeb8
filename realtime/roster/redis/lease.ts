/** The lease: what tells the other nodes that this one lives, and tells this one whether it was taken for dead. */

import { randomBytes } from 'node:crypto'
import type { Keyspace } from '../../redis/keyspace.ts'
import type { RosterKeys } from './keys.ts'
import type { Scripts } from './scripts.ts'

/** How a beat ended: `emptied`: Redis has lost everything; `reaped`: the others have taken this node for dead. */
export type Beat = 'kept' | 'emptied' | 'reaped'

export type Lease = {
  /** The name of this node: another one each time it was taken for dead. */
  node(): string
  /** Holds the lease for some time more; rejects where Redis does not answer. */
  beat(): Promise<Beat>
  /** Returns whether the lease is sure to be held now. */
  isHeld(): boolean
  /** Nothing is sure until the next beat. */
  doubt(): void
  occupySockets(app: string, sockets: number): void
  othersSockets(app: string): number
}

/** Makes a lease, which begins with its first beat. Times are in ms. */
export const createLease = ({
  keyspace,
  keys,
  callOf,
  time,
  now,
  renamed,
}: {
  keyspace: Pick<Keyspace, 'run'>
  keys: RosterKeys
  callOf: Scripts['callOf']
  time: number
  now: () => number
  /** Called when the node has another name, before anything can be said under it. */
  renamed: () => void
}): Lease => {
  let node = newName()
  let epoch = ''
  let heldUntil = Number.NEGATIVE_INFINITY
  const own = new Map<string, number>()
  let others = new Map<string, number>()

  /** Returns whether the node was let live. */
  const ask = async (known: string): Promise<{ found: string; isAlive: boolean }> => {
    // Redis counts from when it reads this, which is later.
    const asked = now()
    const sockets = [...own].flat()
    const names = [keys.leases, keys.dead, keys.epoch, keys.sockets]
    const answer = await keyspace.run(keys.leases, ...callOf('beat', names, node, time, known, newName(), ...sockets))
    const [found = '', isAlive, ...sums] = Array.isArray(answer) ? answer.map(String) : []
    if (isAlive !== '1') {
      heldUntil = Number.NEGATIVE_INFINITY
      return { found, isAlive: false }
    }
    heldUntil = asked + time
    others = new Map(pairs(sums).map(([app, sum]) => [app, Number(sum)]))
    return { found, isAlive: true }
  }

  return {
    node: () => node,
    beat: async () => {
      const { found, isAlive } = await ask(epoch)
      if (!isAlive) {
        node = newName()
        renamed()
        await ask('')
        return 'reaped'
      }
      const outcome = epoch === '' || epoch === found ? 'kept' : 'emptied'
      epoch = found
      return outcome
    },
    isHeld: () => now() < heldUntil,
    doubt: () => {
      heldUntil = Number.NEGATIVE_INFINITY
    },
    occupySockets: (app, sockets) => {
      own.set(app, sockets)
    },
    othersSockets: (app) => others.get(app) ?? 0,
  }
}

const newName = (): string => randomBytes(9).toString('base64url')

const pairs = (words: string[]): [string, string][] =>
  Array.from({ length: words.length / 2 }, (_, n) => [words[2 * n] ?? '', words[2 * n + 1] ?? ''])
