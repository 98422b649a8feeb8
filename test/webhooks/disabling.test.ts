/** Webhooks that do not take what they are sent: when they are disabled, who hears of it, and how they come back. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { pruneLog } from '../../server/domain/retention.ts'
import { recoverWebhook, resendDelivery, testWebhook } from '../../server/domain/webhook-resends.ts'
import { recoverSome } from '../../server/webhooks/recovery.ts'
import { type Office, startWebhooks, told } from './start-webhooks.ts'

const day = 86_400_000

let office: Office
let conversation: string
beforeAll(async () => {
  office = await startWebhooks()
})
beforeEach(async () => {
  conversation = (await office.tenant.thread()).conversation
})
afterEach(() => office.clear())
afterAll(() => office.close())

const say = (content: string) => office.say(conversation, content)

const recover = async (id: string, since: string) =>
  (await recoverWebhook(office.context, office.tenant.agent, id, since)).answer.since

/** What was said at a path, in the order in which it came. */
const heardAt = (path: string) =>
  office.receiver.requests
    .filter((request) => request.path === path)
    .map((request) => told(request).data.message?.content)

const statuses = async (id: string) => (await office.deliveries(id)).map(({ status }) => status)

const disabledEvents = async () => [
  ...(await office.sql<{ payload: Record<string, unknown>; site: string | null; conversation_id: number | null }[]>`
    select e.payload, s.public_id as site, e.conversation_id
      from events e left join sites s on s.id = e.site_id where e.type = 'webhook.disabled' order by seq`),
]

describe('a webhook that answers 410', () => {
  it('is disabled at once: what waited has failed, nothing more is made, and everybody is told', async () => {
    const gone = await office.makeWebhook({ events: ['message.created'], path: '/gone' })
    const ofOtherSite = await office.makeWebhook({ path: '/site', site: await office.tenant.makeSite() })
    await office.makeWebhook({ events: ['webhook.disabled'], path: '/watch' })
    for (const content of ['one', 'two', 'three']) await say(content)
    office.receiver.answer(({ path }) => (path === '/gone' ? 410 : 200))
    await office.run()
    expect(heardAt('/gone')).toEqual(['one'])
    expect(await statuses(gone.id)).toEqual(['failed', 'failed', 'failed'])
    const { enabled, disabled_reason, disabled_at } = await office.webhook(gone.id)
    expect([enabled, disabled_reason]).toEqual([false, 'gone'])
    const payload = { id: gone.id, url: gone.url, reason: 'gone', disabled_at }
    expect(await disabledEvents()).toEqual([{ payload, site: null, conversation_id: null }])
    expect(office.logged).toMatchObject([{ type: 'webhook.disabled', site: null, conversation: null, payload }])
    const [heard, ...more] = office.receiver.requests.filter(({ path }) => path === '/watch').map(told)
    expect(heard?.data).toEqual({ webhook: { ...payload, seq: office.logged[0]?.seq } })
    expect([more, heardAt('/site')]).toEqual([[], []])
    expect(await office.deliveries(ofOtherSite.id)).toEqual([])

    await say('four')
    office.clock.ahead = 7 * day
    await office.run()
    expect(await statuses(gone.id)).toHaveLength(3)
    expect(heardAt('/gone')).toEqual(['one'])
  })

  it('of one site is told there too', async () => {
    const { site } = office.tenant
    const gone = await office.makeWebhook({ events: ['message.created'], path: '/gone', site })
    await office.makeWebhook({ events: ['webhook.disabled'], path: '/same', site })
    await office.makeWebhook({ events: ['webhook.disabled'], path: '/other', site: await office.tenant.makeSite() })
    office.receiver.answer(({ path }) => (path === '/gone' ? 410 : 200))
    await say('one')
    await office.run()
    expect(office.logged.map((event) => [event.type, event.site])).toEqual([['webhook.disabled', site.id]])
    expect(office.receiver.requests.map(({ path }) => path)).toEqual(['/gone', '/same'])
    expect((await office.webhook(gone.id)).enabled).toBe(false)
  })
})

