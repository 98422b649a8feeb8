/** The log: JSON lines, pretty on a terminal. Requests are not logged; what fails is. */

import pino, { type Logger } from 'pino'

export const createLogger = (level: string): Logger =>
  pino({ level, base: null, ...(process.stdout.isTTY ? { transport: { target: 'pino-pretty' } } : {}) })
