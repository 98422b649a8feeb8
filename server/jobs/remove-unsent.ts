/** Removes files that were uploaded and not sent within a day, every hour. */

import type { FastifyBaseLogger } from 'fastify'
import { removeUnsentFiles } from '../domain/attachments.ts'
import type { Context } from '../domain/context.ts'
import { type Job, startLoop } from './loop.ts'

const hour = 3_600_000

// Each may be of 10 MiB, which is 40 rows.
const slice = 20

/** Starts the job. */
export const startRemovingUnsent = ({
  context: { sql },
  logger,
}: {
  context: Pick<Context, 'sql'>
  logger: FastifyBaseLogger
}): Job =>
  startLoop(
    'remove-unsent',
    async () => {
      const removed = await removeUnsentFiles(sql, slice)
      if (removed > 0) logger.info({ removed }, 'files that were never sent were removed')
      return removed === slice ? 0 : hour
    },
    logger,
  )
