/** Snoozes where the parts run apart: they are set at any REST node, wake on time at one of the workers, and outlive all of them. */

import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { type Api, startApi, testApp } from '../support/api.ts'
import { clientOf, muroClient } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'
import { type Listener, listener } from './listeners.ts'

let api: Api
let tenant: Tenant
beforeAll(async () => {
  api = await startApi({}, { rest: 2, realtime: 1, worker: 2 })
  tenant = await api.makeTenant()
})
afterAll(() => api?.close())

const workers = () => api.fleet?.worker ?? []

/** Returns a client of one of the REST nodes. */
const atNode = (index: number) => muroClient(api.fleet?.rest[index]?.program.api ?? '', tenant.apiKey)

type Sleeper = { conversation: string; since: number; until: number }

/** Snoozes a conversation for so many ms. */
const snooze = async (node: number, conversation: string, ms: number): Promise<Sleeper> => {
  const since = Date.now()
  const until = since + ms
  const snoozed_until = new Date(until).toISOString()
  const { status } = await atNode(node).patch(`/conversations/${conversation}`, { status: 'snoozed', snoozed_until })
  expect(status).toBe(200)
  return { conversation, since, until }
}

/** Returns when a conversation woke since it was snoozed, each time that it did. */
const wakingsOf = async ({ conversation, since }: Sleeper): Promise<number[]> => {
  const rows = await api.database.sql<{ at: Date }[]>`
    select created_at as at from events
     where payload ->> 'id' = ${conversation} and payload ->> 'reason' = 'snooze_elapsed' and created_at >= ${new Date(since)}
     order by seq`
  return rows.map(({ at }) => at.getTime())
}

/** Waits until a conversation has woken and returns how late that was, in ms. */
const latenessOf = async (sleeper: Sleeper): Promise<number> => {
  await expect.poll(async () => (await wakingsOf(sleeper)).length, { interval: 20, timeout: 15_000 }).toBe(1)
  return ((await wakingsOf(sleeper))[0] ?? 0) - sleeper.until
}

const allListen = () =>
  expect
    .poll(
      async () =>
        (
          await api.database.sql`
            select 1 from pg_stat_activity
             where datname = current_database() and query = 'listen "hubbub_snoozes"' and state = 'idle'`
        ).length,
      { interval: 20, timeout: 10_000 },
    )
    .toBe(2)

it('an earlier snooze that is set at another node wakes on time, once, and staff and visitor hear of it', async () => {
  await allListen()
  const chat = clientOf(`${api.url}/api/v1/chat`, { 'X-Api-Key': tenant.site.site_key })
  const visitor = { name: 'Marie', email: 'marie@example.com', message: 'Hi!', visitor_token: 'marie' }
  const begun = (await chat.post('/conversations', visitor)).body as { conversation_id: string }
  const id = begun.conversation_id
  const join = async (headers: Record<string, string>, channel: string): Promise<Listener> => {
    const listening = listener(api, testApp.PUSHER_APP_KEY, headers)
    onTestFinished(listening.leave)
    await listening.join(channel)
    return listening
  }
  const staff = await join({ Authorization: `Bearer ${tenant.apiKey}` }, `private-org-${tenant.workspace.publicId}`)
  const marie = await join({ 'X-Api-Key': tenant.site.site_key, 'X-Visitor-Token': 'marie' }, `private-visitor-${id}`)

  await snooze(0, (await tenant.thread()).conversation, 60_000)
  // Three in a row: workers that only looked now and then would be late for one of them.
  for (const [round, ms] of [900, 600, 750].entries()) {
    const later = await snooze(round % 2, (await tenant.thread()).conversation, ms + 300)
    const earlier = await snooze((round + 1) % 2, id, ms)
    for (const sleeper of [earlier, later]) {
      const late = await latenessOf(sleeper)
      expect(late).toBeGreaterThanOrEqual(0)
      expect(late).toBeLessThan(1000)
    }
    const woken = await staff.hears(({ data }) => data.id === id && data.reason === 'snooze_elapsed')
    expect(woken).toMatchObject({
      event: 'conversation.update',
      data: { status: 'open', snoozed_until: null, changed: ['status', 'snoozed_until'], reason: 'snooze_elapsed' },
    })
    // Fell asleep and woke.
    await marie.hearsCount(2)
    expect(marie.heard.map(({ event, data }) => [event, data.status])).toEqual([
      ['conversation.update', 'snoozed'],
      ['conversation.update', 'open'],
    ])
    expect(Object.keys(marie.heard[1]?.data ?? {})).toEqual(['id', 'status', 'seq'])
    marie.heard.length = 0
    staff.heard.length = 0
  }
})

it('snoozes that come due while no worker runs wake as soon as one does, each once', async () => {
  await Promise.all(workers().map((worker) => worker.kill()))
  const sleepers: Sleeper[] = []
  for (let made = 0; made < 5; made += 1) {
    sleepers.push(await snooze(made % 2, (await tenant.thread()).conversation, 200 + made))
  }
  const last = sleepers.at(-1)?.until ?? 0
  await expect
    .poll(async () => (await api.database.sql`select 1 where clock_timestamp() > ${new Date(last)}`).length)
    .toBe(1)
  for (const sleeper of sleepers) {
    expect(await wakingsOf(sleeper)).toEqual([])
    const { body } = await atNode(0).get(`/conversations/${sleeper.conversation}`)
    expect(body).toMatchObject({ status: 'snoozed' })
  }
  await Promise.all(workers().map((worker) => worker.restart()))
  for (const sleeper of sleepers) {
    await latenessOf(sleeper)
    const { body } = await atNode(1).get(`/conversations/${sleeper.conversation}`)
    expect(body).toMatchObject({ status: 'open', snoozed_until: null })
  }
})
