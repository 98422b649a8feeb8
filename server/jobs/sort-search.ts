/** Sorts what was said lately into the index of the search, every five seconds. */

import type { FastifyBaseLogger } from 'fastify'
import type { Sql } from '../db/sql.ts'
import { sortSearch } from '../domain/search.ts'

const fiveSeconds = 5000

/** Starts the job; returns what stops it. */
export const startSortingSearch = (sql: Sql, logger: FastifyBaseLogger): (() => void) => {
  let running = false
  const run = async (): Promise<void> => {
    if (running) return
    running = true
    await sortSearch(sql).catch((error: unknown) => logger.debug({ err: error }, 'the search was not sorted'))
    running = false
  }
  const timer = setInterval(() => void run(), fiveSeconds)
  return () => clearInterval(timer)
}
