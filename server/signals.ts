/** SIGTERM and SIGINT end the program in order; a second one ends it at once. */

import type { FastifyBaseLogger } from 'fastify'

/** Runs `close` on the first signal and exits when it is done. */
export const closeOnSignal = (close: () => Promise<void>, logger: FastifyBaseLogger): void => {
  let closing = false
  const onSignal = (signal: NodeJS.Signals) => {
    if (closing) process.exit(1)
    closing = true
    logger.info(`${signal}: closing; once more ends it at once`)
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: error }, 'closing failed')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}
