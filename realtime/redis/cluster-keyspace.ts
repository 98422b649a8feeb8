/** The keyspace of a Redis Cluster: what is asked goes to the shard that has the key, and after it where it moves. */

import type { Redis } from 'ioredis'
import type { RedisAddress } from './address.ts'
import { createRedisCluster, type Shard } from './cluster.ts'
import type { Answer, Asked, Keyspace } from './keyspace.ts'
import { createRedisLink } from './link.ts'
import { slotOf } from './slot.ts'

/** Makes the keyspace of a Cluster. */
export const createClusterKeyspace = ({
  addresses,
  name,
  prepare,
  onGained,
  onLost,
}: {
  addresses: readonly RedisAddress[]
  name: string
  /** Sends what every master has to be told before it is asked anything. */
  prepare: (client: Redis) => Promise<void>
  /** Called when keys are on a connection that they were not on: whatever was there may have been lost. */
  onGained: (isGained: (key: string) => boolean) => void
  onLost: (isLost: (key: string) => boolean) => void
}): Keyspace => {
  /** Which of some keys is on which shard. */
  const nearest = new Map<Shard, Map<readonly string[], string>>()

  const join = (address: RedisAddress): Shard => {
    const link = createRedisLink({
      address,
      name,
      onReady: () => {
        // Sent first, so that whatever is asked comes after it.
        prepare(link.client).catch(ignore)
        onGained((key) => cluster.shardOf(key) === shard)
        cluster.look()
      },
      onLost: () => {
        onLost((key) => cluster.shardOf(key) === shard)
        cluster.look()
      },
    })
    const shard: Shard = { link, open: link.open, close: link.close }
    return shard
  }
  const cluster = createRedisCluster({
    addresses,
    join,
    moved: (slots) => {
      nearest.clear()
      onGained((key) => slots.has(slotOf(key)) && isReady(key))
    },
    looked: ignore,
  })

  const isReady = (key: string): boolean => cluster.shardOf(key)?.link.isReady() ?? false

  const runAll = async (asked: readonly Asked[]): Promise<Answer[]> => {
    const answers = new Map<Asked, Answer>()
    const firsts = new Set(asked.flatMap(({ needs }) => needs ?? []))
    if (firsts.size > 0) await runNow([...firsts], answers)
    const rest = asked.filter((one) => !firsts.has(one))
    for (const one of rest) {
      const failed = one.needs && answers.get(one.needs)
      if (failed?.[0]) answers.set(one, failed)
    }
    const left = rest.filter((one) => !answers.has(one))
    await runNow(left, answers)
    return asked.map((one) => answers.get(one) ?? noAnswer())
  }

  const runNow = async (asked: readonly Asked[], answers: Map<Asked, Answer>): Promise<void> => {
    const failureOf = (one: Asked): string => answers.get(one)?.[0]?.message ?? ''
    await Promise.all(byShard(asked).map(([shard, group]) => runAt(shard, group, answers)))
    const failed = asked.filter((one) => failureOf(one) !== '')
    if (failed.some((one) => /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN) /.test(failureOf(one)))) cluster.look()
    // What has moved is where it says. A slot that is about to move has its new keys already where it goes to.
    for (const [redirection, group] of groupBy(failed, (one) => redirect.exec(failureOf(one))?.[0])) {
      const { why, host = '', port } = redirect.exec(redirection ?? '')?.groups ?? {}
      const shard = cluster.shardAt(host, Number(port))
      if (shard) await runAt(shard, group, answers, why === 'ASK')
    }
    for (const [shard, group] of byShard(failed.filter((one) => failureOf(one).startsWith('NOSCRIPT ')))) {
      if (shard) await prepare(shard.link.client).catch(ignore)
      await runAt(shard, group, answers)
    }
  }

  const byShard = (asked: readonly Asked[]) => groupBy(asked, ({ key }) => cluster.shardOf(key))

  const runAt = async (
    shard: Shard | undefined,
    asked: readonly Asked[],
    answers: Map<Asked, Answer>,
    isAsking = false,
  ): Promise<void> => {
    if (!shard?.link.isReady()) {
      for (const one of asked) answers.set(one, noAnswer())
      return
    }
    const pipeline = shard.link.client.pipeline()
    for (const { command } of asked) {
      if (isAsking) pipeline.call('ASKING')
      pipeline.call(...command)
    }
    const results = await pipeline.exec().catch(() => null)
    const step = isAsking ? 2 : 1
    for (const [n, one] of asked.entries()) answers.set(one, results?.[step * n + step - 1] ?? noAnswer())
  }

  return {
    open: cluster.open,
    isReady,
    // Each connection is prepared when it is made.
    prepare: async () => undefined,
    run: async (key, ...command) => {
      const [[error, result] = noAnswer()] = await runAll([{ key, command }])
      if (error) throw error
      return result
    },
    runAll,
    beside: (key, keys) => {
      const shard = cluster.shardOf(key)
      const known = (shard && nearest.get(shard)) ?? new Map<readonly string[], string>()
      const found = known.get(keys) ?? keys.find((one) => cluster.shardOf(one) === shard) ?? keys[0] ?? ''
      if (shard) nearest.set(shard, known.set(keys, found))
      return found
    },
    close: cluster.close,
  }
}

/** How a node says that another one has a key: for now, or for good. */
const redirect = /^(?<why>ASK|MOVED) \d+ (?<host>.+):(?<port>\d+)$/

const noAnswer = (): Answer => [new Error('this part of Redis does not answer'), undefined]

const groupBy = <T, K>(all: readonly T[], keyOf: (one: T) => K): [K, T[]][] => {
  const groups = new Map<K, T[]>()
  for (const one of all) {
    const key = keyOf(one)
    const group = groups.get(key)
    if (group) group.push(one)
    else groups.set(key, [one])
  }
  return [...groups]
}

// What fails here fails once more where it is needed.
const ignore = (): void => undefined
