/** Chooses the transport: uWebSockets.js where its addon loads, else the `ws` package. */

import { StartError } from '../../schema/errors.ts'
import type { Logger } from '../logger.ts'
import type { CreateTransport } from './transport.ts'
import { createUwsTransport, loadUws } from './uws.ts'
import { createWsTransport } from './ws.ts'

/** Returns what makes the transport of this machine; says so in one line where it is the slower one. */
export const chooseTransport = (logger: Pick<Logger, 'warn'>, load: () => unknown = loadUws): CreateTransport => {
  try {
    load()
    return createUwsTransport
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    logger.warn({}, `${error.message} Sockets are served over ws, which costs more for each of them.`)
    return createWsTransport
  }
}
