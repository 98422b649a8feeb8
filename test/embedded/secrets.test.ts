/** The secrets that the program makes for itself. */
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { StartError } from '../../schema/errors.ts'
import { readSecrets } from '../../server/secrets.ts'
import { isRoot, makePlace } from './support/place.ts'

test('many that ask at once for the first time get the same secrets', async () => {
  const place = await makePlace()
  const asked = await Promise.all(Array.from({ length: 20 }, () => readSecrets(place)))
  expect(new Set(asked.map((secrets) => JSON.stringify(secrets))).size).toBe(1)
  expect(await readSecrets(place)).toEqual(asked[0])
  expect(await readdir(place)).toEqual(['secrets.json'])
})

test('the secrets are long, of the right form, and for their owner only', async () => {
  const place = await makePlace()
  expect(await readSecrets(place)).toEqual({
    postgres_password: expect.stringMatching(/^[0-9a-f]{48}$/),
    pusher_app_id: expect.stringMatching(/^\d{6}$/),
    pusher_app_key: expect.stringMatching(/^[0-9a-f]{20}$/),
    pusher_app_secret: expect.stringMatching(/^[0-9a-f]{40}$/),
  })
  expect((await stat(join(place, 'secrets.json'))).mode & 0o777).toBe(0o600)
})

test.each(['', '{"postgres_password":"x"', '{"postgres_password":"x"}', '{"pusher_app_id":"letters"}'])(
  'a broken file is one clear line and stays as it was: %j',
  async (text) => {
    const place = await makePlace()
    const file = join(place, 'secrets.json')
    await writeFile(file, text)
    const failure = await readSecrets(place).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(StartError)
    expect(String(failure)).toContain(`${file} is broken`)
    expect(String(failure).split('\n')).toHaveLength(1)
    expect(await readFile(file, 'utf8')).toBe(text)
  },
)

test('a file that cannot be read is one clear line', async () => {
  const place = await makePlace()
  const file = join(place, 'secrets.json')
  // Root reads every file, so for root a folder stands in for the closed one.
  if (isRoot) await mkdir(file)
  else await readSecrets(place).then(() => chmod(file, 0))
  await expect(readSecrets(place)).rejects.toThrow(/secrets\.json cannot be read \((EACCES|EISDIR)\)/)
})

test('a data directory that does not exist is one clear line', async () => {
  const place = await makePlace()
  await expect(readSecrets(join(place, 'missing'))).rejects.toThrow(/secrets\.json cannot be written \(ENOENT\)/)
})
