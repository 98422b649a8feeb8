/** A database of a test file's own, copied from the migrated one. */

import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { openSql, type Sql } from '../../server/db/sql.ts'

export type TestDatabase = { url: string; sql: Sql; close(): Promise<void> }

/** Makes a database, migrated and otherwise empty. */
export const freshDatabase = async ({ max = 20 }: { max?: number } = {}): Promise<TestDatabase> => {
  const template = new URL(inject('templateUrl'))
  const name = `test_${randomBytes(6).toString('hex')}`
  const admin = new URL(template)
  admin.pathname = '/postgres'
  const maker = openSql(admin.href, { max: 1, name: 'test' })
  // Copying fails while another copy of the same template is being made: one at a time.
  await maker`select pg_advisory_lock(1)`
  await maker.unsafe(`create database ${name} template ${template.pathname.slice(1)}`)
  await maker.end()
  const url = new URL(template)
  url.pathname = `/${name}`
  const sql = openSql(url.href, { max, name: 'test' })
  return { url: url.href, sql, close: () => sql.end({ timeout: 5 }) }
}
