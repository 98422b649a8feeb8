/** What an operator reads of webhooks at /metrics. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { resendDelivery } from '../../server/domain/webhook-resends.ts'
import { readWaiting } from '../../server/webhooks/waiting.ts'
import { type Office, startWebhooks } from './start-webhooks.ts'

let office: Office
beforeEach(async () => {
  office = await startWebhooks({ timeout: 100 })
})
afterEach(() => office.close())

const later = async (seconds: number) => {
  office.clock.ahead += seconds * 1000
  await office.run()
}

describe('attempts', () => {
  it('are counted by how they ended, with how long they took', async () => {
    for (const reply of [200, 500, 500, { status: 302, headers: { Location: '/' } }, 'hang', 'cut', 204] as const) {
      await office.deliverable()
      office.receiver.answer(reply)
      await office.run()
      await office.clear()
    }
    expect(await office.counted('webhook_attempt_duration_seconds_count')).toEqual([
      'hubbub_chat_webhook_attempt_duration_seconds_count{outcome="taken"} 2',
      'hubbub_chat_webhook_attempt_duration_seconds_count{outcome="status"} 2',
      'hubbub_chat_webhook_attempt_duration_seconds_count{outcome="redirect"} 1',
      'hubbub_chat_webhook_attempt_duration_seconds_count{outcome="timeout"} 1',
      'hubbub_chat_webhook_attempt_duration_seconds_count{outcome="broken_answer"} 1',
    ])
    const [hung = ''] = await office.counted('webhook_attempt_duration_seconds_sum{outcome="timeout"}')
    expect(Number(hung.split(' ')[1])).toBeGreaterThan(0.09)
  })

  it('make of deliveries what is delivered, retried, or failed for good', async () => {
    const { id, delivery } = await office.deliverable()
    office.receiver.answer(500)
    await office.run()
    for (const seconds of [30, 60, 300, 1800, 7200, 21_600]) await later(seconds)
    office.receiver.answer(200)
    await resendDelivery(office.context, office.tenant.agent, id, (await delivery()).id)
    await office.run()
    expect(await office.counted('webhook_deliveries_total')).toEqual([
      'hubbub_chat_webhook_deliveries_total{outcome="delivered"} 1',
      'hubbub_chat_webhook_deliveries_total{outcome="retried"} 6',
      'hubbub_chat_webhook_deliveries_total{outcome="failed"} 1',
    ])
  })

  it('that change nothing any more, since another was quicker, are attempts all the same', async () => {
    const { delivery } = await office.deliverable()
    let answer: (status: number) => void = () => undefined
    office.receiver.answer(() => new Promise<number>((resolve) => (answer = resolve)))
    await office.sender.send()
    await office.receiver.received(1)
    await office.sql`update webhook_deliveries set state = 'cancelled', body = null, next_attempt_at = null`
    answer(200)
    await office.sender.settled()
    expect(await delivery()).toMatchObject({ status: 'cancelled' })
    expect(await office.counted('webhook_deliveries_total')).toEqual([])
    expect(await office.counted('webhook_attempt_duration_seconds_count')).toHaveLength(1)
  })
})

it('webhooks that are disabled are counted by why, each once', async () => {
  await office.deliverable()
  office.receiver.answer(410)
  await office.run()
  await office.makeWebhook()
  office.receiver.answer(500)
  for (const days of [0, 1, 2, 3, 4, 5, 6]) {
    office.clock.ahead = days * 86_400_000
    await office.tenant.thread()
    await office.run()
  }
  expect(await office.counted('webhooks_disabled_total')).toEqual([
    'hubbub_chat_webhooks_disabled_total{reason="gone"} 1',
    'hubbub_chat_webhooks_disabled_total{reason="failing"} 1',
  ])
})

describe('what waits', () => {
  const shown = async () => {
    office.metrics.waits(await readWaiting(office.sql))
    return await office.counted('webhook_deliveries_waiting')
  }

  it('is counted, before the first attempt and after it, and not of webhooks that are disabled', async () => {
    expect(await readWaiting(office.sql)).toEqual({ count: 0, late: 0 })
    const { id } = await office.deliverable()
    const { conversation } = await office.tenant.thread()
    for (const content of ['a', 'b', 'c']) await office.say(conversation, content)
    await office.follow()
    expect(await shown()).toEqual(['hubbub_chat_webhook_deliveries_waiting 4'])
    office.receiver.answer(500)
    await office.run()
    expect(await shown()).toEqual(['hubbub_chat_webhook_deliveries_waiting 4'])
    await office.change(id, { enabled: false })
    expect(await readWaiting(office.sql)).toEqual({ count: 0, late: 0 })
  })

  it('is late by the one that has been due longest, unless its receiver fails', async () => {
    await office.deliverable()
    await office.sql`update webhook_deliveries set next_attempt_at = clock_timestamp() - interval '1 hour'`
    await office.tenant.thread()
    const { late } = await readWaiting(office.sql)
    expect(late).toBeGreaterThanOrEqual(3600)
    expect(late).toBeLessThan(3700)
    await office.sql`update webhook_endpoints set failing_since = clock_timestamp()`
    expect(await readWaiting(office.sql)).toEqual({ count: 1, late: 0 })
  })

  it('is not late before it is due again', async () => {
    await office.deliverable()
    office.receiver.answer(500)
    await office.run()
    await office.sql`update webhook_endpoints set failing_since = null`
    expect(await readWaiting(office.sql)).toEqual({ count: 1, late: 0 })
  })
})
