/** Hears of every change of an API key in the database, wherever it was made, and passes it on. */

import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { listen } from './db/listen.ts'
import type { Context } from './domain/context.ts'
import type { KeyCache } from './domain/key-cache.ts'
import { announceKey, keyChanges } from './domain/keys.ts'

/**
 * Starts listening. A change is forgotten by the cache at once and announced to all hubs. `onListening` is called
 * whenever listening begins: what changed before that was not heard.
 */
export const watchKeyChanges = ({
  url,
  context,
  keys,
  onListening,
  logger,
}: {
  url: string
  context: Context
  keys: Pick<KeyCache, 'forget' | 'trust'>
  onListening: () => void
  logger: FastifyBaseLogger
}): { close(): Promise<void> } => {
  const announce = async (id: string): Promise<void> => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await announceKey(context, id)
      } catch (error) {
        logger.warn({ err: error, key: id }, 'a change of a key could not be announced yet')
        if (tries === announceTries) return
        await wait(200 * tries, undefined, { ref: false })
      }
    }
  }

  return listen(url, keyChanges, {
    onNotice: (id) => {
      keys.forget(id)
      void announce(id)
    },
    onState: (listening) => {
      keys.trust(listening)
      if (listening) onListening()
    },
  })
}

// The database told of the change a moment ago; where it has gone since, listening begins anew and keys are compared.
const announceTries = 5
