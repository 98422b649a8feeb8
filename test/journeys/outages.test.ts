/** Redis away, Postgres away: what goes on, what is refused clearly, and that everything heals by itself. */

import { setTimeout as pause } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { startApi, testApp } from '../support/api.ts'
import { call, expectText, idOf } from '../support/http.ts'
import { makePlace, postgresOf, printedKey, startForTest } from '../support/place.ts'
import { startRedis } from '../support/redis.ts'
import { stopProcesses } from '../support/stopped.ts'
import { type Listener, listener } from './listeners.ts'

const app = testApp.PUSHER_APP_KEY

/** Says when a client loses its connection. */
const losses = ({ client }: Listener): string[] => {
  const states: string[] = []
  client.connection.bind('state_change', (change) => states.push(JSON.stringify(change)))
  return states
}

const numbersOf = ({ heard }: Listener) => heard.flatMap(({ data }) => (typeof data.seq === 'number' ? [data.seq] : []))

it('Redis stopped for 10 s: writes go on, and every live subscriber is complete without reconnecting', async () => {
  const redis = await startRedis()
  onTestFinished(redis.close)
  const api = await startApi({ REDIS_URL: redis.url }, { rest: 1, realtime: 2 })
  onTestFinished(api.close)
  const tenant = await api.makeTenant()
  const { conversation } = await tenant.thread()
  const channel = `private-org-${tenant.workspace.publicId}`
  const subscribers = [1, 2, 3, 4].map(() => listener(api, app, { Authorization: `Bearer ${tenant.apiKey}` }))
  await Promise.all(subscribers.map((one) => one.join(channel)))
  const changes = subscribers.map(losses)

  const statuses: number[] = []
  let slowest = 0
  let stopped = false
  const outage = (async () => {
    await pause(1000)
    await redis.kill()
    stopped = true
    await pause(10_000)
    const health = await fetch(`${api.url}/ready`)
    expect(health.status).toBe(200)
    expect(await health.json()).toEqual({ status: 'ready', database: 'up', bus: 'down' })
    await redis.start()
  })()
  let written = 0
  for (const until = performance.now() + 14_000; performance.now() < until; written += 1) {
    const begun = performance.now()
    const path = `/api/v1/conversations/${conversation}/messages`
    statuses.push((await call(api.url, 'POST', path, { key: tenant.apiKey, body: { content: `${written}` } })).status)
    slowest = Math.max(slowest, performance.now() - begun)
    await pause(20)
  }
  await outage
  expect(stopped).toBe(true)
  expect(new Set(statuses)).toEqual(new Set([201]))
  expect(slowest).toBeLessThan(2000)
  for (const [index, subscriber] of subscribers.entries()) {
    await subscriber.hearsCount(written)
    const seqs = numbersOf(subscriber)
    expect(seqs).toEqual(Array.from({ length: written }, (_, n) => (seqs[0] ?? 0) + n))
    expect(changes[index]).toEqual([])
    subscriber.leave()
  }
  const ready = await fetch(`${api.url}/ready`)
  expect(await ready.json()).toEqual({ status: 'ready', database: 'up', bus: 'up' })
})

it('Postgres stopped in its tracks: clear 503s, sockets stay, and all goes on when it does', async () => {
  const place = await makePlace()
  const program = await startForTest({ ...testApp, DATA_DIR: place, RATE_LIMIT_PER_MINUTE: '0' })
  const key = printedKey(program) ?? ''
  const contact = idOf(await call(program.api, 'POST', '/api/v1/contacts', { key, body: { name: 'Vita' } }))
  const id = idOf(await call(program.api, 'POST', '/api/v1/conversations', { key, body: { visitor_id: contact } }))
  const conversation = `private-conv-${id}`
  const subscriber = listener(program, app, { Authorization: `Bearer ${key}` })
  await subscriber.join(conversation)
  const changes = losses(subscriber)
  const say = (content: string) =>
    call(program.api, 'POST', `/api/v1/conversations/${id}/messages`, { key, body: { content } })
  expect((await say('before')).status).toBe(201)

  const goOn = stopProcesses(postgresOf(place) ?? 0)
  onTestFinished(goOn)
  try {
    const unavailable = { error: { type: 'api_error', code: 'unavailable', message: expectText } }
    const [sent, read, up, ready] = await Promise.all([
      say('meanwhile'),
      call(program.api, 'GET', '/api/v1/conversations', { key }),
      call(program.api, 'GET', '/up'),
      call(program.api, 'GET', '/ready'),
    ])
    expect([sent.status, sent.body]).toEqual([503, unavailable])
    expect([read.status, read.body]).toEqual([503, unavailable])
    expect(up.status).toBe(200)
    expect([ready.status, ready.body]).toEqual([503, { status: 'not ready', database: 'down', bus: 'up' }])
  } finally {
    goOn()
  }
  await expect.poll(async () => (await call(program.api, 'GET', '/ready')).status, { timeout: 10_000 }).toBe(200)
  expect((await say('after')).status).toBe(201)
  await subscriber.hears(({ data }) => data.content === 'after')
  const seqs = numbersOf(subscriber)
  expect(seqs).toEqual(seqs.map((_, index) => (seqs[0] ?? 0) + index))
  expect(changes).toEqual([])
  subscriber.leave()
})
