/** Opens what the configuration asks for: the database, at this program's version, and the secrets of the Pusher app. */

import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Config, roles } from '../schema/config.ts'
import { type Database, openEmbedded, openExternal } from './db/database.ts'
import { resolveDataDir } from './db/embedded/data-dir.ts'
import { systemUser } from './db/embedded/system-user.ts'
import { migrate } from './db/migrate.ts'
import { readSecrets } from './secrets.ts'

/** Who opens it: the program, which hears of an end of the embedded Postgres, or a command. */
export type Opener = { role: 'program'; onExit: (line: string) => void } | { role: 'command' }

/** `database` is undefined only for a realtime process that was given none. */
export type Opened = { database: Database | undefined; app: { id: string; key: string; secret: string } }

/** Opens both; the data directory is made only where something has to be kept in it. */
export const open = async (config: Config, opener: Opener): Promise<Opened> => {
  const { DATABASE_URL, PUSHER_APP_ID: id, PUSHER_APP_KEY: key, PUSHER_APP_SECRET: secret } = config
  const given = id && key && secret ? { id, key, secret } : undefined
  const isWhole = opener.role === 'command' || config.ROLES.length === roles.length
  if (given && !isWhole && DATABASE_URL === undefined) return { database: undefined, app: given }
  if (given && DATABASE_URL !== undefined) return { database: await migrated(openExternal(DATABASE_URL)), app: given }

  // A command prints its one JSON object; how its database was found is no news there.
  const say = (line: string) => {
    if (opener.role === 'program') process.stderr.write(`${line}\n`)
  }
  const dataDir = await resolveDataDir({
    configured: config.DATA_DIR,
    cloneDir,
    user: DATABASE_URL === undefined ? await systemUser() : undefined,
    say,
  })
  const secrets = await readSecrets(dataDir)
  const { pusher_app_id, pusher_app_key, pusher_app_secret, postgres_password } = secrets
  const database =
    DATABASE_URL === undefined
      ? openEmbedded(opener.role, { ...opener, dataDir, password: postgres_password, say })
      : openExternal(DATABASE_URL)
  return {
    database: await migrated(database),
    app: given ?? { id: pusher_app_id, key: pusher_app_key, secret: pusher_app_secret },
  }
}

const migrated = async (opening: Promise<Database>): Promise<Database> => {
  const database = await opening
  try {
    await migrate(database.sql)
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}

const above = dirname(dirname(fileURLToPath(import.meta.url)))
const cloneDir = above.endsWith('/dist') ? dirname(above) : above
