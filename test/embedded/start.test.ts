/** The embedded Postgres: its starts, its restarts, and several starts at once. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startEmbeddedPostgres } from '../../server/db/embedded/embedded.ts'
import { readSecrets } from '../../server/secrets.ts'
import { isRoot, makePlace, query, startIn } from './support/place.ts'
import { spawnStarter } from './support/starter.ts'

test('a first start makes a durable database that only this machine reaches', async () => {
  const { url, reused } = await startIn(await makePlace())
  expect(reused).toBe(false)
  expect(url).toMatch(/^postgres:\/\/hubbub:[0-9a-f]+@127\.0\.0\.1:\d+\/hubbub$/)
  const settings = await query(
    url,
    `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit,
      current_setting('listen_addresses') as addresses, current_setting('unix_socket_directories') as sockets,
      current_setting('max_connections') as connections, current_setting('timezone') as timezone,
      current_setting('server_encoding') as encoding`,
  )
  expect(settings).toEqual([
    {
      ...{ fsync: 'on', commit: 'on', addresses: '127.0.0.1', sockets: '' },
      ...{ connections: '200', timezone: 'UTC', encoding: 'UTF8' },
    },
  ])
})

test('a second start after a stop keeps the rows', async () => {
  const place = await makePlace()
  const first = await startIn(place)
  await query(first.url, 'create table kept as select 42 as answer')
  await Promise.all([first.stop(), first.stop()])
  await expect(query(first.url, 'select 1')).rejects.toThrow('ECONNREFUSED')

  const second = await startIn(place)
  expect(second).toMatchObject({ reused: false })
  expect(second.pid).not.toBe(first.pid)
  expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }])
})

test('two programs that start at once on fresh data share one Postgres', async () => {
  const place = await makePlace()
  const [here, there, also] = await Promise.all([startIn(place), spawnStarter(place), startIn(place)])
  expect(new Set([here.pid, there.pid, also.pid]).size).toBe(1)
  expect([here, there, also].filter(({ reused }) => !reused)).toHaveLength(1)
  await query(here.url, 'create table shared as select 1 as one')
  expect(await query(there.url, 'select one from shared')).toEqual([{ one: 1 }])
  expect((await readdir(place)).sort()).toEqual(['postgres', 'postgres.log', 'secrets.json'])
})

test('the cluster and its log are closed to other users', async () => {
  const place = await makePlace()
  await startIn(place)
  const cluster = await stat(join(place, 'postgres'))
  expect(cluster.mode & 0o777).toBe(0o700)
  expect(cluster.uid === 0).toBe(false)
  if (!isRoot) expect(cluster.uid).toBe(process.getuid?.())
  expect((await stat(join(place, 'postgres.log'))).mode & 0o777).toBe(0o600)
})

test('a password that is not the one of the cluster is one clear line', async () => {
  const place = await makePlace()
  await (await startIn(place)).stop()
  const start = startEmbeddedPostgres({ dataDir: place, password: 'another', say: () => undefined })
  await expect(start).rejects.toThrow(/refuses the password in .*secrets\.json/)
  expect((await readdir(join(place, 'postgres'))).includes('postmaster.pid')).toBe(false)
})

test('a Postgres that cannot start says why in one line', async () => {
  const place = await makePlace()
  await (await startIn(place)).stop()
  await writeFile(join(place, 'postgres', 'PG_VERSION'), '9.6\n')
  await expect(startIn(place)).rejects.toThrow(
    /^Postgres did not start: database files are incompatible with server \(The data directory was .* 9\.6.*\); its log is .*postgres\.log\.$/,
  )
})

test('a folder of something else in the place of the cluster is left alone', async () => {
  const place = await makePlace()
  await readSecrets(place)
  await writeFile(join(place, 'postgres'), 'mine')
  await expect(startIn(place)).rejects.toThrow(/postgres .*ENOTDIR/)
  expect(await readFile(join(place, 'postgres'), 'utf8')).toBe('mine')
  expect((await readdir(place)).sort()).toEqual(['postgres', 'secrets.json'])
})
