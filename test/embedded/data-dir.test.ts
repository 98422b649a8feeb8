/** Where the data lives. */
import { createHash } from 'node:crypto'
import { chmod, chown, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { StartError } from '../../schema/errors.ts'
import { resolveDataDir } from '../../server/db/embedded/data-dir.ts'
import { systemUser } from '../../server/db/embedded/system-user.ts'
import { isRoot, makePlace, query, startIn } from './support/place.ts'

async function resolveIn(place: string, { configured, cloneDir = place }: { configured?: string; cloneDir?: string }) {
  const lines: string[] = []
  const user = await systemUser({ uid: process.geteuid?.() })
  const sharedDir = join(place, 'shared')
  const dataDir = await resolveDataDir({ configured, cloneDir, user, sharedDir, say: (line) => lines.push(line) })
  return { dataDir, lines }
}

const modeOf = async (path: string) => (await stat(path)).mode & 0o777

test('unset, the data lives beside the program', async () => {
  const place = await makePlace()
  expect(await resolveIn(place, {})).toEqual({ dataDir: join(place, 'data'), lines: [] })
})

test('what is made lets other users pass whatever the umask, and what was there keeps its mode', async () => {
  const place = await makePlace({ mode: 0o755 })
  const before = process.umask(0o077)
  try {
    await resolveIn(place, { configured: join(place, 'new/data') })
  } finally {
    process.umask(before)
  }
  expect(await modeOf(join(place, 'new'))).toBe(0o711)
  expect(await modeOf(join(place, 'new/data'))).toBe(0o711)
  expect(await modeOf(place)).toBe(0o755)
})

test('a data directory that cannot be made is one clear error', async () => {
  const place = await makePlace()
  await writeFile(join(place, 'file'), '')
  const failure = await resolveIn(place, { configured: join(place, 'file/data') }).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(StartError)
  expect(String(failure).split('\n')).toHaveLength(1)
})

test('an ordinary user may keep the data under a closed folder', async () => {
  const place = await makePlace({ mode: 0o700 })
  await asOrdinaryUser(place, async () => {
    expect(await resolveIn(place, {})).toEqual({ dataDir: join(place, 'data'), lines: [] })
  })
})

test('a data directory that the user may not write is one clear error', async () => {
  const place = await makePlace({ mode: 0o500 })
  await asOrdinaryUser(place, async () => {
    await expect(resolveIn(place, {})).rejects.toThrow(/cannot be made or written \(EACCES\)/)
  })
})

// What only root meets is tested where the tests run as root.
if (isRoot)
  describe('as root', () => {
    test('a configured place under a closed folder is one clear error, and nothing is made there', async () => {
      const place = await makePlace()
      const closed = join(place, 'closed')
      await mkdir(closed, { mode: 0o700 })
      const failure = await resolveIn(place, { configured: join(closed, 'data') }).catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(StartError)
      expect(String(failure)).toMatch(/DATA_DIR .*closed\/data cannot be reached by the system user/)
      expect(await readdir(closed)).toEqual([])
      expect(await modeOf(closed)).toBe(0o700)
    })

    test('unset in a closed clone, the data moves to the shared place and one line says so', async () => {
      const place = await makePlace()
      const cloneDir = join(place, 'clone')
      await mkdir(cloneDir, { mode: 0o700 })
      const { dataDir, lines } = await resolveIn(place, { cloneDir })
      const eight = createHash('sha256').update(cloneDir).digest('hex').slice(0, 8)
      expect(dataDir).toBe(join(place, 'shared', eight))
      expect(lines).toEqual([expect.stringContaining(`Data lives in ${dataDir}`)])
      expect(await modeOf(cloneDir)).toBe(0o700)
      expect(await resolveIn(place, { cloneDir })).toEqual({ dataDir, lines })
      expect(await query((await startIn(dataDir)).url, 'select 1 as one')).toEqual([{ one: 1 }])
    })

    test('a folder closed to others but open to the group of Postgres is reachable', async () => {
      const place = await makePlace()
      const user = await systemUser()
      if (!user) throw new Error('no system user')
      const shared = join(place, 'grouped')
      await mkdir(shared)
      await chown(shared, 0, user.gid)
      await chmod(shared, 0o710)
      expect((await resolveIn(place, { configured: join(shared, 'data') })).lines).toEqual([])
    })

    test('data that an ordinary user began is served as that user', async () => {
      const place = await makePlace()
      const dataDir = join(place, 'data')
      await mkdir(dataDir)
      const first = await startIn(dataDir)
      await first.stop()
      await giveAway(join(dataDir, 'postgres'), 12345)
      await chown(place, 12345, 12345)
      await chmod(place, 0o700)
      expect((await resolveIn(place, { configured: dataDir })).lines).toEqual([])
      const next = await startIn(dataDir)
      expect((await stat(join(dataDir, 'postgres/postmaster.pid'))).uid).toBe(12345)
      expect(await query(next.url, 'select 1 as one')).toEqual([{ one: 1 }])
    })
  })

const nobody = 65534

/** Runs a test as an ordinary user who owns the place; as root by becoming one meanwhile. */
async function asOrdinaryUser(place: string, act: () => Promise<void>): Promise<void> {
  if (!isRoot) return await act()
  await chown(place, nobody, nobody)
  process.seteuid?.(nobody)
  try {
    await act()
  } finally {
    process.seteuid?.(0)
  }
}

async function giveAway(path: string, id: number): Promise<void> {
  for (const name of await readdir(path, { recursive: true })) await chown(join(path, name), id, id)
  await chown(path, id, id)
}
