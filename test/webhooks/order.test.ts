/** In which order deliveries are sent, and how many at a time. */

import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import type { Post, PostResult } from '../../schema/outbound.ts'
import { atOnce } from '../../server/webhooks/claims.ts'
import { makeTenant, type Tenant } from '../support/tenant.ts'
import { type Office, startWebhooks, told } from './start-webhooks.ts'

let office: Office
beforeAll(async () => {
  office = await startWebhooks()
})
afterEach(() => office.clear())
afterAll(() => office.close())

const threads = async (count: number, tenant: Tenant = office.tenant): Promise<string[]> => {
  const made: string[] = []
  for (let n = 0; n < count; n += 1) made.push((await tenant.thread()).conversation)
  return made
}

/** Senders whose posts wait for the test; `running` are those that have begun and not ended. */
const startPaused = () => {
  const running: { url: string; content: string; end: (result?: PostResult) => void }[] = []
  const post: Post = (url, { body }) =>
    new Promise((resolve) => {
      const content = String(JSON.parse(String(body)).data.message.content)
      const one = {
        url,
        content,
        end: (result: PostResult = { ok: true, status: 200, body: '' }) => {
          running.splice(running.indexOf(one), 1)
          resolve(result)
        },
      }
      running.push(one)
    })
  return { running, sender: office.makeSender(post) }
}

const drain = async ({ running, sender }: ReturnType<typeof startPaused>) => {
  for (;;) {
    for (const one of [...running]) one.end()
    await sender.settled()
    if ((await sender.send()) === 0) return
  }
}

it('first attempts of a conversation come in its order, over two senders, also where one conversation always fails', async () => {
  await office.makeWebhook({ events: ['message.created'] })
  const conversations = await threads(8)
  const [failing = ''] = conversations
  for (let n = 0; n < 12; n += 1) await Promise.all(conversations.map((one) => office.say(one, `${n}`)))
  const open = new Set<unknown>()
  let overlaps = 0
  office.receiver.answer(async (request) => {
    const { conversation_id } = told(request).data.message ?? {}
    if (open.has(conversation_id)) overlaps += 1
    open.add(conversation_id)
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 4))
    open.delete(conversation_id)
    return conversation_id === failing ? 500 : 200
  })
  await office.follow()
  const senders = [office.makeSender(), office.makeSender()]
  await Promise.all(
    senders.map(async (sender) => {
      while ((await sender.send()) > 0 || office.receiver.requests.length < 8 * 12) await sender.settled()
    }),
  )
  expect([office.receiver.requests.length, overlaps]).toEqual([8 * 12, 0])
  for (const conversation of conversations) {
    const heard = office.receiver.requests
      .map((request) => told(request).data.message)
      .filter((message) => message?.conversation_id === conversation)
      .map((message) => message?.content)
    expect(heard).toEqual(Array.from({ length: 12 }, (_, n) => `${n}`))
  }
})

it('a later event waits for the first attempt of the one before, and never for its retries', async () => {
  await office.makeWebhook({ events: ['message.created'] })
  const [one = ''] = await threads(1)
  for (const content of ['a', 'b', 'c']) await office.say(one, content)
  await office.follow()
  const paused = startPaused()
  expect(await paused.sender.send()).toBe(1)
  expect(await office.makeSender().send()).toBe(0)
  expect(paused.running.map(({ content }) => content)).toEqual(['a'])
  paused.running[0]?.end({ ok: false, status: 500, body: '' })
  await paused.sender.settled()
  expect(await paused.sender.send()).toBe(1)
  expect(paused.running.map(({ content }) => content)).toEqual(['b'])
  paused.running[0]?.end()
  await paused.sender.settled()
  expect(await paused.sender.send()).toBe(1)
  expect(paused.running.map(({ content }) => content)).toEqual(['c'])
  await drain(paused)
})

it('a webhook gets 8 requests at a time, and 2 while it fails; a conversation one', async () => {
  await office.makeWebhook({ events: ['message.created'] })
  const conversations = await threads(12)
  for (const one of [...conversations, ...conversations]) await office.say(one, 'x')
  await office.follow()
  const paused = startPaused()
  expect(await paused.sender.send()).toBe(atOnce.webhook)
  expect(await paused.sender.send()).toBe(0)
  paused.running[0]?.end({ ok: false, status: 500, body: '' })
  await expect
    .poll(async () => (await office.sql`select from webhook_endpoints where failing_since is not null`).length)
    .toBe(1)
  expect(await paused.sender.send()).toBe(0)
  for (const one of paused.running.slice(0, 6)) one.end({ ok: false, status: 500, body: '' })
  await expect.poll(async () => (await office.sql`select from webhook_attempts`).length).toBe(7)
  expect(paused.running).toHaveLength(1)
  expect(await paused.sender.send()).toBe(1)
  await drain(paused)
  expect(paused.running).toHaveLength(0)
})

it('a workspace whose receivers hang leaves room for the others, and each webhook gets its turn', async () => {
  const busy = await makeTenant(office.context)
  const urls = Array.from({ length: 6 }, (_, n) => `http://127.0.0.1:1/hang/${n}`)
  for (const url of urls) await office.makeWebhook({ events: ['message.created'], url, tenant: busy })
  await office.makeWebhook({ events: ['message.created'], url: 'http://127.0.0.1:1/quick' })
  for (const one of await threads(20, busy)) await office.say(one, 'x', { tenant: busy })
  await office.follow()
  const paused = startPaused()
  await paused.sender.send()
  expect(paused.running).toHaveLength(atOnce.workspace)
  const counts = urls.map((url) => paused.running.filter((one) => one.url === url).length)
  expect(Math.min(...counts)).toBeGreaterThanOrEqual(5)
  const [late = ''] = await threads(1)
  await office.say(late, 'quick')
  await office.follow()
  expect(await paused.sender.send()).toBe(1)
  expect(paused.running.at(-1)?.content).toBe('quick')
  await drain(paused)
})

it('what one sender has taken no other takes, however many look at once', async () => {
  await office.makeWebhook({ events: ['message.created'] })
  await office.makeWebhook({ events: ['message.created'] })
  for (const one of await threads(30)) await office.say(one, 'x')
  await office.follow()
  const senders = Array.from({ length: 6 }, () => startPaused())
  await Promise.all(senders.map(({ sender }) => sender.send()))
  const rows = await office.sql`select from webhook_deliveries where lease_until is not null`
  expect(senders.reduce((sum, { running }) => sum + running.length, 0)).toBe(rows.length)
  await Promise.all(senders.map(drain))
  await office.run()
  const ends = await office.sql`select state, attempts, count(*) from webhook_deliveries group by 1, 2`
  expect([...ends]).toEqual([{ state: 'succeeded', attempts: 1, count: 60 }])
})