describe('a webhook that fails', () => {
  /** Fails once at each of these days. */
  const failOn = async (days: number[]) => {
    office.receiver.answer(500)
    for (const at of days) {
      office.clock.ahead = at * day
      await say(`day ${at}`)
      await office.run()
    }
  }

  it('is disabled when all attempts of five days have failed and a delivery is given up, and no sooner', async () => {
    const { id } = await office.makeWebhook({ events: ['message.created'] })
    await failOn([0, 1, 2, 3, 4, 4.5, 4.99])
    expect(await office.webhook(id)).toMatchObject({ enabled: true, disabled_reason: null })
    await failOn([5.3])
    expect(await office.webhook(id)).toMatchObject({ enabled: false, disabled_reason: 'failing' })
    expect(office.logged.map(({ type, payload }) => [type, payload.reason])).toEqual([['webhook.disabled', 'failing']])
    expect(new Set(await statuses(id))).toEqual(new Set(['failed']))
  })

  it('and succeeds once in between is not disabled: its time begins anew', async () => {
    const { id } = await office.makeWebhook({ events: ['message.created'] })
    await failOn([0, 4])
    office.receiver.answer(200)
    await say('taken')
    await office.run()
    expect((await office.webhook(id)).failing_since).toBeNull()
    await failOn([4.5, 6, 9])
    expect((await office.webhook(id)).enabled).toBe(true)
    await failOn([9.1, 9.2, 9.3, 9.6])
    expect((await office.webhook(id)).enabled).toBe(false)
  })

  it('and was told nothing for days since is not disabled by one failure', async () => {
    const { id } = await office.makeWebhook({ events: ['message.created'] })
    office.receiver.answer(500)
    await say('lost')
    for (const at of [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.8]) {
      office.clock.ahead = at * day
      await office.run()
    }
    expect(await statuses(id)).toEqual(['failed'])
    await failOn([9])
    expect(await office.webhook(id)).toMatchObject({ enabled: true })
    expect(await statuses(id)).toEqual(['failed', 'pending'])
  })

  it('is disabled and told of once, though several attempts find it out together', async () => {
    const { id } = await office.makeWebhook({ events: ['message.created'] })
    for (const { conversation } of await Promise.all([1, 2, 3, 4, 5].map(() => office.tenant.thread()))) {
      await office.say(conversation, 'x')
    }
    office.receiver.answer(410)
    await office.run()
    expect((await office.webhook(id)).enabled).toBe(false)
    expect(office.logged).toHaveLength(1)
  })

  it('gets another chance with another address', async () => {
    const { id } = await office.makeWebhook({ events: ['message.created'] })
    await failOn([0, 4.9])
    expect(await office.change(id, { url: `${office.receiver.url}/new` })).toMatchObject({ failing_since: null })
    await failOn([5.1])
    expect((await office.webhook(id)).enabled).toBe(true)
  })
})

