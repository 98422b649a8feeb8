/** P1: every event reaches every webhook that wants it, whatever becomes of the workers. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Context } from '../../server/domain/context.ts'
import { sendMessage } from '../../server/domain/messages.ts'
import { createWebhook } from '../../server/domain/webhooks.ts'
import { type Api, startApi } from '../support/api.ts'
import { type Receiver, startReceiver } from '../support/receiver.ts'
import { told } from './start-webhooks.ts'

let api: Api
let receiver: Receiver
beforeAll(async () => {
  ;[api, receiver] = await Promise.all([
    startApi({ WEBHOOK_ALLOW_PRIVATE: '127.0.0.1' }, { rest: 0, realtime: 0, worker: 2 }),
    startReceiver(),
  ])
})
afterAll(async () => {
  await api.close()
  await receiver.stop()
})

it('P1: workers that are killed in the middle of deliveries lose nothing, and tell an event twice only under its id', async () => {
  const { sql } = api.database
  const context: Context = { sql, bus: { publish: () => undefined } }
  const tenant = await api.makeTenant()
  const threads = await Promise.all(Array.from({ length: 10 }, () => tenant.thread()))
  for (const path of ['/one', '/two']) {
    const input = { url: receiver.url + path, events: ['message.created' as const] }
    await createWebhook(context, tenant.agent, input, async () => undefined)
  }
  // Long enough that a kill always finds some under way.
  receiver.answer(() => new Promise((resolve) => setTimeout(() => resolve(200), 40)))
  const workers = api.fleet?.worker ?? []
  const expected: string[] = []
  for (let round = 0; round < 6; round += 1) {
    const struck = receiver.received(receiver.requests.length + 25)
    const writing = threads.map(async ({ conversation }, thread) => {
      for (let n = 0; n < 5; n += 1) {
        const content = `${round}/${thread}/${n}`
        await sendMessage(context, tenant.agent, conversation, { content, kind: 'agent' })
        expected.push(content)
      }
    })
    await struck
    const victim = workers[Math.floor(Math.random() * workers.length)]
    await victim?.kill()
    await Promise.all([victim?.restart(), ...writing])
    // Fifteen seconds go by: nobody holds what the dead one had taken.
    await sql`update webhook_deliveries set lease_until = lease_until - interval '15 s' where lease_until is not null`
  }
  const waiting = async () => {
    const [row] = await sql<{ count: number }[]>`
      select (select count(*)::int from webhook_deliveries where state <> 'succeeded')
             + (select sum(h.seq - f.seq) from workspace_heads h
                  join log_followers f on f.workspace_id = h.workspace_id and f.follower = 'webhooks')::int as count`
    return row?.count
  }
  await expect.poll(waiting, { timeout: 30_000, interval: 100 }).toBe(0)

  const heard = receiver.requests.map((request) => ({ path: request.path, body: request.body, ...told(request) }))
  for (const path of ['/one', '/two']) {
    const there = heard.filter((one) => one.path === path)
    const contents = new Map(there.map(({ id, data }) => [id, data.message?.content]))
    expect([...contents.values()].map(String).sort()).toEqual([...expected].sort())
    expect(new Set(there.map(({ body }) => body)).size).toBe(contents.size)
  }
  const rows = await sql<{ event_id: string }[]>`select event_id from webhook_deliveries`
  expect(rows).toHaveLength(600)
  expect(new Set(heard.map(({ id }) => id))).toEqual(new Set(rows.map(({ event_id }) => event_id)))
  const [lost] = await sql<{ count: number }[]>`select count(*) from webhook_attempts where failure = 'lost'`
  expect(lost?.count).toBeGreaterThan(0)
}, 90_000)
