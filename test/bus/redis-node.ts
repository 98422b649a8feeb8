/** A node on a Redis bus, with what it heard, logged and counted. */

import { onTestFinished } from 'vitest'
import type { Bus, BusListener } from '../../realtime/bus/bus.ts'
import { createRedisBus } from '../../realtime/bus/redis/redis.ts'
import type { Logger } from '../../realtime/logger.ts'
import { createMetrics } from '../../realtime/metrics.ts'
import { createRecorder, type Recorder } from './recorder.ts'

export type RedisNode = Recorder & {
  bus: Bus
  /** What it logged: the level and the words. */
  lines: string[]
  /** Returns what a metric of it says. */
  count(metric: 'up' | 'returns_total' | 'published_total' | 'dropped_total' | 'received_total'): Promise<number>
}

/** Starts a node for one test. */
export const startRedisNode = async ({
  url,
  prefix,
  receive,
}: {
  url: string
  prefix?: string
  receive?: BusListener['receive']
}): Promise<RedisNode> => {
  const recorder = createRecorder(receive)
  const metrics = createMetrics()
  const { lines, logger } = createLog()
  const bus = await createRedisBus({ url, listener: recorder.listener, metrics, logger, ...(prefix && { prefix }) })
  onTestFinished(() => bus.close())
  return {
    ...recorder,
    bus,
    lines,
    count: async (metric) => {
      const found = new RegExp(`^hubbub_bus_${metric} (\\S+)$`, 'm').exec(await metrics.text())
      return Number(found?.[1])
    },
  }
}

/** Makes a logger that keeps its lines. */
export const createLog = (): { lines: string[]; logger: Logger } => {
  const lines: string[] = []
  const keep = (level: string) => (fields: object, message: string) => {
    lines.push(`${level}: ${message} ${JSON.stringify(fields)}`)
  }
  return { lines, logger: { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') } }
}
