/** Migrations: safe for starters at once, and refused where the database is not what this program knows. */

import { expect, it } from 'vitest'
import { makePlace, printedKey, startForTest } from '../support/place.ts'
import { emptyDatabase, runOn } from '../support/postgres.ts'
import { runProgram } from '../support/program.ts'

it('three starters at once on one empty database all work, and one of them shows the first key', async () => {
  const env = { DATABASE_URL: await emptyDatabase(), DATA_DIR: await makePlace() }
  const programs = await Promise.all([startForTest(env), startForTest(env), startForTest(env)])
  const keys = programs.map(printedKey).filter((key) => key !== undefined)
  expect(keys).toHaveLength(1)
  for (const { api } of programs) {
    const answer = await fetch(`${api}/api/v1/conversations`, { headers: { Authorization: `Bearer ${keys[0]}` } })
    expect(answer.status).toBe(200)
  }
  expect(await runOn(env.DATABASE_URL, 'select count(*)::int as n from workspaces')).toEqual([{ n: 1 }])
})

it('migrate brings an empty database to this version, and says nothing more to do the second time', async () => {
  const env = { DATABASE_URL: await emptyDatabase(), DATA_DIR: await makePlace() }
  for (let turn = 0; turn < 2; turn += 1) {
    expect(await runProgram(['migrate'], env)).toEqual({ code: 0, stdout: '', stderr: '' })
  }
  const applied = await runOn(env.DATABASE_URL, 'select version, name from schema_migrations order by version')
  expect(applied[0]).toEqual({ version: 1, name: '0001_core.sql' })
  expect(await runOn(env.DATABASE_URL, 'select id from workspaces')).toEqual([])
})

it.each([
  [
    'newer than the program',
    "insert into schema_migrations values (9999, '9999_future.sql', 'x')",
    /newer.*9999_future/,
  ],
  ['not what the program made', "update schema_migrations set checksum = 'other'", /0001_core\.sql was changed/],
])('a database that is %s is refused in one line, and is left alone', async (_what, statement, line) => {
  const env = { DATABASE_URL: await emptyDatabase(), DATA_DIR: await makePlace(), PORT: '0', REALTIME_PORT: '0' }
  await runProgram(['migrate'], env)
  await runOn(env.DATABASE_URL, statement)
  for (const command of [['start'], ['migrate'], ['workspace', 'create', '--name', 'X']]) {
    const { code, stdout, stderr } = await runProgram(command, env)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^hubbub: [^\n]+\n$/)
    expect(stderr).toMatch(line)
  }
  expect(await runOn(env.DATABASE_URL, 'select id from workspaces')).toEqual([])
})
