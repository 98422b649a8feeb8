#!/usr/bin/env node
/** The composition root: starts the roles that this process runs, or runs a command beside it. */

import type { Bus, BusListener } from './realtime/bus/bus.ts'
import { createMemoryBus } from './realtime/bus/memory.ts'
import { createRedisBus } from './realtime/bus/redis/redis.ts'
import type { Logger } from './realtime/logger.ts'
import { createMetrics, type Metrics } from './realtime/metrics.ts'
import { createRealtime, policyOf, type Realtime } from './realtime/realtime.ts'
import { createRedisCounter } from './realtime/redis/limiter.ts'
import { createMemoryRoster } from './realtime/roster/memory.ts'
import { createRedisRoster } from './realtime/roster/redis/redis.ts'
import type { Roster, RosterListener } from './realtime/roster/roster.ts'
import { type Config, type Role, readConfig } from './schema/config.ts'
import { HubbubError, StartError } from './schema/errors.ts'
import type { Health, Operations, Use } from './schema/health.ts'
import type { Post } from './schema/outbound.ts'
import { createAi } from './server/ai/ai.ts'
import { createAiMetrics } from './server/ai/metrics.ts'
import { readCommand, UsageError, usage } from './server/commands.ts'
import type { Database } from './server/db/database.ts'
import { isAnswering } from './server/db/is-answering.ts'
import { bootstrap } from './server/domain/bootstrap.ts'
import type { Context } from './server/domain/context.ts'
import { placeOf, readHeads, readHistory } from './server/domain/history.ts'
import { createKeyCache } from './server/domain/key-cache.ts'
import { findKey, keyStates } from './server/domain/keys.ts'
import { readMissed } from './server/domain/missed.ts'
import { createAddresses } from './server/faces/addresses.ts'
import { firstStartLines, startLines } from './server/greeting.ts'
import { createLimiter, type Limiter } from './server/http/limiter.ts'
import { createRequestMetrics } from './server/http/request-metrics.ts'
import { watchKeyChanges } from './server/key-changes.ts'
import { createLogger } from './server/logger.ts'
import { open } from './server/open.ts'
import { createPost } from './server/outbound/post.ts'
import { createRefusal } from './server/outbound/refusal.ts'
import { type PusherApps, readPusherApps } from './server/pusher-apps.ts'
import { closeOnSignal } from './server/signals.ts'
import { createWebhookMetrics } from './server/webhooks/metrics.ts'
import { startWorker } from './server/worker.ts'

const start = async (config: Config): Promise<void> => {
  // What was opened is closed in the other direction, also where the start does not get to its end.
  const opened: (() => unknown)[] = []
  const close = async () => {
    for (const end of opened.splice(0).reverse()) await end()
  }
  try {
    await startRoles(config, opened, close)
  } catch (error) {
    await close()
    throw error
  }
}

