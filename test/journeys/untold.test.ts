/** P1: what was committed is told, though the process that wrote it dies before it could tell. */

import { afterEach, expect, inject, it } from 'vitest'
import { type Api, startApi, testApp } from '../support/api.ts'
import { call } from '../support/http.ts'
import { startForTest, takePort } from '../support/place.ts'
import { listener } from './listeners.ts'
import { recoveringSubscriber } from './recovering.ts'

const failpoint = new URL('../support/die-before-publish.mjs', import.meta.url).href
const deadly = 'die before this is told'
const app = testApp.PUSHER_APP_KEY

let api: Api | undefined

afterEach(async () => {
  await api?.close()
  api = undefined
})

it('another node is there: every live subscriber hears it within 2 s of the kill', async () => {
  api = await startApi({ NODE_OPTIONS: `--import ${failpoint}` }, { rest: 2, realtime: 2 })
  const { url, fleet } = api
  const tenant = await api.makeTenant()
  const { conversation } = await tenant.thread()
  const headers = { Authorization: `Bearer ${tenant.apiKey}` }
  const subscribers = [1, 2].map(() => listener({ api: url, realtimePort: api?.realtimePort ?? 0 }, app, headers))
  await Promise.all(subscribers.map((one) => one.join(`private-org-${tenant.workspace.publicId}`)))
  const path = `/api/v1/conversations/${conversation}/messages`
  const first = fleet?.rest[0]?.program
  await expect(
    call(first?.api ?? '', 'POST', path, { key: tenant.apiKey, body: { content: deadly } }),
  ).rejects.toThrow()
  const killed = performance.now()
  expect(first?.child.signalCode ?? 'SIGKILL').toBe('SIGKILL')
  for (const subscriber of subscribers) {
    const { data } = await subscriber.hears(({ event, data }) => event === 'message.new' && data.content === deadly)
    expect(data.conversation_id).toBe(conversation)
  }
  expect(performance.now() - killed).toBeLessThan(2000)

  // The other node goes on, and what it tells comes after.
  expect((await call(url, 'POST', path, { key: tenant.apiKey, body: { content: 'still here' } })).status).toBe(201)
  for (const subscriber of subscribers) {
    await subscriber.hears(({ data }) => data.content === 'still here')
    const seqs = subscriber.heard.map(({ data }) => Number(data.seq))
    expect(seqs).toEqual(seqs.map((_, index) => (seqs[0] ?? 0) + index))
    subscriber.leave()
  }
})

it('no other node is there: a subscriber that comes back hears it within 2 s of /ready', async () => {
  api = await startApi({}, { rest: 1, realtime: 1 })
  const tenant = await api.makeTenant()
  const { conversation } = await tenant.thread()
  const [rest, realtime] = await Promise.all([takePort(), takePort()])
  await Promise.all([rest.free(), realtime.free()])
  const env = {
    ...testApp,
    DATABASE_URL: api.database.url,
    REDIS_URL: inject('redisUrl'),
    PORT: String(rest.port),
    REALTIME_PORT: String(realtime.port),
    RATE_LIMIT_PER_MINUTE: '0',
  }
  const program = await startForTest({ ...env, NODE_OPTIONS: `--import ${failpoint}` })
  const channel = `private-org-${tenant.workspace.publicId}`
  const subscriber = recoveringSubscriber(program, app, { Authorization: `Bearer ${tenant.apiKey}` })
  await subscriber.join(channel)
  const path = `/api/v1/conversations/${conversation}/messages`
  const say = (content: string) => call(program.api, 'POST', path, { key: tenant.apiKey, body: { content } })
  expect((await say('before')).status).toBe(201)
  await expect(say(deadly)).rejects.toThrow()

  await startForTest(env)
  const readiness = async () => (await fetch(`${program.api}/ready`)).status
  await expect.poll(readiness, { interval: 10, timeout: 5000 }).toBe(200)
  // pusher-js tries once, a second after the cut; where a start takes longer, its next try is ten seconds later.
  subscriber.client.disconnect()
  subscriber.client.connect()
  const heard = subscriber.seqs.get(channel) ?? []
  await expect.poll(() => heard.length, { interval: 10, timeout: 2000 }).toBe(2)
  expect(heard).toEqual([heard[0], (heard[0] ?? 0) + 1])
  expect(subscriber.failures).toEqual([])
  subscriber.leave()
})
