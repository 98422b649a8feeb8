/** Which master of a Redis Cluster has which slots, as one of its nodes says. */

import type { Redis } from 'ioredis'
import { StartError } from '../../schema/errors.ts'
import { inTime } from '../within.ts'
import { placeOfAddress, type RedisAddress, unusable } from './address.ts'
import { checkHello } from './hello.ts'
import { createRedisLink } from './link.ts'

/** The slots from one to another, both included, and the master that has them. */
export type SlotRange = { from: number; to: number; host: string; port: number }

/** How long a node may take to say it, in ms. */
const patience = 2000

/** Asks a node that was reached at `host`; undefined where it knows itself that it is cut off from the others. */
export const readSlotMap = async (client: Redis, host: string): Promise<SlotRange[] | undefined> => {
  const asked = Promise.all([client.call('CLUSTER', 'INFO'), client.call('CLUSTER', 'SLOTS')])
  const [info, ranges] = await inTime(asked, patience)
  if (!isOk(info) || !Array.isArray(ranges)) return undefined
  return ranges.flatMap((range: unknown) => {
    const [from, to, master] = asList(range)
    const [name, port] = asList(master)
    // Without a name it is where the node was asked; a question mark is a node that does not know how it is called.
    const found = name === '' || name === null ? host : String(name)
    return found === '?' ? [] : [{ from: Number(from), to: Number(to), host: found, port: Number(port) }]
  })
}

/** Connects to one node for as long as something is asked of it. */
export const askNode = async <T>(address: RedisAddress, question: (client: Redis) => Promise<T>): Promise<T> => {
  const link = createRedisLink({ address, name: 'hubbub-look', onReady: nothing, onLost: nothing })
  try {
    await link.open()
    return await inTime(question(link.client), patience)
  } finally {
    link.close()
  }
}

/**
 * Asks all named nodes which cluster they are of, and returns its map. Those that do not answer may be away, unless all
 * are; throws a StartError where those that do are no Cluster that works.
 */
export const findCluster = async (addresses: readonly RedisAddress[]): Promise<SlotRange[]> => {
  const answers = await Promise.allSettled(
    addresses.map((address) => askNode(address, (client) => introduce(client, address))),
  )
  const failures = answers.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []))
  const found = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const [first] = found
  const refusal = failures.find((reason) => reason instanceof StartError)
  if (refusal) throw refusal
  if (!first) throw unusable(addresses[0]?.reasonOf(failures[0]) ?? '')
  if (found.some(({ id }) => !first.known.includes(id))) throw unusable('its nodes are not of one Cluster')
  const map = found.find((one) => one.map)?.map
  if (!map || map.length === 0) throw unusable('the Cluster is in state fail')
  return map
}

const introduce = async (client: Redis, address: RedisAddress) => {
  await checkHello(client, placeOfAddress(address))
  const id = String(await client.call('CLUSTER', 'MYID'))
  const known = String(await client.call('CLUSTER', 'NODES'))
  return { id, known, map: await readSlotMap(client, address.options.host) }
}

const isOk = (info: unknown): boolean => /^cluster_state:ok\b/m.test(String(info))

const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])

const nothing = (): void => undefined