describe('a webhook that was disabled', () => {
  it('refuses what would send it something, says why, and takes it once it is enabled', async () => {
    const { id } = await office.makeWebhook({ events: ['message.created'] })
    await say('one')
    await office.run()
    const [delivery] = await office.deliveries(id)
    expect(await office.change(id, { enabled: false })).toMatchObject({ enabled: false, disabled_reason: 'manual' })
    const { context, tenant } = office
    const asks = [
      () => resendDelivery(context, tenant.agent, id, delivery?.id ?? ''),
      () => testWebhook(context, tenant.agent, id, undefined),
      () => recoverWebhook(context, tenant.agent, id, new Date(0).toISOString()),
    ]
    for (const ask of asks) {
      await expect(ask()).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('enable it') })
    }
    expect(await office.change(id, { enabled: true })).toMatchObject({
      enabled: true,
      disabled_reason: null,
      disabled_at: null,
      failing_since: null,
    })
    for (const ask of asks) await ask()
    expect(office.logged).toEqual([])
  })

  it('is sent what it missed once it asks: what failed and what was never made, each once, and nothing older', async () => {
    const { id } = await office.makeWebhook({ events: ['message.created'], path: '/a' })
    await office.makeWebhook({ events: ['message.created'], path: '/b' })
    await say('taken long ago')
    await office.run()
    office.receiver.answer(({ path }) => (path === '/a' ? 410 : 200))
    await say('failed before')
    await office.run()
    await office.change(id, { enabled: true })
    const [mark] = await office.sql<{ at: Date }[]>`select max(created_at) + interval '1 ms' as at from events`
    const since = mark?.at.toISOString() ?? ''
    await expect
      .poll(async () => (await office.sql`select where clock_timestamp() > ${since}::timestamptz`).length)
      .toBe(1)
    await say('failed')
    await office.run()
    for (const content of ['missed one', 'missed two']) await say(content)
    await office.run()
    await office.change(id, { enabled: true })
    office.receiver.answer(200)
    await say('after')
    await office.run()
    office.receiver.requests.length = 0
    expect(await recover(id, since)).toBe(since)
    await office.run()
    expect(heardAt('/a')).toEqual(['failed', 'missed one', 'missed two'])
    expect(heardAt('/b')).toEqual([])
    expect(await recover(id, since)).toBe(since)
    await office.run()
    expect(office.receiver.requests).toHaveLength(3)
    expect(await statuses(id)).toEqual(['succeeded', 'failed', 'succeeded', 'succeeded', 'succeeded', 'succeeded'])
    await recover(id, new Date(0).toISOString())
    await office.run()
    expect(heardAt('/a').slice(3)).toEqual(['failed before'])
  })

  it('is sent nothing of the time before it was made, nor what it does not ask for any more', async () => {
    await say('before')
    const { id } = await office.makeWebhook({ events: ['message.created', 'conversation.opened'] })
    office.receiver.answer(410)
    await office.tenant.thread()
    await say('failed')
    await office.run()
    office.receiver.answer(200)
    office.receiver.requests.length = 0
    await office.change(id, { enabled: true, events: ['message.created'] })
    await recover(id, new Date(0).toISOString())
    await office.run()
    expect(heardAt('/')).toEqual(['failed'])
  })

  it('hears from when on it can be recovered, where the log does not reach back so far', async () => {
    const { id } = await office.makeWebhook({ events: ['message.created'] })
    await office.change(id, { enabled: false })
    for (const content of ['pruned', 'kept one', 'kept two']) await say(content)
    await office.change(id, { enabled: true })
    await office.sql`update log_followers f set seq = h.seq from workspace_heads h where h.workspace_id = f.workspace_id`
    await office.sql`
      update events set created_at = created_at - interval '8 days'
       where seq <= (select seq from events where payload ->> 'content' = 'pruned')`
    await pruneLog(office.sql, { days: 7 })
    const [oldest] = await office.sql<{ created_at: Date }[]>`
      select created_at from events where workspace_id = ${office.tenant.workspace.id} order by seq limit 1`
    expect(await recover(id, new Date(Date.now() - 9 * day).toISOString())).toBe(oldest?.created_at.toISOString())
    await office.run()
    expect(heardAt('/')).toEqual(['kept one', 'kept two'])
    const later = new Date(Date.now() + day).toISOString()
    expect(await recover(id, later)).toBe(later)
    await office.run()
    expect(heardAt('/')).toHaveLength(2)
  })

  it('recovers page by page, and goes on where a worker has ended', async () => {
    const { id } = await office.makeWebhook({ events: ['message.created'] })
    await office.change(id, { enabled: false })
    for (let n = 0; n < 30; n += 1) await say(`${n}`)
    await office.change(id, { enabled: true })
    await recover(id, new Date(0).toISOString())
    await Promise.all([1, 2, 3].map(() => recoverSome(office.sql, { limit: 4 })))
    while (await recoverSome(office.sql, { limit: 4 }));
    await office.run()
    expect(heardAt('/')).toEqual(Array.from({ length: 30 }, (_, n) => `${n}`))
  })
})
