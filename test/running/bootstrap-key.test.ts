/** BOOTSTRAP_API_KEY: the first workspace's key, for containers and scripts. */

import { expect, it } from 'vitest'
import { idOf, muroClient } from '../support/http.ts'
import { makePlace, printedKey, startForTest } from '../support/place.ts'
import { emptyDatabase, runOn } from '../support/postgres.ts'
import { runProgram, startProgram } from '../support/program.ts'

const key = `mr_live_${'b'.repeat(22)}`
const statusOf = async (api: string, text: string) => (await muroClient(api, text).get('/conversations')).status

it('is the key of a first start, reads and writes, and is not printed', async () => {
  const env = { DATABASE_URL: await emptyDatabase(), DATA_DIR: await makePlace(), BOOTSTRAP_API_KEY: key }
  const program = await startForTest(env)
  expect(program.output()).toContain('This is the first start.')
  expect(program.output()).not.toMatch(/mr_live_/)
  const muro = muroClient(program.api, key)
  expect(idOf(await muro.post('/contacts', { name: 'New' }))).toMatch(/^vis_/)
  expect(await statusOf(program.api, `${key}b`)).toBe(401)
  expect(await runOn(env.DATABASE_URL, 'select scopes from api_keys')).toHaveLength(1)
})

it('opens the workspace that is there already, beside its other keys, at every start', async () => {
  const env = { DATABASE_URL: await emptyDatabase(), DATA_DIR: await makePlace() }
  const first = await startProgram(env)
  const printed = printedKey(first) ?? ''
  const made = idOf(await muroClient(first.api, printed).post('/contacts', { name: 'Old' }))
  await first.stop()
  for (let turn = 0; turn < 2; turn += 1) {
    const again = await startProgram({ ...env, BOOTSTRAP_API_KEY: key })
    expect((await muroClient(again.api, key).get(`/contacts/${made}`)).body).toMatchObject({ name: 'Old' })
    expect(await statusOf(again.api, printed)).toBe(200)
    await again.stop()
  }
  expect(await runOn(env.DATABASE_URL, 'select id from api_keys')).toHaveLength(2)
  expect(await runOn(env.DATABASE_URL, 'select id from workspaces')).toHaveLength(1)
})

it('that was revoked is not revived by a restart', async () => {
  const env = { DATABASE_URL: await emptyDatabase(), DATA_DIR: await makePlace(), BOOTSTRAP_API_KEY: key }
  const first = await startProgram(env)
  const [row] = await runOn(env.DATABASE_URL, 'select public_id as id from api_keys')
  await runProgram(['key', 'revoke', String(row?.id)], env)
  expect(await statusOf(first.api, key)).toBe(401)
  await first.stop()
  const second = await startForTest(env)
  expect(await statusOf(second.api, key)).toBe(401)
  expect(second.output()).not.toMatch(/mr_live_/)
})