const startRoles = async (config: Config, opened: (() => unknown)[], close: () => Promise<void>): Promise<void> => {
  const { HOST: host } = config
  // What takes longest to load is not for commands, and not for a start that cannot go on.
  const { createProbes, createServer, listenOn } = await import('./server/server.ts')
  const runs = (role: Role): boolean => config.ROLES.includes(role)
  const logger = createLogger(config.LOG_LEVEL)
  const metrics = createMetrics({ ofProcess: true })
  const requests = createRequestMetrics(metrics.registry)
  const onExit = (line: string) => {
    logger.fatal(line)
    process.exit(1)
  }
  const { database, app } = await open(config, { role: 'program', onExit })
  if (database) opened.push(database.close)
  const listener: BusListener = {
    receive: (subject, message) => realtime?.receive(subject, message),
    returned: () => realtime?.busReturned(),
  }
  const bus = await openBus(config, { listener, metrics, logger })
  opened.push(bus.close)
  const use: Use = { lastAsked: 0, isDraining: false }
  const operations = {
    use,
    health: async () => await healthOf(database, bus, use.isDraining),
    metrics: metrics.text,
    metricsToken: config.METRICS_TOKEN,
  }

  const { post, close: closePost } = createPost({ allowPrivate: config.WEBHOOK_ALLOW_PRIVATE ?? [] })
  opened.push(closePost)
  const pusherApps = readPusherApps(config.PUSHER_APPS, app)
  const realtime: Realtime | undefined = runs('realtime')
    ? await openRealtime({ config, database, pusherApps, bus, post, operations, metrics, logger }, opened)
    : undefined

  const context: Context | undefined = database && { sql: database.sql, bus, onLogged: () => worker?.poke() }
  const keys = createKeyCache(async (text) => context && (await findKey(context.sql, text)))
  if (database && context) {
    const onListening = () => realtime?.recheckKeys()
    opened.push(watchKeyChanges({ url: database.url, context, keys, onListening, logger }).close)
  }
  const ai = createAi(config, { onEnded: createAiMetrics(metrics.registry) })
  const worker: ReturnType<typeof startWorker> | undefined =
    database && context && runs('worker')
      ? startWorker({
          context,
          url: database.url,
          post,
          ai,
          retentionDays: config.EVENT_RETENTION_DAYS,
          webhookMetrics: createWebhookMetrics(metrics.registry),
          logger,
        })
      : undefined
  if (worker) opened.push(worker.stop)

  let realtimePort = config.REALTIME_PORT
  const rest =
    runs('rest') && context
      ? await createServer({
          context,
          keys,
          limiter: await openLimiter(config, opened, logger),
          perMinute: config.RATE_LIMIT_PER_MINUTE,
          addresses: createAddresses({
            publicUrl: config.PUBLIC_URL,
            realtimePublicUrl: config.REALTIME_PUBLIC_URL,
            realtimePort: () => realtimePort,
            appKey: app.key,
            hasTls: config.tls !== undefined,
            pathPrefix: config.REALTIME_PATH_PREFIX,
          }),
          ai,
          refusalOf: createRefusal({ allowPrivate: config.WEBHOOK_ALLOW_PRIVATE ?? [] }),
          pusherApp: app,
          origins: [config.PUBLIC_URL, ...(config.MCP_ALLOWED_ORIGINS ?? [])].filter((one) => one !== undefined),
          operations,
          requests,
          trustProxy: config.TRUST_PROXY,
          logger,
        })
      : undefined
  const http = rest ?? (realtime ? undefined : await createProbes({ operations, requests, logger }))
  if (http) opened.push(() => http.close())
  closeOnSignal(async () => {
    use.isDraining = true
    await leave(realtime, use, config.DRAIN_SECONDS * 1000)
    await close()
  }, logger)
  // Whoever comes back to the sockets asks the authorizer next, and pusher-js asks it only once: it is there first. Both
  // ports are ours before anything is made that is shown only once.
  const port = http && (await listenOn(http, host, config.PORT))
  if (realtime) realtimePort = (await realtime.listen({ host, port: config.REALTIME_PORT })).port
  const made = rest && context ? await bootstrap(context, config.BOOTSTRAP_API_KEY) : undefined

  const shown = ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host
  const own = port === undefined ? undefined : `http://${shown}:${port}`
  const base = own && (config.PUBLIC_URL ?? own)
  const addresses = {
    api: rest && base,
    probes: rest ? undefined : own,
    realtime: realtime && (config.REALTIME_PUBLIC_URL ?? `${config.tls ? 'wss' : 'ws'}://${shown}:${realtimePort}`),
    appId: app.id,
    appKey: app.key,
  }
  const greeting = startLines(addresses, { isOrdered: database !== undefined })
  process.stdout.write(made && base ? greeting + firstStartLines(base, made) : greeting)
}

/**
 * Sends the sockets elsewhere and goes on answering requests until a balancer has had time to see that this process is
 * not ready: as long as the time, in ms, lasts. Where nobody was here lately nobody is waited for.
 */
const leave = async (realtime: Realtime | undefined, { lastAsked }: Use, time: number): Promise<void> => {
  const until = Date.now() + time
  const isInUse = Date.now() - lastAsked < lately || (realtime?.isInUse() ?? false)
  await realtime?.drain(time)
  const left = until - Date.now()
  if (isInUse && left > 0) await new Promise((resolve) => setTimeout(resolve, left))
}

/** For how long in ms somebody who asked is taken to be there: balancers look at least this often. */
const lately = 60_000

/** Says how the parts are. Without a database, what does not come over the bus is never heard of. */
const healthOf = async (database: Database | undefined, bus: Bus, draining: boolean): Promise<Health> => {
  const answers = database && (await isAnswering(database.sql))
  return {
    isReady: !draining && (answers ?? bus.isUp()),
    ...(answers === undefined ? {} : { database: answers ? 'up' : 'down' }),
    bus: bus.isUp() ? 'up' : 'down',
  }
}

