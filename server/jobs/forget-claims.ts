/** Forgets idempotency keys that are older than a day, every hour. */

import type { FastifyBaseLogger } from 'fastify'
import type { Sql } from '../db/sql.ts'
import { forgetOldClaims } from '../domain/idempotency.ts'

const hour = 3_600_000

/** Starts the job; returns what stops it. */
export const startForgettingClaims = (sql: Sql, logger: FastifyBaseLogger): (() => void) => {
  const run = () => {
    forgetOldClaims(sql).catch((error: unknown) => logger.warn({ err: error }, 'old idempotency keys were not removed'))
  }
  run()
  const timer = setInterval(run, hour)
  return () => clearInterval(timer)
}
