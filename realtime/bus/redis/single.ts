/** The bus over one Redis: pub/sub, over one connection that publishes and one that listens. */

import type { Logger } from '../../logger.ts'
import type { Metrics } from '../../metrics.ts'
import type { RedisAddress } from '../../redis/address.ts'
import { createRedisLink } from '../../redis/link.ts'
import { within } from '../../within.ts'
import type { Bus, BusListener } from '../bus.ts'
import { createEar } from './ear.ts'
import { createLagWatch } from './lag.ts'
import { createNames, makeSign } from './names.ts'
import { createRedisSender } from './sender.ts'
import { openRedis } from './start.ts'
import { createRedisSubjects } from './subjects.ts'
import { createWatch } from './watch.ts'

/** What a bus over Redis is made with. */
export type RedisBusDeps = {
  listener: BusListener
  metrics: Pick<Metrics, 'busUp' | 'busLag' | 'busReturns' | 'busPublished' | 'busDropped' | 'busReceived'>
  logger: Logger
  prefix: string
}

/** How long closing waits for what was published last, in ms. */
export const farewell = 2000

/** Connects to one Redis; throws a StartError where it cannot be used. */
export const createSingleBus = async (
  address: RedisAddress,
  { listener, metrics, logger, prefix }: RedisBusDeps,
): Promise<Bus> => {
  const sign = makeSign()
  const names = createNames(prefix)
  const { nameOf } = names
  /** Whether all that is wanted here comes from Redis. */
  let hears = false
  const isUp = (): boolean => hears && publisher.isReady()
  const watch = createWatch({ isUp, busUp: metrics.busUp, logger })

  const publisher = createRedisLink({ address, name: 'hubbub-publish', onReady: watch.look, onLost: watch.look })
  const subscriber = createRedisLink({
    address,
    name: 'hubbub-subscribe',
    onReady: async () => {
      lag.listen()
      hears = (await subjects.askAgain()) && subscriber.isReady()
      if (hears && watch.look()) ear.returned()
    },
    onLost: (reason) => {
      hears = false
      watch.look(reason)
    },
  })
  const sender = createRedisSender(publisher, metrics)
  const subjects = createRedisSubjects(subscriber, nameOf)
  const probe = nameOf(`lag:${sign}`)
  const lag = createLagWatch({
    send: (message) => (publisher.isReady() ? publisher.client.publish(probe, message) : undefined),
    subscribe: () => subscriber.client.subscribe(probe),
    busLag: metrics.busLag,
  })
  const ear = createEar({ listener, logger, metrics, sign, names, has: subjects.has, lag })

  await openRedis({ address, publisher, subscriber, probe: nameOf(`probe:${sign}`) })
  subscriber.client.on('messageBuffer', ear.take)
  watch.start()
  lag.start()

  return {
    publish: (subject, message) => {
      // Sent first: what the receiver publishes in turn comes after it everywhere.
      sender.send(nameOf(subject), sign + message)
      ear.receive(subject, message)
    },
    subscribe: subjects.add,
    unsubscribe: subjects.delete,
    isUp,
    close: async () => {
      watch.end()
      lag.end()
      subjects.close()
      await within(sender.settle(), farewell)
      publisher.close()
      subscriber.close()
    },
  }
}