const openRealtime = async (
  {
    config,
    database,
    pusherApps: { chat, apps },
    bus,
    post,
    operations,
    metrics,
    logger,
  }: {
    config: Config
    database: Database | undefined
    pusherApps: PusherApps
    bus: Bus
    post: Post
    operations: Operations
    metrics: Metrics
    logger: Logger
  },
  opened: (() => unknown)[],
): Promise<Realtime> => {
  const listener: RosterListener = {
    changed: (...told) => realtime.roster.changed(...told),
    turned: (...told) => realtime.roster.turned(...told),
    counted: (...told) => realtime.roster.counted(...told),
    noticed: (...told) => realtime.roster.noticed(...told),
    returned: () => realtime.roster.returned(),
  }
  const roster = await openRoster(config, { policyOf: policyOf([chat, ...apps]), listener, logger })
  opened.push(roster.close)
  const realtime = createRealtime({
    chat,
    apps,
    bus,
    roster,
    log: database && eventLog(database),
    post,
    operations,
    metrics,
    logger,
    access: { tls: config.tls, trustProxy: config.TRUST_PROXY, pathPrefix: config.REALTIME_PATH_PREFIX },
    limits: {
      channelsPerSocket: config.MAX_CHANNELS_PER_SOCKET,
      sendBuffer: config.SEND_BUFFER_BYTES,
      socketsPerIp: config.MAX_SOCKETS_PER_IP,
    },
  })
  opened.push(realtime.close)
  return realtime
}

const openRoster = async (
  { REDIS_URL: url }: Config,
  deps: { policyOf: ReturnType<typeof policyOf>; listener: RosterListener; logger: Logger },
): Promise<Roster> => (url === undefined ? createMemoryRoster(deps) : await createRedisRoster({ url, ...deps }))

const openBus = async (
  { REDIS_URL: url }: Config,
  deps: { listener: BusListener; metrics: Metrics; logger: Logger },
): Promise<Bus> => {
  if (url !== undefined) return await createRedisBus({ url, ...deps })
  deps.metrics.busUp.set(1)
  return createMemoryBus(deps.listener)
}

/** Requests are counted where all nodes see it, if there may be others. */
const openLimiter = async (
  { REDIS_URL: url, RATE_LIMIT_PER_MINUTE: perMinute }: Config,
  opened: (() => unknown)[],
  logger: Logger,
): Promise<Limiter> => {
  if (url === undefined || perMinute === 0) return createLimiter()
  const { count, close } = await createRedisCounter({ url, logger })
  opened.push(close)
  return createLimiter({ shared: count })
}

/** What the realtime part reads of the database. */
const eventLog = ({ sql }: Database) => ({
  heads: (workspaces: string[]) => readHeads(sql, workspaces),
  history: (workspace: string, after: number, limit: number) => readHistory(sql, workspace, after, limit),
  missed: (request: Parameters<typeof readMissed>[1]) => readMissed(sql, request),
  workspaceOf: async (channel: Parameters<typeof placeOf>[1]) => (await placeOf(sql, channel))?.workspace,
  keyStates: (ids: string[]) => keyStates(sql, ids),
})

const runCommand = async (args: string[], config: Config): Promise<void> => {
  const command = args[0] === 'migrate' && args.length === 1 ? undefined : readCommand(args)
  const { database } = await open(config, { role: 'command' })
  if (!database) return
  try {
    if (command) console.log(JSON.stringify(await command(database.sql)))
  } finally {
    await database.close()
  }
}

const main = async (args: string[]): Promise<void> => {
  try {
    if (args.includes('--help')) console.log(usage)
    else if (args.length === 0 || (args[0] === 'start' && args.length === 1)) await start(readConfig(process.env))
    else await runCommand(args, readConfig(process.env))
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`hubbub: ${error.message}\n\n${usage}`)
      process.exitCode = 2
    } else if (error instanceof StartError || error instanceof HubbubError) {
      console.error(`hubbub: ${error.message}`)
      process.exitCode = 1
    } else {
      console.error(error)
      process.exitCode = 1
    }
  }
}

await main(process.argv.slice(2))
