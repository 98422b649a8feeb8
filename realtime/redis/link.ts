/** One connection to Redis, which notices when it is lost, also without a word, and comes back by itself for ever. */

import { Redis } from 'ioredis'
import type { RedisAddress } from './address.ts'

export type RedisLink = {
  /** The connection; its commands fail at once while it is away, and what is in flight fails when it is lost. */
  readonly client: Redis
  /** Connects for the first time; throws where that fails. */
  open(): Promise<void>
  isReady(): boolean
  /** Ends the connection; another one is made. */
  cut(reason: string): void
  close(): void
}

/** How often a link is asked for a sign of life, in ms. */
const beatTime = 500

/** How many beats it may stay silent. Beats are counted, not time: a process that was busy itself blames nobody. */
const patience = 4

/** Makes a link; it connects when it is opened. `onLost` is told of each try that fails, too. */
export const createRedisLink = ({
  address: { options, reasonOf },
  name,
  onReady,
  onLost,
}: {
  address: RedisAddress
  /** What Redis shows of the connection. */
  name: string
  onReady: () => void
  onLost: (reason: string) => void
}): RedisLink => {
  let failures = 0
  let reason: string | undefined
  let beats: NodeJS.Timeout | undefined
  let heard = { stream: undefined as Redis['stream'] | undefined, bytes: 0, silent: 0 }

  const client = new Redis({
    ...options,
    connectionName: name,
    disableClientInfo: true,
    lazyConnect: true,
    // Whoever asked something of a lost connection asks again on the next one, if it is still wanted then.
    enableOfflineQueue: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Pub/sub is served while Redis loads its data.
    enableReadyCheck: false,
    // A closed client would hold the process for as long as Redis does not hang up.
    disconnectTimeout: 1,
    retryStrategy: () => pauseBefore(++failures),
  })
  client.on('error', (error) => {
    reason = reasonOf(error)
  })
  client.on('ready', () => {
    reason = undefined
    onReady()
  })
  client.on('close', () => onLost(reason ?? 'Redis closed the connection'))

  const isReady = (): boolean => client.status === 'ready' && client.stream.writable

  const cut = (why: string): void => {
    client.stream.destroy(new Error(why))
  }

  const beat = (): void => {
    const { status, stream } = client
    // The driver gives up where a socket cannot even be made.
    if (status === 'end') client.connect().catch(ignore)
    if (!stream || stream.destroyed) return
    if (stream !== heard.stream || stream.bytesRead !== heard.bytes) {
      heard = { stream, bytes: stream.bytesRead, silent: 0 }
      if (isReady()) failures = 0
    } else {
      heard.silent += 1
    }
    if (heard.silent === patience) cut(`no answer for ${(patience * beatTime) / 1000} seconds`)
    else if (isReady()) client.ping().catch(ignore)
  }

  return {
    client,
    open: () =>
      new Promise((resolve, reject) => {
        beats = setInterval(beat, beatTime)
        // It says more than what connecting rejects with, and comes first.
        client.once('error', reject)
        client.connect().then(resolve, reject)
      }),
    isReady,
    cut,
    close: () => {
      clearInterval(beats)
      client.disconnect()
    },
  }
}

// Doubles from 50 ms to a second, a quarter more or less: nodes that lost the same Redis do not come back as one.
const pauseBefore = (attempt: number): number => Math.min(1000, 50 * 2 ** (attempt - 1)) * (0.75 + Math.random() / 2)

// What fails here is seen by the next beats.
const ignore = (): void => undefined
