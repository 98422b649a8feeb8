/** Automation rules in the running program: made over REST, heard on the sockets, and done once whatever dies. */

import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, onTestFinished } from 'vitest'
import { createAutomationRule } from '../../schema/muro/automation-rules.ts'
import { createRule } from '../../server/domain/automation-rules.ts'
import type { Context } from '../../server/domain/context.ts'
import { receiveMessage } from '../../server/domain/messages.ts'
import { type Api, startApi, testApp } from '../support/api.ts'
import { freshDatabase } from '../support/database.ts'
import { type Client, call, clientOf, idOf, muroClient } from '../support/http.ts'
import { startForTest } from '../support/place.ts'
import type { Program } from '../support/program.ts'
import { makeTenant, type Tenant, type Thread } from '../support/tenant.ts'
import { type Listener, listener } from './listeners.ts'

describe('in one process', () => {
  let api: Api
  beforeAll(async () => {
    api = await startApi(testApp)
  })
  afterAll(() => api.close())

  let tenant: Tenant
  let muro: Client
  let staff: Listener
  beforeEach(async () => {
    tenant = await api.makeTenant()
    muro = muroClient(api.url, tenant.apiKey)
    staff = listener(api, testApp.PUSHER_APP_KEY, { Authorization: `Bearer ${tenant.apiKey}` })
    await staff.join(`private-org-${tenant.workspace.publicId}`)
    return () => staff.leave()
  })

  const make = async (rule: Record<string, unknown>): Promise<string> => {
    const made = await muro.post('/automation-rules', { name: 'Rule', trigger: 'message.created', ...rule })
    expect(made.status).toBe(201)
    return idOf(made)
  }

  it('a visitor who asks for a refund is answered, and everybody hears it', async () => {
    await make({
      conditions: { match: 'all', items: [{ field: 'content', op: 'contains', value: 'refund' }] },
      actions: [
        { type: 'add_tag', value: 'refund' },
        { type: 'reply', text: 'Your refund is on its way.' },
      ],
    })
    await make({ actions: [{ type: 'set_status', value: 'closed' }] })
    const visitor = clientOf(`${api.url}/api/v1/chat`, { 'X-Api-Key': tenant.site.site_key })
    const begun = await visitor.post('/conversations', {
      name: 'Marie',
      email: 'marie@example.com',
      message: 'Hello',
      visitor_token: 'marie',
    })
    const { conversation_id: conversation, channel } = begun.body as { conversation_id: string; channel: string }
    await staff.hears(({ event, data }) => event === 'conversation.update' && data.status === 'closed')
    const marie = listener(api, testApp.PUSHER_APP_KEY, {
      'X-Api-Key': tenant.site.site_key,
      'X-Visitor-Token': 'marie',
    })
    await marie.join(channel)
    expect((await visitor.post('/conversations/marie/messages', { message: 'I want a REFUND.' })).status).toBe(201)
    const answer = await marie.hears(({ data }) => data.content === 'Your refund is on its way.')
    expect(answer.data).toMatchObject({ sender_type: 'agent', author: null })
    await marie.hears(({ event, data }) => event === 'conversation.update' && data.status === 'closed')
    marie.leave()

    await staff.hears(({ data }) => data.status === 'closed' && String(data.tags) === 'refund')
    const asked = staff.heard.findIndex(({ data }) => data.content === 'I want a REFUND.')
    expect(staff.heard.slice(asked).map(({ event, data }) => [event, data.content ?? data.changed])).toEqual([
      ['message.new', 'I want a REFUND.'],
      ['conversation.update', ['status', 'unread_count']],
      ['conversation.update', ['tags']],
      ['message.new', 'Your refund is on its way.'],
      ['conversation.update', ['status']],
    ])
    expect((await muro.get(`/conversations/${conversation}`)).body).toMatchObject({
      status: 'closed',
      tags: ['refund'],
    })
  })

  it('a conversation that is opened over the API is greeted, until the rule is off or deleted', async () => {
    const { contact } = await tenant.thread()
    const trigger = 'conversation.opened'
    const [off, gone] = [
      await make({ trigger, actions: [{ type: 'reply', text: 'off' }] }),
      await make({ trigger, actions: [{ type: 'reply', text: 'gone' }] }),
    ]
    await make({ trigger, actions: [{ type: 'reply', text: 'last' }] })
    const open = async () => idOf(await muro.post('/conversations', { visitor_id: contact, content: 'A word first' }))
    const saidIn = async (conversation: string) => {
      await staff.hears(({ data }) => data.conversation_id === conversation && data.content === 'last')
      const { body } = await muro.get(`/conversations/${conversation}/messages`)
      return (body as { data: { content: string; sender_id: string | null }[] }).data
    }
    const sent = { content: 'A word first', sender_id: tenant.agent.user.publicId }
    const said = (content: string) => expect.objectContaining({ content, sender_id: null })
    expect(await saidIn(await open())).toEqual([expect.objectContaining(sent), said('off'), said('gone'), said('last')])
    expect((await muro.patch(`/automation-rules/${off}`, { active: false })).status).toBe(200)
    const deletion = await call(api.url, 'DELETE', `/api/v1/automation-rules/${gone}`, { key: tenant.apiKey })
    expect(deletion.status).toBe(200)
    expect(await saidIn(await open())).toEqual([expect.objectContaining(sent), said('last')])
  })
})

