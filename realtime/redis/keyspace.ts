/** Where keys are: runs commands at the one Redis there is, or each at the shard of a Cluster that has its key. */

import type { Redis } from 'ioredis'
import { type RedisAddress, unusable } from './address.ts'
import { createRedisLink } from './link.ts'

export type Command = readonly [name: string, ...words: (string | number)[]]

/** A command about one key. `needs`: what has to be done first, and without which this is not to be done. */
export type Asked = { key: string; command: Command; needs?: Asked | undefined }

export type Answer = [error: Error | null, result: unknown]

export type Keyspace = {
  /** Connects for the first time; throws a StartError where that fails. */
  open(): Promise<void>
  /** Returns whether what is about a key can be asked now. */
  isReady(key: string): boolean
  /** Sends once more what has to be sent before anything is asked. */
  prepare(): Promise<void>
  /** Runs one command; rejects with its failure. */
  run(key: string, ...command: Command): Promise<unknown>
  /** Runs many, of which those about one key are run in their order; never rejects. */
  runAll(asked: readonly Asked[]): Promise<Answer[]>
  /** Returns that one of the keys which is lost together with a key, if there is one. */
  beside(key: string, keys: readonly string[]): string
  close(): void
}

/** Makes the keyspace of one Redis. */
export const createLinkKeyspace = ({
  address,
  name,
  prepare,
  onReady,
  onLost,
}: {
  address: RedisAddress
  name: string
  prepare: (client: Redis) => Promise<void>
  onReady: () => void
  onLost: () => void
}): Keyspace => {
  const link = createRedisLink({ address, name, onReady, onLost })
  const { client } = link
  return {
    open: async () => {
      await link.open().catch((error: unknown) => {
        link.close()
        throw unusable(address.reasonOf(error))
      })
    },
    isReady: link.isReady,
    prepare: () => prepare(client),
    run: (_, ...command) => client.call(...command),
    runAll: async (asked) => {
      const pipeline = client.pipeline()
      for (const { command } of asked) pipeline.call(...command)
      const results = await pipeline.exec().catch(() => null)
      return asked.map((_, n) => results?.[n] ?? [new Error('no answer'), undefined])
    },
    beside: (_, [first = '']) => first,
    close: link.close,
  }
}
