/** The bus between processes: Redis pub/sub, by interest, over two connections that heal by themselves. */

import { randomBytes } from 'node:crypto'
import type { Logger } from '../../logger.ts'
import type { Metrics } from '../../metrics.ts'
import { readRedisAddress } from '../../redis/address.ts'
import { createRedisLink } from '../../redis/link.ts'
import { within } from '../../within.ts'
import type { Bus, BusListener } from '../bus.ts'
import { createLagWatch, probeSign } from './lag.ts'
import { createRedisSender } from './sender.ts'
import { openRedis } from './start.ts'
import { createRedisSubjects } from './subjects.ts'

/** How many characters of a message say which process it came from. */
const signLength = 8

/** The sign of what no process published: every process receives it. A point is in no process's sign. */
export const unsigned = '.'.repeat(signLength)

/** How long closing waits for what was published last, in ms. */
const farewell = 2000

/**
 * Connects to a Redis of 6.2 or newer; throws a StartError where it cannot be used. From then on it never fails: while
 * Redis is away, what is published reaches this process only, and what is subscribed to is confirmed later. In Redis
 * every subject has the prefix, so that others can share it.
 */
export const createRedisBus = async ({
  url,
  listener,
  metrics,
  logger,
  prefix = 'hubbub:',
}: {
  url: string
  listener: BusListener
  metrics: Pick<Metrics, 'busUp' | 'busLag' | 'busReturns' | 'busPublished' | 'busDropped' | 'busReceived'>
  logger: Logger
  prefix?: string
}): Promise<Bus> => {
  const address = readRedisAddress(url)
  const sign = randomBytes(6).toString('base64url')
  const nameOf = (subject: string): string => prefix + subject
  const nameStart = Buffer.byteLength(prefix)
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
      if (!hears || !watch.look()) return
      metrics.busReturns.inc()
      guard(listener.returned)
    },
    onLost: (reason) => {
      hears = false
      watch.look(reason)
    },
  })
  const sender = createRedisSender(publisher, metrics)
  const subjects = createRedisSubjects(subscriber, nameOf)
  const lag = createLagWatch({ publisher, subscriber, name: nameOf(`lag:${sign}`), busLag: metrics.busLag })

  const guard = (act: () => void, subject?: string): void => {
    try {
      act()
    } catch (error) {
      logger.error({ err: error, subject }, 'what came over the bus could not be taken')
    }
  }
  const receive = (subject: string, message: string): void => {
    if (subjects.has(subject)) guard(() => listener.receive(subject, message), subject)
  }

  await openRedis({ address, publisher, subscriber, probe: nameOf(`probe:${sign}`) })
  subscriber.client.on('messageBuffer', (name: Buffer, message: Buffer) => {
    // What this process sent was received when it was published.
    const signed = message.toString('latin1', 0, signLength)
    if (signed === sign) return
    if (signed === probeSign) return lag.returned(message)
    metrics.busReceived.inc()
    receive(name.toString('utf8', nameStart), message.toString('utf8', signLength))
  })
  watch.start()
  lag.start()

  return {
    publish: (subject, message) => {
      // Sent first: what the receiver publishes in turn comes after it everywhere.
      sender.send(nameOf(subject), sign + message)
      receive(subject, message)
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

/** Tells once when the bus goes away and once when it is back. `look` returns whether it is being watched. */
const createWatch = ({ isUp, busUp, logger }: { isUp: () => boolean; busUp: Metrics['busUp']; logger: Logger }) => {
  let isOn = false
  let wasUp = false
  let lostAt = 0

  const look = (reason?: string): boolean => {
    const isNow = isOn && isUp()
    if (isNow === wasUp) return isOn
    wasUp = isNow
    busUp.set(isNow ? 1 : 0)
    if (isNow) {
      logger.info({ awayMs: Date.now() - lostAt }, 'the link to Redis is back')
    } else if (isOn) {
      lostAt = Date.now()
      logger.warn({ reason }, 'the link to Redis is lost')
    }
    return isOn
  }

  return {
    look,
    start: () => {
      isOn = true
      wasUp = true
      busUp.set(1)
      look()
    },
    end: () => {
      isOn = false
      look()
    },
  }
}
