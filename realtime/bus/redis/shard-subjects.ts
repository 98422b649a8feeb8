/** The subjects that are wanted of a Cluster: each of the shard that has its slot, also after it has moved. */

import type { RedisSubjects } from './subjects.ts'

type Holder = { readonly subjects: RedisSubjects; hasMissed: boolean }

export type ShardSubjects<S> = {
  has(subject: string): boolean
  /** Wants a subject; resolves when its shard has confirmed it, or when it is no longer wanted. */
  add(subject: string): Promise<void>
  delete(subject: string): void
  /** Asks other shards for what is in these slots. */
  move(slots: ReadonlySet<number>): void
  /** Returns whether all that has moved to a shard is confirmed by it. */
  isSettled(shard: S): boolean
  /** Returns whether there is a shard for each. */
  isPlaced(): boolean
  close(): void
}

type Wish<S> = {
  readonly slot: number
  shard: S | undefined
  isMoving: boolean
  isConfirmed: boolean
  confirmed: Promise<void>
  confirm: () => void
}

/** Makes the set of what is wanted. `onSettled` is called when what has moved to a shard is confirmed. */
export const createShardSubjects = <S extends Holder>({
  shardOf,
  slotOf,
  onSettled,
}: {
  shardOf: (subject: string) => S | undefined
  slotOf: (subject: string) => number
  onSettled: () => void
}): ShardSubjects<S> => {
  const wishes = new Map<string, Wish<S>>()
  /** How many have moved to a shard that has yet to confirm them. */
  const moving = new Map<S, number>()
  const homeless = new Set<Wish<S>>()
  let isClosed = false

  const place = (subject: string, wish: Wish<S>): void => {
    const shard = shardOf(subject)
    wish.shard = shard
    if (!shard) {
      homeless.add(wish)
      return
    }
    homeless.delete(wish)
    void shard.subjects.add(subject).then(() => {
      if (wishes.get(subject) !== wish || wish.shard !== shard) return
      wish.confirm()
      wish.isConfirmed = true
      arrive(wish)
    })
  }

  const depart = (wish: Wish<S>, shard: S): void => {
    wish.isMoving = true
    moving.set(shard, (moving.get(shard) ?? 0) + 1)
  }

  const arrive = (wish: Wish<S>): void => {
    const { shard, isMoving } = wish
    if (!isMoving || !shard) return
    wish.isMoving = false
    const left = (moving.get(shard) ?? 0) - 1
    if (left > 0) return void moving.set(shard, left)
    moving.delete(shard)
    onSettled()
  }

  return {
    has: (subject) => wishes.has(subject),
    add: async (subject) => {
      if (isClosed) return
      const known = wishes.get(subject)
      if (known) return known.confirmed
      let confirm = (): void => undefined
      const confirmed = new Promise<void>((resolve) => {
        confirm = resolve
      })
      const wish: Wish<S> = {
        slot: slotOf(subject),
        shard: undefined,
        isMoving: false,
        isConfirmed: false,
        confirmed,
        confirm,
      }
      wishes.set(subject, wish)
      place(subject, wish)
      return confirmed
    },
    delete: (subject) => {
      const wish = wishes.get(subject)
      if (!wish) return
      wishes.delete(subject)
      wish.shard?.subjects.delete(subject)
      wish.confirm()
      homeless.delete(wish)
      arrive(wish)
    },
    move: (slots) => {
      for (const [subject, wish] of wishes) {
        if (!slots.has(wish.slot) || shardOf(subject) === wish.shard) continue
        // Redis itself stops sending what has left a shard.
        wish.shard?.subjects.forget(subject)
        arrive(wish)
        place(subject, wish)
        if (!wish.shard || !wish.isConfirmed) continue
        wish.shard.hasMissed = true
        depart(wish, wish.shard)
      }
    },
    isSettled: (shard) => !moving.has(shard),
    isPlaced: () => homeless.size === 0,
    close: () => {
      isClosed = true
      for (const { confirm } of wishes.values()) confirm()
      wishes.clear()
      moving.clear()
      homeless.clear()
    },
  }
}
