/** What a webhook is sent because somebody asks for it: a delivery once more, or a test. */

import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { retrySchedule } from '../../schema/muro/webhooks.ts'
import { resendDelivery, testWebhook } from '../../server/domain/webhook-resends.ts'
import { type Office, startWebhooks } from './start-webhooks.ts'

let office: Office
beforeAll(async () => {
  office = await startWebhooks()
})
afterEach(() => office.clear())
afterAll(() => office.close())

const deliverable = () => office.deliverable()

const resend = async (webhook: string, delivery: string) =>
  (await resendDelivery(office.context, office.tenant.agent, webhook, delivery)).answer

it('a delivery that is sent again goes out at once as it was, and has the whole schedule before it again', async () => {
  const { id, delivery } = await deliverable()
  office.receiver.answer(500)
  await office.run()
  for (const seconds of retrySchedule) {
    office.clock.ahead += seconds * 1000
    await office.run()
  }
  const { id: deliveryId, status } = await delivery()
  expect(status).toBe('failed')
  office.clock.ahead = 0
  expect(await resend(id, deliveryId)).toMatchObject({ status: 'pending', attempts: { length: 7 } })
  await office.run()
  const { attempts, next_attempt_at } = await delivery()
  expect(attempts).toHaveLength(8)
  expect(Date.parse(next_attempt_at ?? '') - Date.parse(attempts[7]?.at ?? '')).toBeGreaterThanOrEqual(30_000)
  expect(Date.parse(next_attempt_at ?? '') - Date.parse(attempts[7]?.at ?? '')).toBeLessThan(31_000)
  office.receiver.answer(200)
  await resend(id, deliveryId)
  await office.run()
  expect(await delivery()).toMatchObject({ status: 'succeeded' })
  expect(new Set(office.receiver.requests.map(({ body }) => body)).size).toBe(1)
})

it('a delivery that is sent again may have succeeded before: the receiver may have lost it', async () => {
  const { id, delivery } = await deliverable()
  await office.run()
  await resend(id, (await delivery()).id)
  await office.run()
  expect(await delivery()).toMatchObject({ status: 'succeeded', attempts: { length: 2 } })
  expect(office.receiver.requests).toHaveLength(2)
})

it('a delivery that is under way is not sent twice at a time', async () => {
  const { id, delivery } = await deliverable()
  let answer: (status: number) => void = () => undefined
  office.receiver.answer(() => new Promise<number>((resolve) => (answer = resolve)))
  await office.sender.send()
  await office.receiver.received(1)
  await resend(id, (await delivery()).id)
  expect(await office.makeSender().send()).toBe(0)
  answer(200)
  await office.sender.settled()
  expect(await delivery()).toMatchObject({ status: 'succeeded', attempts: { length: 1 } })
})

it('a delivery is not sent again where what it said was deleted', async () => {
  const { id, delivery } = await deliverable()
  await office.run()
  await office.sql`update webhook_deliveries set body = null`
  await expect(resend(id, (await delivery()).id)).rejects.toMatchObject({ code: 'conflict' })
})

it('a test is a delivery like any other, but of nothing that happened', async () => {
  const { id } = await office.makeWebhook({ events: ['visitor.identified'] })
  const { answer: first } = await testWebhook(office.context, office.tenant.agent, id, undefined)
  expect(first).toMatchObject({ event_type: 'visitor.identified', status: 'pending', attempts: [] })
  const { answer: second } = await testWebhook(office.context, office.tenant.agent, id, 'conversation.closed')
  office.receiver.answer(500)
  await office.run()
  const ids = office.receiver.requests.map(({ body }) => JSON.parse(body).id)
  expect(new Set(ids)).toEqual(new Set([first.event_id, second.event_id]))
  expect((await office.webhook(id)).failing_since).not.toBeNull()
  office.clock.ahead = 31_000
  await office.run()
  expect(office.receiver.requests).toHaveLength(4)
})
