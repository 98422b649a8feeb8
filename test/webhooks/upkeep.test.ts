/** What is tidied up: deliveries that are old or that nobody ends any more, and webhooks that were deleted. */

import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { deleteWebhook } from '../../server/domain/webhooks.ts'
import { failAbandoned, removeDeleted, removeOldDeliveries } from '../../server/webhooks/upkeep.ts'
import { type Office, startWebhooks } from './start-webhooks.ts'

let office: Office
beforeAll(async () => {
  office = await startWebhooks()
})
afterEach(() => office.clear())
afterAll(() => office.close())

const fill = async (webhook: string, count: number, days: number) => {
  await office.sql`
    with made as (
      insert into webhook_deliveries (public_id, endpoint_id, event_id, event_type, body, state, next_attempt_at, created_at)
      select gen_random_uuid()::text, w.id, gen_random_uuid()::text, 'message.created', '{}', 'succeeded', null,
             clock_timestamp() - make_interval(days => ${days}) + make_interval(secs => 60)
        from webhook_endpoints w, generate_series(1, ${count}::int) where w.public_id = ${webhook}
      returning id
    )
    insert into webhook_attempts (delivery_id, at, duration_ms) select id, clock_timestamp(), 1 from made`
}
const counts = async () => {
  const [row] = await office.sql`
    select (select count(*) from webhook_deliveries) as deliveries, (select count(*) from webhook_attempts) as attempts,
           (select count(*) from webhook_endpoints) as webhooks`
  return row
}

it('deliveries are kept for 30 days and then removed with their attempts, whoever removes them', async () => {
  const { id } = await office.makeWebhook()
  await fill(id, 2500, 31)
  await fill(id, 7, 30)
  const removed = await Promise.all([removeOldDeliveries(office.sql), removeOldDeliveries(office.sql)])
  expect(removed[0] + removed[1]).toBe(2500)
  expect(await counts()).toEqual({ deliveries: 7, attempts: 7, webhooks: 1 })
  expect(await removeOldDeliveries(office.sql)).toBe(0)
})

it('a removal that is stopped goes on the next time', async () => {
  const { id } = await office.makeWebhook()
  await fill(id, 1500, 40)
  let slices = 0
  await removeOldDeliveries(office.sql, { isStopped: () => slices++ > 0 })
  expect(await counts()).toMatchObject({ deliveries: 500 })
  await removeOldDeliveries(office.sql)
  expect(await counts()).toMatchObject({ deliveries: 0, attempts: 0, webhooks: 1 })
})

it('a webhook that was deleted goes with all its deliveries, and others stay', async () => {
  const [gone, stays] = [await office.makeWebhook(), await office.makeWebhook()]
  await fill(gone.id, 1500, 1)
  await fill(stays.id, 3, 1)
  await office.tenant.thread()
  await office.follow()
  await deleteWebhook(office.context, office.tenant.agent, gone.id)
  await office.run()
  expect(office.receiver.requests).toHaveLength(1)
  await expect(office.webhook(gone.id)).rejects.toMatchObject({ code: 'not_found' })
  const [row] = await office.sql`select secret, old_secret from webhook_endpoints where public_id = ${gone.id}`
  expect(row).toEqual({ secret: '', old_secret: null })
  await Promise.all([removeDeleted(office.sql), removeDeleted(office.sql)])
  await removeDeleted(office.sql)
  expect(await counts()).toEqual({ deliveries: 4, attempts: 4, webhooks: 1 })
})

it('what was under way when its webhook was disabled has failed once its process has ended, and is never sent', async () => {
  const { id, delivery } = await office.deliverable()
  const other = await office.makeWebhook()
  await office.tenant.thread()
  await office.follow()
  await office.makeSender(() => new Promise(() => undefined)).send()
  await office.change(id, { enabled: false })
  await failAbandoned(office.sql)
  expect(await delivery()).toMatchObject({ status: 'pending' })
  await office.sql`update webhook_deliveries set lease_until = lease_until - interval '15 s'`
  await Promise.all([failAbandoned(office.sql), failAbandoned(office.sql)])
  expect(await delivery()).toMatchObject({ status: 'failed', next_attempt_at: null })
  await office.change(id, { enabled: true })
  await office.run()
  expect(await delivery()).toMatchObject({ status: 'failed' })
  expect((await office.deliveries(other.id)).map(({ status }) => status)).toEqual(['succeeded'])
})
