#!/usr/bin/env node
/** The composition root: starts the program, or runs a command beside it. */

import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createMemoryBus } from './realtime/bus/memory.ts'
import { createRealtime } from './realtime/realtime.ts'
import { loadUws } from './realtime/transport/uws.ts'
import { type Config, readConfig } from './schema/config.ts'
import { HubbubError, StartError } from './schema/errors.ts'
import { readCommand, UsageError, usage } from './server/commands.ts'
import { type Database, openEmbedded, openExternal } from './server/db/database.ts'
import { resolveDataDir } from './server/db/embedded/data-dir.ts'
import { systemUser } from './server/db/embedded/system-user.ts'
import { listen } from './server/db/listen.ts'
import { migrate } from './server/db/migrate.ts'
import { bootstrap } from './server/domain/bootstrap.ts'
import type { Context } from './server/domain/context.ts'
import { readHeads, readHistory, workspaceOfConversation } from './server/domain/history.ts'
import { createKeyCache } from './server/domain/key-cache.ts'
import { findKey, keyChanges } from './server/domain/keys.ts'
import { createAddresses } from './server/faces/addresses.ts'
import { firstStartLines, startLines } from './server/greeting.ts'
import { createLimiter } from './server/http/limiter.ts'
import { startForgettingClaims } from './server/jobs/forget-claims.ts'
import { createLogger } from './server/logger.ts'
import { readSecrets, type Secrets } from './server/secrets.ts'
import { createServer } from './server/server.ts'
import { closeOnSignal } from './server/signals.ts'

/** Opens the database that the configuration asks for, at this program's version, and the secrets beside it. */
const open = async (
  config: Config,
  role: 'program' | 'command',
  onExit?: (line: string) => void,
): Promise<{ database: Database; secrets: Secrets }> => {
  const root = dirname(fileURLToPath(import.meta.url))
  // A command prints its one JSON object; how its database was found is no news there.
  const say = (line: string) => (role === 'program' ? console.error(line) : undefined)
  const dataDir = await resolveDataDir({
    configured: config.DATA_DIR,
    cloneDir: root.endsWith('/dist') ? dirname(root) : root,
    user: config.DATABASE_URL === undefined ? await systemUser() : undefined,
    say,
  })
  const secrets = await readSecrets(dataDir)
  const database =
    config.DATABASE_URL === undefined
      ? await openEmbedded(role, { dataDir, password: secrets.postgres_password, say, ...(onExit ? { onExit } : {}) })
      : await openExternal(config.DATABASE_URL)
  try {
    await migrate(database.sql)
  } catch (error) {
    await database.close()
    throw error
  }
  return { database, secrets }
}

const start = async (config: Config) => {
  // Before anything is opened: where the addon does not load, nothing is left behind.
  loadUws()
  const logger = createLogger(config.LOG_LEVEL)
  const { database, secrets } = await open(config, 'program', (line) => {
    logger.fatal(line)
    process.exit(1)
  })
  const { sql } = database
  const app = {
    id: config.PUSHER_APP_ID ?? secrets.pusher_app_id,
    key: config.PUSHER_APP_KEY ?? secrets.pusher_app_key,
    secret: config.PUSHER_APP_SECRET ?? secrets.pusher_app_secret,
  }
  let draining = false
  let realtimePort = config.REALTIME_PORT
  const ready = async () => !draining && (await answers(sql))

  const bus = createMemoryBus((subject, message) => realtime.receive(subject, message))
  const realtime = createRealtime({
    app,
    bus,
    log: {
      heads: (workspaces) => readHeads(sql, workspaces),
      history: (workspace, after, limit) => readHistory(sql, workspace, after, limit),
      workspaceOf: (conversation) => workspaceOfConversation(sql, conversation),
    },
    ready,
    logger,
    limits: { channelsPerSocket: config.MAX_CHANNELS_PER_SOCKET, sendBuffer: config.SEND_BUFFER_BYTES },
  })

  const context: Context = { sql, bus }
  const keys = createKeyCache((text) => findKey(sql, text))
  const keyListener = listen(database.url, keyChanges, { onNotice: keys.forget, onState: keys.trust })
  const server = await createServer({
    context,
    keys,
    limiter: createLimiter(),
    perMinute: config.RATE_LIMIT_PER_MINUTE,
    addresses: createAddresses({
      publicUrl: config.PUBLIC_URL,
      realtimePublicUrl: config.REALTIME_PUBLIC_URL,
      realtimePort: () => realtimePort,
      appKey: app.key,
    }),
    pusherApp: app,
    ready,
    trustProxy: config.TRUST_PROXY,
    logger,
  })
  const stopForgetting = startForgettingClaims(sql, logger)

  const close = async () => {
    draining = true
    stopForgetting()
    await server.close()
    await realtime.close()
    await bus.close()
    await keyListener.close()
    await database.close()
  }
  closeOnSignal(close, logger)

  try {
    // Both ports are ours before anything is made that is shown only once.
    realtimePort = (await realtime.listen({ host: config.HOST, port: config.REALTIME_PORT })).port
    const port = await listenOn(server, config)
    const made = await bootstrap(context, config.BOOTSTRAP_API_KEY)
    const host = ['0.0.0.0', '::'].includes(config.HOST) ? '127.0.0.1' : config.HOST
    const addresses = {
      api: config.PUBLIC_URL ?? `http://${host}:${port}`,
      realtime: config.REALTIME_PUBLIC_URL ?? `ws://${host}:${realtimePort}`,
      appId: app.id,
      appKey: app.key,
    }
    process.stdout.write(startLines(addresses) + (made ? firstStartLines(addresses, made) : ''))
  } catch (error) {
    await close()
    throw error
  }
}

const listenOn = async (server: Awaited<ReturnType<typeof createServer>>, { HOST, PORT }: Config): Promise<number> => {
  try {
    await server.listen({ host: HOST, port: PORT })
  } catch (error) {
    const inUse = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    const reason = inUse ? 'is already in use' : 'cannot be listened on'
    throw new StartError(`PORT ${PORT} ${reason} on ${HOST}.`, { cause: error })
  }
  const address = server.server.address()
  return typeof address === 'object' && address ? address.port : PORT
}

const answers = async (sql: Database['sql']): Promise<boolean> =>
  await Promise.race([
    sql`select 1`.then(
      () => true,
      () => false,
    ),
    new Promise<boolean>((resolve) => setTimeout(resolve, 2000, false).unref()),
  ])

const runCommand = async (args: string[], config: Config) => {
  const command = args[0] === 'migrate' && args.length === 1 ? undefined : readCommand(args)
  const { database } = await open(config, 'command')
  try {
    if (command) console.log(JSON.stringify(await command(database.sql)))
  } finally {
    await database.close()
  }
}

const main = async (args: string[]) => {
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
