/** A Redis Cluster of a test's own, whose nodes can be killed and brought back, and whose slots can be moved. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inject } from 'vitest'
import { slotCount, slotOf } from '../../realtime/redis/slot.ts'
import { askRedis } from './redis.ts'

export type TestCluster = {
  /** What REDIS_URL is to be. */
  url: string
  /** The address of each node: the three masters, then their replicas in the same order. */
  nodes: string[]
  /** Returns which master had the slot of a key or channel at the start. */
  masterOf(key: string): number
  /** Ends a node without a goodbye. */
  kill(node: number): Promise<void>
  /** Starts it where it was; without a replica it comes back empty. */
  restart(node: number): Promise<void>
  /**
   * Moves the slot of a key from the master that had it at the start to another, with all keys in it; `meanwhile` is
   * done while it is neither here nor there.
   */
  moveSlot(key: string, to: number, meanwhile?: () => Promise<void>): Promise<void>
  /** Resolves when every node that runs says that the Cluster works. */
  isOk(): Promise<void>
  stop(): Promise<void>
}

const masters = 3
const firstSlot = (master: number): number => Math.round((master * slotCount) / masters)

/** Starts three masters on free ports of this machine, with a replica of each where asked for. */
export const startRedisCluster = async ({
  hasReplicas = false,
  isPartial = true,
  password = '',
}: {
  hasReplicas?: boolean
  /** Whether it goes on without a master; otherwise it serves nothing while one is missing. */
  isPartial?: boolean
  password?: string
} = {}): Promise<TestCluster> => {
  const directory = await mkdtemp(join(tmpdir(), 'hubbub-cluster-'))
  const ports = await freePorts(hasReplicas ? 2 * masters : masters)
  const addresses = ports.map((port) => `redis://${password && `:${password}@`}127.0.0.1:${port}`)
  const children: ChildProcess[] = []
  const launch = async (node: number): Promise<void> => {
    const place = join(directory, `${node}`)
    await mkdir(place, { recursive: true })
    children[node] = await launchNode(ports[node] ?? 0, place, { password, isPartial })
  }
  const killAll = (): void => {
    for (const child of children) child.kill('SIGKILL')
  }
  process.once('exit', killAll)
  await Promise.all(ports.map((_, node) => launch(node)))

  const ask = async (node: number, ...words: string[]): Promise<string> => {
    const answer = await askRedis(addresses[node] ?? '', ...words)
    const said = password ? answer.replace('+OK\r\n', '') : answer
    if (said.startsWith('-')) throw new Error(`${words.join(' ')}: ${said}`)
    return said
  }
  const isRunning = (node: number): boolean => children[node]?.exitCode === null && children[node]?.signalCode === null
  const running = (): number[] => [...ports.keys()].filter(isRunning)
  const isOk = async (): Promise<void> => {
    await until(async () => {
      const infos = await Promise.all(running().map((node) => ask(node, 'CLUSTER', 'INFO')))
      return infos.every((info) => info.includes('cluster_state:ok') && info.includes(`known_nodes:${ports.length}`))
    }, 'the Cluster works')
  }
  const idOf = async (node: number): Promise<string> =>
    /[0-9a-f]{40}/.exec(await ask(node, 'CLUSTER', 'MYID'))?.[0] ?? ''
  const masterOf = (key: string): number => [2, 1, 0].find((master) => slotOf(key) >= firstSlot(master)) ?? 0

  await Promise.all(
    Array.from({ length: masters }, (_, node) =>
      ask(node, 'CLUSTER', 'ADDSLOTSRANGE', `${firstSlot(node)}`, `${firstSlot(node + 1) - 1}`),
    ),
  )
  await Promise.all(ports.map((_, node) => ask(node, 'CLUSTER', 'SET-CONFIG-EPOCH', `${node + 1}`)))
  for (const port of ports.slice(1)) await ask(0, 'CLUSTER', 'MEET', '127.0.0.1', `${port}`)
  await isOk()
  for (const node of ports.slice(masters).keys()) {
    await ask(masters + node, 'CLUSTER', 'REPLICATE', await idOf(node))
  }
  if (hasReplicas) {
    await until(async () => {
      const roles = await Promise.all([3, 4, 5].map((node) => ask(node, 'INFO', 'replication')))
      return roles.every((role) => role.includes('master_link_status:up'))
    }, 'the replicas follow')
  }

  return {
    url: addresses.slice(0, masters).join(','),
    nodes: addresses,
    masterOf,
    kill: async (node) => {
      if (!isRunning(node) || !children[node]) return
      const exited = once(children[node], 'exit')
      children[node].kill('SIGKILL')
      await exited
    },
    restart: launch,
    moveSlot: async (key, to, meanwhile) => {
      const [from, slot] = [masterOf(key), `${slotOf(key)}`]
      const [fromId, toId] = await Promise.all([idOf(from), idOf(to)])
      await ask(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId)
      await ask(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId)
      await meanwhile?.()
      while (true) {
        const keys = (await ask(from, 'CLUSTER', 'GETKEYSINSLOT', slot, '100')).split('\r\n').filter(isKey)
        if (keys.length === 0) break
        const auth = password ? ['AUTH', password] : []
        await ask(from, 'MIGRATE', '127.0.0.1', `${ports[to]}`, '', '0', '5000', ...auth, 'KEYS', ...keys)
      }
      for (const node of [to, from, ...running()]) await ask(node, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId)
    },
    isOk,
    stop: async () => {
      process.off('exit', killAll)
      const exits = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
      const exited = exits.map((child) => once(child, 'exit'))
      killAll()
      await Promise.all(exited)
      await rm(directory, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

const isKey = (line: string): boolean => line !== '' && !/^([*$]\d+|\+OK)$/.test(line)

const launchNode = async (
  port: number,
  directory: string,
  { password, isPartial }: { password: string; isPartial: boolean },
): Promise<ChildProcess> => {
  const network = ['--port', `${port}`, '--bind', '127.0.0.1', '--requirepass', password, '--masterauth', password]
  const cluster = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000']
  const partial = [
    '--cluster-require-full-coverage',
    isPartial ? 'no' : 'yes',
    '--cluster-replica-validity-factor',
    '0',
  ]
  const quick = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1']
  const nothing = ['--dir', directory, '--save', '', '--appendonly', 'no']
  const args = [...network, ...cluster, ...partial, ...quick, ...nothing]
  const child = spawn(inject('redisBinary'), args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  const ready = new Promise<'ready'>((resolve) => {
    child.stdout.on('data', (chunk) => {
      printed += chunk
      if (printed.includes('Ready to accept connections')) resolve('ready')
    })
  })
  if ((await Promise.race([ready, once(child, 'exit')])) !== 'ready') throw new Error(`Redis ended:\n${printed}`)
  return child
}

const until = async (isTrue: () => Promise<boolean>, what: string): Promise<void> => {
  const from = performance.now()
  while (!(await isTrue().catch(() => false))) {
    if (performance.now() - from > 20_000) throw new Error(`not within 20 seconds: ${what}`)
    await new Promise((again) => setTimeout(again, 50))
  }
}

/** Returns ports that are free, as are those of the nodes' own bus, 10,000 above them. */
const freePorts = async (count: number): Promise<number[]> => {
  const found: number[] = []
  while (found.length < count) {
    const port = 10_000 + Math.floor(Math.random() * 9000)
    const isFree = (await Promise.all([isFreePort(port), isFreePort(port + 10_000)])).every(Boolean)
    if (isFree && !found.includes(port)) found.push(port)
  }
  return found
}

const isFreePort = (port: number): Promise<boolean> => {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
