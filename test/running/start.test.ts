/** The life of the program with its own Postgres: first start, restart, second start, and every way to end. */

import { existsSync } from 'node:fs'
import { expect, it } from 'vitest'
import { call, idOf, muroClient, pageOf } from '../support/http.ts'
import { isRunning, makePlace, postgresOf, printedKey, startForTest } from '../support/place.ts'
import { runProgram, startProgram } from '../support/program.ts'

it('the first start prints all that is needed to try it, and a restart keeps the data and prints no key', async () => {
  const place = await makePlace()
  const first = await startProgram({ DATA_DIR: place })
  const key = printedKey(first) ?? ''
  const [asVisitor, asAgent] = first.output().match(/^curl .*$/gm) ?? []
  expect(first.output()).toContain(`REST API    ${first.api}/api/v1`)
  expect(first.output()).toMatch(/Pusher app {2}id \d{6}, key [0-9a-f]{20}/)
  expect(first.output()).toContain("import Pusher from 'pusher-js'")

  const muro = muroClient(first.api, key)
  for (const line of [asVisitor, asAgent]) expect(await runCurl(line ?? '')).toBe(201)
  const [conversation] = pageOf(await muro.get('/conversations')).ids
  const thread = await muro.get(`/conversations/${conversation}/messages`)
  expect(thread.body).toMatchObject({
    data: [
      { sender_type: 'visitor', content: 'Hello, is anyone there?' },
      { sender_type: 'agent', content: 'Yes! How can we help?' },
    ],
  })
  expect(await first.stop()).toBe(0)
  expect(postgresOf(place)).toBeUndefined()

  const second = await startForTest({ DATA_DIR: place })
  expect(second.output()).toContain('Hubbub is running.')
  expect(second.output()).not.toMatch(/mr_live_|first start|site_|curl/)
  const again = await muroClient(second.api, key).get(`/conversations/${conversation}/messages`)
  expect(again.text).toBe(thread.text)
})

/** Does what a printed curl line does and returns the status. */
const runCurl = async (line: string): Promise<number> => {
  const [, url = ''] = /'(http[^']+)'/.exec(line) ?? []
  const headers = [...line.matchAll(/-H ['"]([^:]+): ([^'"]+)['"]/g)].map(([, name = '', value = '']) => [name, value])
  const [, body] = /-d '([^']+)'/.exec(line) ?? []
  return (await call(url, 'POST', '', { body, headers: Object.fromEntries(headers) })).status
}

it('a second start on the same data is refused with the pid of the first, which goes on', async () => {
  const place = await makePlace()
  const first = await startForTest({ DATA_DIR: place })
  const second = await runProgram(['start'], { DATA_DIR: place, PORT: '0', REALTIME_PORT: '0' })
  expect([second.code, second.stdout]).toEqual([1, ''])
  expect(second.stderr).toContain(`hubbub: Hubbub is running already on ${place} (pid ${first.child.pid}).\n`)
  expect(second.stderr).not.toContain('    at ')
  expect((await muroClient(first.api, printedKey(first) ?? '').get('/conversations')).status).toBe(200)
})

it.each(['SIGTERM', 'SIGINT'] as const)('%s ends it in order, and no Postgres is left', async (signal) => {
  const place = await makePlace()
  const program = await startForTest({ DATA_DIR: place })
  const pid = postgresOf(place)
  expect(pid).toBeDefined()
  const ended = new Promise((done) => program.child.once('close', done))
  program.child.kill(signal)
  expect(await ended).toBe(0)
  expect(postgresOf(place)).toBeUndefined()
  expect(pid !== undefined && isRunning(pid)).toBe(false)
  expect(program.output()).not.toContain('closing failed')
})

it('P1: after kill -9 the next start reuses the Postgres that was left, and has every answered write', async () => {
  const place = await makePlace()
  const first = await startProgram({ DATA_DIR: place })
  const key = printedKey(first) ?? ''
  const pid = postgresOf(place)
  const made = idOf(await muroClient(first.api, key).post('/contacts', { name: 'Kept' }))
  await first.kill()
  expect(postgresOf(place)).toBe(pid)

  const second = await startForTest({ DATA_DIR: place })
  expect(postgresOf(place)).toBe(pid)
  expect((await muroClient(second.api, key).get(`/contacts/${made}`)).body).toMatchObject({ name: 'Kept' })
  expect(await second.stop()).toBe(0)
  expect(pid !== undefined && isRunning(pid)).toBe(false)
})

it('a Postgres that ends under the program ends the program with one line', async () => {
  const place = await makePlace()
  const program = await startForTest({ DATA_DIR: place })
  const ended = new Promise((done) => program.child.once('close', done))
  process.kill(postgresOf(place) ?? 0, 'SIGINT')
  expect(await ended).toBe(1)
  expect(program.output()).toMatch(/"level":60.*Postgres \(pid \d+\) (has )?ended/)
  expect(existsSync(place)).toBe(true)
})

it('a Postgres that was reused and then ends does so too', async () => {
  const place = await makePlace()
  await (await startProgram({ DATA_DIR: place })).kill()
  const program = await startForTest({ DATA_DIR: place })
  const ended = new Promise((done) => program.child.once('close', done))
  process.kill(postgresOf(place) ?? 0, 'SIGKILL')
  expect(await ended).toBe(1)
  expect(program.output()).toMatch(/"level":60.*Postgres \(pid \d+\) has ended/)
})

it('a data directory that cannot be made is one line', async () => {
  const { code, stdout, stderr } = await runProgram(['start'], {
    DATA_DIR: '/dev/null/hubbub',
    PORT: '0',
    REALTIME_PORT: '0',
  })
  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toMatch(/^hubbub: [^\n]*\/dev\/null\/hubbub[^\n]*\n$/)
})
