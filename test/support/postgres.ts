/** Databases as an operator has them: an empty one, and one that goes away and comes back. */

import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { openSql } from '../../server/db/sql.ts'

const addressOf = (name: string): string => {
  const url = new URL(inject('templateUrl'))
  url.pathname = `/${name}`
  return url.href
}

const asOperator = async (...statements: string[]) => {
  const sql = openSql(addressOf('postgres'), { max: 1, name: 'test operator' })
  for (const statement of statements) await sql.unsafe(statement)
  await sql.end()
}

/** Makes a database with nothing in it and returns its address. */
export const emptyDatabase = async (): Promise<string> => {
  const name = `test_${randomBytes(6).toString('hex')}`
  await asOperator(`create database ${name} template template0`)
  return addressOf(name)
}

/** Ends every connection to a database and lets nobody in. */
export const takeAway = async (url: string): Promise<void> => {
  const name = new URL(url).pathname.slice(1)
  await asOperator(
    `alter database ${name} with allow_connections false`,
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
  )
}

/** Lets everybody in again. */
export const bringBack = (url: string): Promise<void> =>
  asOperator(`alter database ${new URL(url).pathname.slice(1)} with allow_connections true`)

/** Runs statements on a database. */
export const runOn = async (url: string, statement: string): Promise<Record<string, unknown>[]> => {
  const sql = openSql(url, { max: 1, name: 'test' })
  try {
    return [...(await sql.unsafe<Record<string, unknown>[]>(statement))]
  } finally {
    await sql.end()
  }
}
