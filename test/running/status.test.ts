/** What the program says about itself: the page at /, /up and /ready, also while the database is away. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { muroClient } from '../support/http.ts'
import { makePlace, printedKey, startForTest } from '../support/place.ts'
import { bringBack, emptyDatabase, takeAway } from '../support/postgres.ts'

it('the page shows addresses and the snippet, and holds no secret', async () => {
  const place = await makePlace()
  const program = await startForTest({ DATABASE_URL: await emptyDatabase(), DATA_DIR: place })
  const answer = await fetch(program.api)
  const page = await answer.text()
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
  expect(page).toContain(`${program.api}/api/v1/realtime/auth`)
  expect(page).toContain(`ws://127.0.0.1:${program.realtimePort}/app/`)
  expect(page).toContain('new Pusher(config.key')
  const links = [...page.matchAll(/<a href="([^"]*)">/g)].map(([, link = '']) => link)
  expect(links.map((link) => link.replace(program.api, ''))).toEqual([
    '/docs',
    '/api/v1/openapi.json',
    '/up',
    '/ready',
    '/metrics',
  ])
  for (const link of links) expect([link, (await fetch(link)).status]).toEqual([link, 200])
  const secrets: Record<string, string> = JSON.parse(await readFile(join(place, 'secrets.json'), 'utf8'))
  expect(page).toContain(secrets.pusher_app_key)
  for (const secret of [
    secrets.pusher_app_secret,
    secrets.postgres_password,
    printedKey(program),
    ...(program.output().match(/(site|vt)_[A-Za-z0-9]{22}/g) ?? []),
  ]) {
    expect(secret).toBeTruthy()
    expect(page).not.toContain(secret)
  }
})

it('a Host header cannot put markup into the page', async () => {
  const program = await startForTest({ DATABASE_URL: await emptyDatabase(), DATA_DIR: await makePlace() })
  const { request } = await import('node:http')
  const page = await new Promise<string>((done, fail) => {
    const sent = request(program.api, { headers: { Host: `x"><script>alert(1)</script>` } }, (answer) => {
      let text = ''
      answer.on('data', (chunk) => {
        text += chunk
      })
      answer.on('end', () => done(text))
    })
    sent.on('error', fail)
    sent.end()
  })
  expect(page).not.toContain('<script>')
})

it('is up, and ready as long as the database answers; when that comes back, everything works again', async () => {
  const url = await emptyDatabase()
  const program = await startForTest({ DATABASE_URL: url, DATA_DIR: await makePlace(), LOG_LEVEL: 'silent' })
  const muro = muroClient(program.api, printedKey(program) ?? '')
  const answerOf = async (path: string) => {
    const answer = await fetch(program.api + path)
    return [answer.status, await answer.json()]
  }
  expect(await answerOf('/up')).toEqual([200, { status: 'up' }])
  expect(await answerOf('/ready')).toEqual([200, { status: 'ready', database: 'up', bus: 'up' }])
  expect((await muro.post('/contacts', { name: 'Before' })).status).toBe(201)

  await takeAway(url)
  await expect
    .poll(() => answerOf('/ready'), { timeout: 5000 })
    .toEqual([503, { status: 'not ready', database: 'down', bus: 'up' }])
  expect(await answerOf('/up')).toEqual([200, { status: 'up' }])
  expect(await (await fetch(program.api)).text()).toContain('not ready')
  const answer = await muro.post('/contacts', { name: 'Meanwhile' })
  expect(answer.status).toBe(503)
  expect(answer.body).toMatchObject({ error: { type: 'api_error', code: 'unavailable' } })
  expect(answer.text).not.toMatch(/postgres|connection|test_/i)

  await bringBack(url)
  await expect
    .poll(() => answerOf('/ready'), { timeout: 15_000 })
    .toEqual([200, { status: 'ready', database: 'up', bus: 'up' }])
  await expect.poll(async () => (await muro.post('/contacts', { name: 'After' })).status, { timeout: 5000 }).toBe(201)
  expect((await muro.get('/contacts')).text).not.toContain('Meanwhile')
})

it('survives its connections being cut again and again', async () => {
  const url = await emptyDatabase()
  const program = await startForTest({ DATABASE_URL: url, DATA_DIR: await makePlace(), LOG_LEVEL: 'silent' })
  const muro = muroClient(program.api, printedKey(program) ?? '')
  for (let turn = 0; turn < 5; turn += 1) {
    const requests = Array.from({ length: 10 }, () => muro.post('/contacts', {}))
    await takeAway(url)
    await bringBack(url)
    for (const { status } of await Promise.all(requests)) expect([201, 503]).toContain(status)
  }
  await expect.poll(async () => (await muro.get('/contacts')).status, { timeout: 15_000 }).toBe(200)
  expect(await program.stop()).toBe(0)
})
