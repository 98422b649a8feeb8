/** A node with a roster and a bus over Redis, as a process has them. */

import { onTestFinished } from 'vitest'
import { channelSubject } from '../../realtime/bus/bus.ts'
import { createRedisBus } from '../../realtime/bus/redis/redis.ts'
import { createMetrics } from '../../realtime/metrics.ts'
import { isNews, tellNews } from '../../realtime/roster/news.ts'
import { createRedisRoster } from '../../realtime/roster/redis/redis.ts'
import type { RosterTimes } from '../../realtime/roster/redis/times.ts'
import type { Roster, RosterListener, RosterPolicy } from '../../realtime/roster/roster.ts'
import { createLog } from '../bus/redis-node.ts'
import { createRosterRecorder, type RosterRecorder } from './recorder.ts'

export type RosterSetup = { policyOf: (app: string) => RosterPolicy; listener: RosterListener }

/** A roster, and how a process listens to what is told about a channel. */
export type MadeRoster = { roster: Roster; listen(app: string, channel: string): Promise<void>; close(): Promise<void> }

/** The channels of these apps are told about as their names say. */
export const policyOf = (app: string): RosterPolicy => ({
  tellsCounts: app.includes('counts'),
  hasHooks: app.includes('hooks'),
})

/** Makes a roster over Redis that hears of the others through a bus. */
export const makeRedisRoster = async (
  { policyOf, listener }: RosterSetup,
  { url, prefix = 'hubbub:', times = {} }: { url: string; prefix?: string; times?: Partial<RosterTimes> },
): Promise<MadeRoster & { log: string[] }> => {
  const { lines, logger } = createLog()
  const roster = await createRedisRoster({ url, prefix, policyOf, listener, logger, times })
  const bus = await createRedisBus({
    url,
    prefix,
    metrics: createMetrics(),
    logger: createLog().logger,
    listener: {
      receive: (subject, message) => {
        const [, app = '', channel = ''] = /^channel:([^:]+):(.*)$/s.exec(subject) ?? []
        if (isNews(message)) tellNews(app, channel, message, listener)
      },
      returned: roster.recheck,
    },
  })
  return {
    roster,
    log: lines,
    listen: async (app, channel) => bus.subscribe(channelSubject(app, channel)),
    close: async () => {
      await roster.close()
      await bus.close()
    },
  }
}

export type RosterNode = RosterRecorder & MadeRoster & { log: string[] }

/** Starts a node for one test, which listens to these channels of these apps. */
export const startRosterNode = async (
  options: { url: string; times?: Partial<RosterTimes> },
  ...places: [app: string, channel: string][]
): Promise<RosterNode> => {
  const recorder = createRosterRecorder()
  const made = await makeRedisRoster({ policyOf, listener: recorder.listener }, options)
  onTestFinished(made.close)
  await Promise.all(places.map(([app, channel]) => made.listen(app, channel)))
  return { ...recorder, ...made }
}