it('P6: of 1,000 messages each fires each rule that fits once, though one of two workers is killed in the middle', async () => {
  const database = await freshDatabase({ max: 8 })
  onTestFinished(database.close)
  const { sql } = database
  const context: Context = { sql, bus: { publish: () => undefined } }
  const tenants = await Promise.all([1, 2, 3, 4].map(() => makeTenant(context)))
  const rules = [
    {
      trigger: 'message.created',
      actions: [
        { type: 'add_tag', value: 'seen' },
        { type: 'set_status', value: 'closed' },
      ],
    },
    {
      trigger: 'message.created',
      conditions: { items: [{ field: 'content', op: 'contains', value: 'odd' }] },
      actions: [{ type: 'reply', text: 'an odd answer' }],
    },
    {
      trigger: 'message.created',
      conditions: { items: [{ field: 'content', op: 'equals', value: 'an odd answer' }] },
      actions: [{ type: 'reply', text: 'a loop' }],
    },
    { trigger: 'conversation.opened', actions: [{ type: 'reply', text: 'welcome' }] },
  ].map((rule, n) => createAutomationRule.parse({ name: `Rule ${n}`, ...rule }))
  for (const { agent } of tenants) for (const rule of rules) await createRule(context, agent, rule)
  const threads: Thread[] = (
    await Promise.all(tenants.flatMap(({ thread }) => Array.from({ length: 10 }, () => thread())))
  ).flat()

  const start = () =>
    startForTest({ ...testApp, DATABASE_URL: database.url, REDIS_URL: inject('redisUrl'), ROLES: 'worker' })
  const workers = await Promise.all([start(), start()])
  const messages = Array.from({ length: 25 }, (_, n) =>
    threads.map((thread) => ({ thread, content: n % 2 ? 'odd' : 'even' })),
  ).flat()
  const writing = Promise.all(
    Array.from({ length: 6 }, async () => {
      for (let next = messages.pop(); next; next = messages.pop())
        await receiveMessage(context, next.thread.visitor, next.content)
    }),
  )

  // Who is in a transaction without asking anything has read events and lets a rule act on them just now.
  const victim = async () => {
    const [found] = await sql<{ name: string }[]>`
      select application_name as name from pg_stat_activity
       where datname = current_database() and application_name like 'hubbub %' and state = 'idle in transaction'
         and (select count(*) from rule_runs) > 200
       limit 1`
    return workers.find(({ child }) => found?.name === `hubbub ${child.pid}`)
  }
  let killed: Program | undefined
  const find = async () => {
    killed = await victim()
    return killed
  }
  await expect.poll(find, { interval: 5, timeout: 20_000 }).toBeDefined()
  await killed?.kill()
  await writing
  const behind = async () => {
    const [row] = await sql<{ behind: number }[]>`
      select count(*) as behind from log_followers f join workspace_heads h on h.workspace_id = f.workspace_id
       where f.follower = 'rules' and f.seq < h.seq`
    return row?.behind
  }
  await expect.poll(behind, { interval: 50, timeout: 40_000 }).toBe(0)

  const runs = await sql`
    select r.name, count(*)::int as runs from rule_runs n join automation_rules r on r.id = n.rule_id group by 1 order by 1`
  expect(runs.map(({ name, runs }) => [name, runs])).toEqual([
    ['Rule 0', 1000],
    ['Rule 1', 480],
    ['Rule 3', 40],
  ])
  const said = await sql`
    select c.public_id as id, c.state, to_json(c.tags) as tags,
           count(*) filter (where m.sender_type = 'visitor')::int as visitor,
           count(*) filter (where m.content = 'an odd answer')::int as odd,
           count(*) filter (where m.content = 'welcome')::int as welcome,
           count(*)::int as all
      from conversations c join messages m on m.conversation_id = c.id group by c.id`
  const expected = { state: 'closed', tags: ['seen'], visitor: 25, odd: 12, welcome: 1, all: 38 }
  expect([...said]).toEqual(threads.map(() => ({ id: expect.any(String), ...expected })))
  const [log] = await sql`
    select count(*)::int as rows, (select sum(seq)::int from workspace_heads) as heads from events`
  expect(log?.rows).toBe(log?.heads)
  const survivor = workers.find((one) => one !== killed)
  expect(survivor?.output()).not.toContain('"level":50')
  expect(killed?.child.signalCode).toBe('SIGKILL')
}, 90_000)
