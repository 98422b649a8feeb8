/** Pusher servers as their users run them: real programs with apps of their own, one alone or several over a Redis. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import PusherServer from 'pusher'
import { hookTypes } from '../../schema/pusher-hooks.ts'
import { startApi, testApp } from './api.ts'
import { type Program, startProgram, withoutUws } from './program.ts'
import { startReceiver } from './receiver.ts'
import { startRedis } from './redis.ts'
import { startRedisCluster } from './redis-cluster.ts'

/** The app of the tests: its id is digits, since SDKs that are made from a URL read it as a number. */
export const shop = { id: '77', key: 'shop-key', secret: 'shop-secret' }

export type PusherNodes = Awaited<ReturnType<typeof startPusherNodes>>

/** How they run: one program with everything, or nodes that share a Redis or a Cluster; over which transport. */
export type Setting = { nodes: 1 | 2; transport: 'uws' | 'ws'; isCluster?: true }

/** Starts them. `settings` are what the app differs in from the defaults; its webhooks go to `hooks`. */
export const startPusherNodes = async (
  { nodes, transport, isCluster }: Setting,
  settings: Record<string, unknown> = {},
) => {
  const hooks = await startReceiver()
  const directory = await mkdtemp(join(tmpdir(), 'hubbub-apps-'))
  const file = join(directory, 'apps.json')
  await writeFile(file, JSON.stringify([{ ...shop, ...usual(hooks.url), ...settings }]))
  const env = { PUSHER_APPS: file, WEBHOOK_ALLOW_PRIVATE: '127.0.0.1', ...(transport === 'ws' ? withoutUws : {}) }
  const cluster = isCluster && (await startRedisCluster())
  const redis = nodes === 1 || cluster ? undefined : await startRedis()
  const shared = cluster ?? redis
  const alone = nodes === 1 ? await startApi(env) : undefined
  const startNode = () => startProgram({ ...env, ...testApp, ROLES: 'realtime', REDIS_URL: shared?.url ?? '' })
  const programs: Program[] = shared ? await Promise.all(Array.from({ length: nodes }, startNode)) : []
  const ports = alone ? [alone.realtimePort] : programs.map(({ realtimePort }) => realtimePort)

  return {
    hooks,
    redis,
    cluster,
    programs,
    /** Returns the port of a node; of the only one where there is one. */
    portOf: (node: number): number => ports[node % ports.length] ?? 0,
    /** Returns the official server SDK, talking to a node. */
    serverAt: (node: number): PusherServer =>
      new PusherServer({
        appId: shop.id,
        key: shop.key,
        secret: shop.secret,
        host: '127.0.0.1',
        port: `${ports[node % ports.length]}`,
        encryptionMasterKeyBase64: Buffer.alloc(32, 'a key of the tests').toString('base64'),
      }),
    startNode,
    stop: async (): Promise<void> => {
      await Promise.all(programs.map((program) => program.stop()))
      await alone?.close()
      await redis?.close()
      await cluster?.stop()
      await hooks.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

const usual = (url: string) => ({
  enableClientMessages: true,
  enableSubscriptionCount: true,
  webhooks: [
    {
      url: `${url}/hooks`,
      event_types: [...hookTypes],
    },
  ],
})
