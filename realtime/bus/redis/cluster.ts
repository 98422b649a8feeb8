/** The bus over a Redis Cluster: sharded pub/sub, each subject at the shard that has its slot. */

import type { RedisAddress } from '../../redis/address.ts'
import { createRedisCluster, type Shard } from '../../redis/cluster.ts'
import { createRedisLink, type RedisLink } from '../../redis/link.ts'
import { slotOf } from '../../redis/slot.ts'
import { within } from '../../within.ts'
import type { Bus } from '../bus.ts'
import { createEar } from './ear.ts'
import { createLagWatch } from './lag.ts'
import { createShardedNames, makeSign } from './names.ts'
import { createRedisSender, type RedisSender } from './sender.ts'
import { createShardSubjects } from './shard-subjects.ts'
import { farewell, type RedisBusDeps } from './single.ts'
import { tryCluster } from './start.ts'
import { type AskingWay, createRedisSubjects, type RedisSubjects } from './subjects.ts'
import { createWatch } from './watch.ts'

/** A master, with what is wanted of it. */
type BusShard = Shard & {
  readonly subscriber: RedisLink
  readonly sender: RedisSender
  readonly subjects: RedisSubjects
  /** Whether this connection was asked for all of them, and answered. */
  hears: boolean
  /** Whether messages may have been lost that nobody was told of. */
  hasMissed: boolean
  /** How often it has stopped sending something of itself: a slot has left it. */
  dropped: number
}

const sharded: AskingWay = {
  subscribe: 'ssubscribe',
  unsubscribe: 'sunsubscribe',
  // One command takes subjects of one slot alone.
  atOnce: 1,
  isRefusal: (error) => /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN) /.test(error instanceof Error ? error.message : ''),
}

/** Connects to a Cluster; throws a StartError where it cannot be used. */
export const createClusterBus = async (
  addresses: readonly [RedisAddress, ...RedisAddress[]],
  { listener, metrics, logger, prefix }: RedisBusDeps,
): Promise<Bus> => {
  const sign = makeSign()
  const names = createShardedNames(prefix)
  const { nameOf } = names
  const probe = nameOf(`lag:${sign}`)
  let isClosed = false

  const isWhole = (shard: BusShard): boolean =>
    cluster.isWorking() && shard.hears && shard.subjects.isWhole() && subjects.isSettled(shard)
  const isUp = (): boolean =>
    !isClosed &&
    cluster.isWorking() &&
    subjects.isPlaced() &&
    [...cluster.shards()].every((shard) => shard.subjects.size() === 0 || (isWhole(shard) && shard.link.isReady()))
  const watch = createWatch({ isUp, busUp: metrics.busUp, logger })

  /** Looks what has become of the shards; tells the listener when one is whole again that has missed something. */
  const settle = (reason?: string): void => {
    const isOn = watch.look(reason)
    let isBack = false
    for (const shard of cluster.shards()) {
      if (!shard.hasMissed || !isWhole(shard)) continue
      shard.hasMissed = false
      isBack = true
    }
    if (isBack && isOn) ear.returned()
  }

  const listen = async (shard: BusShard): Promise<void> => {
    if (cluster.shardOf(probe) === shard) lag.listen()
    shard.dropped = 0
    await shard.subjects.askAgain()
    shard.hears = shard.subscriber.isReady()
    settle()
  }

  const join = (address: RedisAddress): BusShard => {
    const onReady = (): void => {
      settle()
      cluster.look()
    }
    const onLost = (reason: string): void => {
      settle(reason)
      cluster.look()
    }
    const link = createRedisLink({ address, name: 'hubbub-publish', onReady, onLost })
    const subscriber = createRedisLink({
      address,
      name: 'hubbub-subscribe',
      onReady: () => void listen(shard),
      onLost: (reason) => {
        shard.hears = false
        shard.hasMissed ||= shard.subjects.size() > 0
        onLost(reason)
      },
    })
    subscriber.client.on('smessageBuffer', ear.take)
    // The driver says so for what has left by itself, and once more for what is refused because it has left.
    subscriber.client.on('moved', () => {
      shard.dropped += 1
      cluster.look()
    })
    const isRefusal = (error: unknown): boolean => {
      if (!sharded.isRefusal(error)) return false
      if (String(error).includes('MOVED ')) shard.dropped -= 1
      cluster.look()
      return true
    }
    const shard: BusShard = {
      link,
      subscriber,
      sender: createRedisSender(link, metrics, 'spublish', () => cluster.look()),
      subjects: createRedisSubjects(subscriber, nameOf, { ...sharded, isRefusal }),
      hears: false,
      hasMissed: false,
      dropped: 0,
      open: () => Promise.all([link.open(), subscriber.open()]),
      close: () => {
        link.close()
        subscriber.close()
      },
    }
    return shard
  }

  const cluster = createRedisCluster({
    addresses,
    join,
    moved: (slots) => {
      subjects.move(slots)
      if (slots.has(slotOf(probe))) lag.listen()
      settle('slots of the Cluster have moved')
    },
    looked: () => {
      for (const shard of cluster.shards()) {
        // What others publish does not get here, either.
        if (!cluster.isWorking()) shard.hasMissed ||= shard.subjects.size() > 0
        if (shard.dropped > 0 && shard.hears) {
          // A slot that has left and come back meanwhile is not seen to have moved.
          shard.hasMissed = true
          shard.hears = false
          void listen(shard)
        } else shard.subjects.retry()
      }
      settle('the Cluster is in state fail')
    },
  })
  const subjects = createShardSubjects<BusShard>({
    shardOf: (subject) => cluster.shardOf(nameOf(subject)),
    slotOf: (subject) => slotOf(nameOf(subject)),
    onSettled: () => settle(),
  })
  const lag = createLagWatch({
    send: (message) => {
      const link = cluster.shardOf(probe)?.link
      return link?.isReady() ? link.client.spublish(probe, message) : undefined
    },
    subscribe: () => cluster.shardOf(probe)?.subscriber.client.ssubscribe(probe),
    busLag: metrics.busLag,
  })
  const ear = createEar({ listener, logger, metrics, sign, names, has: subjects.has, lag })

  await cluster.open()
  await tryCluster({ cluster, address: addresses[0], probe: nameOf(`probe:${sign}`) })
  watch.start()
  lag.start()

  return {
    publish: (subject, message) => {
      const name = nameOf(subject)
      const shard = cluster.shardOf(name)
      // Sent first: what the receiver publishes in turn comes after it everywhere.
      if (shard) shard.sender.send(name, sign + message)
      else metrics.busDropped.inc()
      ear.receive(subject, message)
    },
    subscribe: subjects.add,
    unsubscribe: subjects.delete,
    isUp,
    close: async () => {
      if (isClosed) return
      isClosed = true
      watch.end()
      lag.end()
      const shards = [...cluster.shards()]
      for (const shard of shards) shard.subjects.close()
      subjects.close()
      await within(Promise.all(shards.map(({ sender }) => sender.settle())), farewell)
      cluster.close()
    },
  }
}
