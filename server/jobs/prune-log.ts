/** Removes events from the log that are older than it is kept, and what rules did on such, every hour. */

import type { FastifyBaseLogger } from 'fastify'
import type { Sql } from '../db/sql.ts'
import { pruneLog } from '../domain/retention.ts'
import { forgetOldRuns } from '../domain/rule-runs.ts'

const hour = 3_600_000

/** Starts the job; returns what stops it and waits for the slice that is being removed. */
export const startPruningLog = (sql: Sql, days: number, logger: FastifyBaseLogger): (() => Promise<void>) => {
  let stopped = false
  let running: Promise<void> | undefined
  const run = async (): Promise<void> => {
    const removed = await pruneLog(sql, { days, isStopped: () => stopped })
    if (removed > 0) logger.info({ removed }, 'old events were removed from the log')
    await forgetOldRuns(sql, { days, isStopped: () => stopped })
  }
  const begin = () => {
    running ??= run()
      .catch((error: unknown) => logger.warn({ err: error }, 'old events were not removed from the log'))
      .finally(() => {
        running = undefined
      })
  }
  begin()
  const timer = setInterval(begin, hour)
  return async () => {
    stopped = true
    clearInterval(timer)
    await running
  }
}
