/** Who is told of what: each event once for every webhook that wants it, from when it was made, and of its site only. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { transact } from '../../server/db/sql.ts'
import { createContact, updateContact } from '../../server/domain/contacts.ts'
import { openConversation } from '../../server/domain/conversations.ts'
import { receiveMessage } from '../../server/domain/messages.ts'
import { updateConversation } from '../../server/domain/triage.ts'
import { fanOut, skipUnheard } from '../../server/webhooks/fan-out.ts'
import { makeTenant, type Tenant } from '../support/tenant.ts'
import { type Office, startWebhooks, told } from './start-webhooks.ts'

let office: Office
beforeAll(async () => {
  office = await startWebhooks()
})
afterEach(() => office.clear())
afterAll(() => office.close())

const close = (conversation: string) =>
  updateConversation(office.context, office.tenant.agent, conversation, { status: 'closed' })

const typesAt = (path: string) =>
  office.receiver.requests.filter((request) => request.path === path).map((request) => told(request).type)

const followedTo = async (tenant: Tenant) => {
  const [row] = await office.sql<{ seq: number; head: number }[]>`
    select f.seq, h.seq as head from log_followers f join workspace_heads h using (workspace_id)
     where f.follower = 'webhooks' and f.workspace_id = ${tenant.workspace.id}`
  return row
}

describe('a webhook is told', () => {
  it('of all that happens, in order, and never of a note', async () => {
    await office.makeWebhook()
    const { context, tenant } = office
    const thread = await tenant.thread()
    await receiveMessage(context, thread.visitor, 'Hi!')
    await office.say(thread.conversation, 'psst', { kind: 'note' })
    await office.say(thread.conversation, 'Hello')
    await updateContact(context, tenant.agent, thread.contact, { name: 'Marie' })
    await updateContact(context, tenant.agent, thread.contact, { email: 'marie@example.com' })
    await updateContact(context, tenant.agent, thread.contact, { email: 'Marie@example.com '.trim().toLowerCase() })
    await updateConversation(context, tenant.agent, thread.conversation, { status: 'snoozed' })
    await close(thread.conversation)
    await close(thread.conversation)
    await office.run()
    const inThread = office.receiver.requests.map(told).filter(({ type }) => type !== 'visitor.identified')
    expect(inThread.map(({ type, data }) => [type, data.message?.sender_type ?? null])).toEqual([
      ['conversation.opened', null],
      ['message.created', 'visitor'],
      ['message.created', 'agent'],
      ['conversation.closed', null],
    ])
    const numbers = inThread.map(({ data }) => Object.values(data)[0]?.conversation_seq)
    expect(numbers).toEqual([...numbers].sort((a, b) => Number(a) - Number(b)))
    const identified = office.receiver.requests.map(told).filter(({ type }) => type === 'visitor.identified')
    expect(identified.map(({ data }) => data.visitor)).toEqual([
      { id: thread.contact, email: 'marie@example.com', name: 'Marie', seq: expect.any(Number) },
    ])
    expect(office.receiver.requests.map(({ body }) => body).join()).not.toContain('psst')
  })

  it('of what it asked for, and of nothing else', async () => {
    await office.makeWebhook({ events: ['message.created'], path: '/messages' })
    await office.makeWebhook({ events: ['conversation.opened', 'conversation.closed'], path: '/threads' })
    const { id: contact } = (await createContact(office.context, office.tenant.agent, { email: 'a@example.com' }))
      .answer
    const opened = await openConversation(office.context, office.tenant.agent, {
      visitor_id: contact,
      content: 'Hello',
    })
    await close(opened.answer.id)
    await office.run()
    expect(typesAt('/messages')).toEqual(['message.created'])
    expect(typesAt('/threads')).toEqual(['conversation.opened', 'conversation.closed'])
  })

  it('from the moment on in which it was made or enabled, and of nothing before', async () => {
    const { conversation } = await office.tenant.thread()
    await office.say(conversation, 'before it was made')
    const { id } = await office.makeWebhook({ events: ['message.created'] })
    await office.say(conversation, 'first')
    await office.run()
    await office.change(id, { enabled: false })
    await office.say(conversation, 'while it was disabled')
    await office.change(id, { enabled: true })
    await office.say(conversation, 'second')
    await office.run()
    expect(office.receiver.requests.map((request) => told(request).data.message?.content)).toEqual(['first', 'second'])
  })

  it('of its site only where it has one, and of other workspaces never', async () => {
    const { tenant } = office
    const other = await tenant.makeSite()
    const stranger = await makeTenant(office.context)
    await office.makeWebhook({ path: '/all' })
    await office.makeWebhook({ path: '/other', site: other })
    const theirs = await office.makeWebhook({ path: '/stranger', tenant: stranger })
    const here = await tenant.thread()
    const there = await tenant.thread(other)
    await updateContact(office.context, tenant.agent, here.contact, { email: 'one@example.com' })
    await updateContact(office.context, tenant.agent, there.contact, { email: 'two@example.com' })
    await office.run()
    expect(typesAt('/all').sort()).toEqual([
      'conversation.opened',
      'conversation.opened',
      'visitor.identified',
      'visitor.identified',
    ])
    const told = office.receiver.requests.filter(({ path }) => path === '/other').map(({ body }) => body)
    expect(told).toHaveLength(2)
    expect(told.join()).not.toContain(here.conversation)
    expect(told.join()).not.toContain('one@example.com')
    expect(
      await office.sql`select from webhook_deliveries d join webhook_endpoints w on w.id = d.endpoint_id
                             where w.public_id = ${theirs.id}`,
    ).toHaveLength(0)
  })

  it('nothing of a conversation that was deleted before it could be told', async () => {
    await office.makeWebhook()
    const gone = await office.tenant.thread()
    const blank = await office.tenant.thread()
    await office.say(gone.conversation, 'secret of one that is gone')
    await office.say(blank.conversation, 'secret of one that is blank')
    await office.sql`update events set payload = '{}' where payload ->> 'content' = 'secret of one that is blank'`
    const { followed } = await transact(office.sql, async (tx) => {
      const [row] = await tx<{ id: number }[]>`
        select id from conversations where public_id = ${gone.conversation} for update`
      const followed = office.follow()
      // The fan-out waits until it is known what becomes of the conversation.
      await expect
        .poll(
          () =>
            office.sql`select from pg_stat_activity where wait_event_type = 'Lock' and query like '%for key share%'`,
        )
        .toHaveLength(1)
      await tx`delete from conversation_activity where conversation_id = ${row?.id ?? 0}`
      await tx`delete from messages where conversation_id = ${row?.id ?? 0}`
      await tx`delete from conversations where id = ${row?.id ?? 0}`
      return { followed }
    })
    await followed
    await office.run()
    const bodies = office.receiver.requests.map(({ body }) => body).join()
    expect(bodies).not.toContain('secret')
    expect(bodies).not.toContain(gone.conversation)
    expect(bodies).toContain(blank.conversation)
  })
})

describe('two workers', () => {
  it('at once make each delivery once, whatever is written meanwhile', async () => {
    const hooks = [await office.makeWebhook(), await office.makeWebhook({ events: ['message.created'] })]
    const threads = await Promise.all([1, 2, 3, 4].map(() => office.tenant.thread()))
    let writing = true
    const workers = [1, 2].map(async () => {
      while ((await fanOut(office.sql, { limit: 3 })) || writing);
    })
    await Promise.all(
      threads.map(async ({ conversation }) => {
        for (let n = 0; n < 25; n += 1) await office.say(conversation, `${n}`, { kind: n % 5 === 0 ? 'note' : 'agent' })
      }),
    )
    writing = false
    await Promise.all(workers)
    await office.follow()
    const made = await office.sql<{ webhook: string; events: number; deliveries: number }[]>`
      select w.public_id as webhook, count(distinct d.event_id) as events, count(*) as deliveries
        from webhook_deliveries d join webhook_endpoints w on w.id = d.endpoint_id group by w.id order by w.id`
    expect([...made]).toEqual([
      { webhook: hooks[0]?.id, events: 84, deliveries: 84 },
      { webhook: hooks[1]?.id, events: 80, deliveries: 80 },
    ])
  })

  it('make nothing for a webhook that is disabled in this very moment', async () => {
    const { id } = await office.makeWebhook()
    await office.tenant.thread()
    const { followed } = await transact(office.sql, async (tx) => {
      await tx`
        update webhook_endpoints set enabled = false, disabled_reason = 'manual', disabled_at = clock_timestamp()
         where public_id = ${id}`
      const followed = office.follow()
      await expect
        .poll(
          () =>
            office.sql`select from pg_stat_activity where wait_event_type = 'Lock' and query like '%for share of w%'`,
        )
        .toHaveLength(1)
      return { followed }
    })
    await followed
    expect(await office.deliveries(id)).toEqual([])
  })

  it('are not stopped by a crash in between: what was not committed is made by the next, once', async () => {
    const { id } = await office.makeWebhook({ events: ['message.created'] })
    const { conversation } = await office.tenant.thread()
    await office.say(conversation, 'one')
    await office.sql`alter table log_followers add constraint crash check (seq < 0) not valid`
    await expect(fanOut(office.sql)).rejects.toThrow(/crash/)
    await office.sql`alter table log_followers drop constraint crash`
    expect(await office.deliveries(id)).toEqual([])
    await office.follow()
    expect(await office.deliveries(id)).toHaveLength(1)
  })
})

it('where nobody is told the log is passed over, and where somebody is it is not', async () => {
  const quiet = await makeTenant(office.context)
  await quiet.thread()
  await office.makeWebhook()
  await office.tenant.thread()
  const before = await followedTo(office.tenant)
  await Promise.all([skipUnheard(office.sql), skipUnheard(office.sql)])
  const passed = await followedTo(quiet)
  expect(passed?.seq).toBe(passed?.head)
  expect(await followedTo(office.tenant)).toEqual(before)
  expect(before?.seq).toBeLessThan(before?.head ?? 0)
})
