/** The embedded Postgres after something was killed. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findPostmaster } from '../../server/db/embedded/postmaster.ts'
import { makePlace, query, startIn } from './support/place.ts'
import { spawnStarter } from './support/starter.ts'

test('a Postgres whose program was killed is reused by the next start', async () => {
  const place = await makePlace()
  const killed = await spawnStarter(place)
  await query(killed.url, 'create table kept as select 42 as answer')
  await killed.killHard()

  const next = await startIn(place)
  expect(next).toMatchObject({ pid: killed.pid, url: killed.url, reused: true })
  expect(await query(next.url, 'select answer from kept')).toEqual([{ answer: 42 }])
  await next.stop()
  expect(findPostmaster(join(place, 'postgres'))).toBeUndefined()
  await expect(query(next.url, 'select 1')).rejects.toThrow('ECONNREFUSED')
})

test('a killed Postgres keeps every committed row, and its end is told', async () => {
  const place = await makePlace()
  const lines: string[] = []
  const first = await startIn(place, (line) => lines.push(line))
  await query(first.url, 'create table kept as select n from generate_series(1, 10000) n')
  process.kill(first.pid, 'SIGKILL')
  const next = await startIn(place)
  expect(next).toMatchObject({ reused: false })
  expect(await query(next.url, 'select count(*)::int as rows from kept')).toEqual([{ rows: 10_000 }])
  await expect.poll(() => lines).toEqual([expect.stringMatching(/^Postgres \(pid \d+\) ended \(SIGKILL\)/)])
})

test('a Postgres that was stopped on purpose is not told as an accident', async () => {
  const lines: string[] = []
  const running = await startIn(await makePlace(), (line) => lines.push(line))
  await running.stop()
  expect(lines).toEqual([])
})

test('a leftover pid file that names another living program does not stop a start', async () => {
  const place = await makePlace()
  const first = await startIn(place)
  await query(first.url, 'create table kept as select 42 as answer')
  const file = join(place, 'postgres', 'postmaster.pid')
  const leftover = (await readFile(file, 'utf8')).replace(/^\d+/, String(process.pid))
  await first.stop()
  await writeFile(file, leftover)

  const next = await startIn(place)
  expect(next).toMatchObject({ reused: false })
  expect(await query(next.url, 'select answer from kept')).toEqual([{ answer: 42 }])
})

test('a leftover pid file that names the Postgres of other data does not lead there', async () => {
  const [ours, others] = await Promise.all([makePlace(), makePlace()])
  const [first, other] = await Promise.all([startIn(ours), startIn(others)])
  await first.stop()
  const pidFile = await readFile(join(others, 'postgres', 'postmaster.pid'))
  await writeFile(join(ours, 'postgres', 'postmaster.pid'), pidFile)

  const next = await startIn(ours)
  expect(next).toMatchObject({ reused: false })
  expect(next.pid).not.toBe(other.pid)
  expect(await query(other.url, 'select 1 as one')).toEqual([{ one: 1 }])
})
