/** Migrations: numbered SQL files, applied in order, once, forward only. */

import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import postgres from 'postgres'
import { StartError } from '../../schema/errors.ts'
import type { Sql, Tx } from './sql.ts'

const directory = new URL('./migrations/', import.meta.url)

// Any number does, as long as every starter takes the same.
const migrationLock = 4_821_001

/** Brings the database to this program's version and returns how many migrations ran. Starters wait for each other. */
export const migrate = async (sql: Sql): Promise<number> => {
  const files = await readMigrations()
  return await sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${migrationLock})`
    await tx`
      create table if not exists schema_migrations (
        version integer primary key, name text not null, checksum text not null,
        applied_at timestamptz not null default clock_timestamp()
      )`
    const applied = await tx<{ version: number; name: string; checksum: string }[]>`
      select version, name, checksum from schema_migrations order by version`
    for (const row of applied) {
      const file = files.find(({ version }) => version === row.version)
      if (!file) {
        throw new StartError(
          `The database is newer than this program: it has migration ${row.name}, which is not known here. Start a newer version.`,
        )
      }
      if (file.checksum !== row.checksum) {
        throw new StartError(
          `Migration ${row.name} was changed after it ran on this database; restore the file as it was.`,
        )
      }
    }
    const pending = files.filter(({ version }) => !applied.some((row) => row.version === version))
    for (const migration of pending) {
      const { version, name, checksum } = migration
      await run(tx, migration)
      await tx`insert into schema_migrations (version, name, checksum) values (${version}, ${name}, ${checksum})`
    }
    return pending.length
  })
}

const run = async (tx: Tx, { name, text }: { name: string; text: string }) => {
  try {
    await tx.unsafe(text)
  } catch (error) {
    if (!isExtensionRefused(error)) throw error
    const extensions = [...text.matchAll(/create extension if not exists (\w+)/g)].map(([, extension]) => extension)
    throw new StartError(
      `${name}: ${error.message}. Have an administrator run in this database: ${extensions.map((extension) => `create extension ${extension};`).join(' ')}`,
      { cause: error },
    )
  }
}

// Not allowed, not installed, or not to be found, which newer versions of Postgres say in another way.
const isExtensionRefused = (error: unknown): error is postgres.PostgresError =>
  error instanceof postgres.PostgresError &&
  ['42501', '0A000', '58P01'].includes(error.code) &&
  error.message.includes('extension')

const readMigrations = async () => {
  const names = (await readdir(directory)).filter((name) => /^\d{4}_\w+\.sql$/.test(name)).sort()
  return await Promise.all(
    names.map(async (name) => {
      const text = await readFile(new URL(name, directory), 'utf8')
      return {
        version: Number(name.slice(0, 4)),
        name,
        text,
        checksum: createHash('sha256').update(text).digest('hex'),
      }
    }),
  )
}
