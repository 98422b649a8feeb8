/** A Redis Cluster: its masters, each as a shard over links of its own, and which of them has which slot now. */

import { type RedisAddress, unusable } from './address.ts'
import type { RedisLink } from './link.ts'
import { slotCount, slotOf } from './slot.ts'
import { askNode, findCluster, readSlotMap, type SlotRange } from './slot-map.ts'

/** One master, over a link that can be asked things, and whatever else its user has there. */
export type Shard = {
  readonly link: RedisLink
  /** Connects for the first time. What fails is tried again for ever, until it is closed. */
  open(): Promise<unknown>
  close(): void
}

export type RedisCluster<S extends Shard> = {
  /** Finds all masters and connects to them; throws a StartError where there is no Cluster that works. */
  open(): Promise<void>
  /** Returns the shard that has a key, or a channel of sharded messages; undefined where none is known to. */
  shardOf(key: string): S | undefined
  shardAt(host: string, port: number): S | undefined
  shards(): IterableIterator<S>
  /** Returns whether the nodes that were asked last could say who has what: a Cluster in state fail serves nothing. */
  isWorking(): boolean
  /** Looks soon who has what: something says that it has changed. */
  look(): void
  close(): void
}

/** How soon it is looked after a hint, how often while a shard is away, and how often when all is well; in ms. */
const pauses = { hint: 50, away: 500, well: 5000 }

/** Makes a Cluster's shards with `join`. */
export const createRedisCluster = <S extends Shard>({
  addresses,
  join,
  moved,
  looked,
}: {
  addresses: readonly RedisAddress[]
  join: (address: RedisAddress) => S
  /** Called when slots have another shard than before, which may not be connected yet. */
  moved: (slots: ReadonlySet<number>) => void
  /** Called each time after it was looked. */
  looked: () => void
}): RedisCluster<S> => {
  const [first] = addresses
  const shards = new Map<string, S>()
  let owners = new Array<S | undefined>(slotCount).fill(undefined)
  let timer: NodeJS.Timeout | undefined
  let dueAt = 0
  let turn = 0
  let isAsking = false
  let isWorking = true
  let isClosed = false

  const schedule = (ms: number): void => {
    const at = performance.now() + ms
    if (isClosed || (timer && at >= dueAt)) return
    clearTimeout(timer)
    dueAt = at
    timer = setTimeout(look, ms)
  }

  const look = async (): Promise<void> => {
    timer = undefined
    if (isAsking) return schedule(pauses.hint)
    isAsking = true
    const map = await ask()
    isAsking = false
    if (isClosed) return
    isWorking = map !== undefined
    if (map) apply(map)
    looked()
    schedule(isWell() ? pauses.well : pauses.away)
  }

  const isWell = (): boolean => isWorking && [...shards.values()].every(({ link }) => link.isReady())

  /** Asks one node after the other, beginning with another one each time: one alone may be wrong for long. */
  const ask = async (): Promise<SlotRange[] | undefined> => {
    turn += 1
    const ready = [...shards].filter(([, { link }]) => link.isReady())
    for (const n of ready.keys()) {
      const [place = '', shard] = ready[(n + turn) % ready.length] ?? []
      const map = shard && (await readSlotMap(shard.link.client, hostOf(place)).catch(ignore))
      if (map) return map
    }
    // The whole of it may have moved: those that were named are asked as at the start.
    const named = addresses[turn % addresses.length]
    if (ready.length > 0 || !named) return undefined
    return await askNode(named, (client) => readSlotMap(client, named.options.host)).catch(ignore)
  }

  const apply = (map: SlotRange[]): Promise<unknown>[] => {
    const next = new Array<S | undefined>(slotCount).fill(undefined)
    const named = new Set<string>()
    const opening: Promise<unknown>[] = []
    for (const { from, to, host, port } of map) {
      const place = `${host}:${port}`
      let shard = shards.get(place)
      if (!shard && first) {
        shard = join(first.at(host, port))
        shards.set(place, shard)
        opening.push(shard.open().catch((error: unknown) => first.reasonOf(error)))
      }
      named.add(place)
      next.fill(shard, from, to + 1)
    }
    const changed = new Set([...owners.keys()].filter((slot) => owners[slot] !== next[slot]))
    owners = next
    if (changed.size > 0) moved(changed)
    for (const [place, shard] of shards) {
      if (named.has(place)) continue
      shards.delete(place)
      shard.close()
    }
    return opening
  }

  const close = (): void => {
    isClosed = true
    clearTimeout(timer)
    for (const shard of shards.values()) shard.close()
  }

  return {
    open: async () => {
      const [reason] = await Promise.all(apply(await findCluster(addresses)))
      const all = [...shards.values()]
      if (!all.some(({ link }) => link.isReady())) {
        close()
        throw unusable(`${[...shards.keys()].join(', ')}: ${reason}`)
      }
      schedule(isWell() ? pauses.well : pauses.away)
    },
    shardOf: (key) => owners[slotOf(key)],
    shardAt: (host, port) => shards.get(`${host}:${port}`),
    shards: () => shards.values(),
    isWorking: () => isWorking,
    look: () => schedule(pauses.hint),
    close,
  }
}

const hostOf = (place: string): string => place.slice(0, place.lastIndexOf(':'))

// Another node is asked, or the same one later.
const ignore = (): undefined => undefined
