/** Automation rules at work: what they do, to whom, when and in which order. */

import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import type { UpdateAutomationRule } from '../../schema/muro/automation-rules.ts'
import { deleteRule } from '../../server/domain/automation-rules.ts'
import { sendMessage } from '../../server/domain/messages.ts'
import { areRulesBehind, forgetOldRuns, passOverRuleless } from '../../server/domain/rule-runs.ts'
import { updateConversation } from '../../server/domain/triage.ts'
import { createUser } from '../../server/domain/workspaces.ts'
import { startPruningLog } from '../../server/jobs/prune-log.ts'
import { makeTenant } from '../support/tenant.ts'
import {
  change,
  context,
  eventsAfter,
  headOf,
  lines,
  make,
  open,
  prepareRules,
  repliesIn,
  reply,
  runsOf,
  say,
  saysAndSettles,
  setStatus,
  settle,
  stateOf,
  tag,
  tenant,
  thread,
  told,
  visit,
  when,
} from './rules.ts'

prepareRules()

describe('what a rule does', () => {
  it('is told as one update and its replies, in one transaction, and published', async () => {
    const { rowId, id: user } = await context.sql.begin((tx) =>
      createUser(tx, tenant.workspace, { name: 'Grace', email: 'grace@example.com' }),
    )
    expect(rowId).toBeGreaterThan(0)
    await make({
      ...when('content', 'contains', 'refund'),
      actions: [
        { type: 'reply', text: 'First' },
        { type: 'add_tag', value: 'refund' },
        { type: 'assign', user_id: user },
        { type: 'set_status', value: 'snoozed' },
        { type: 'add_tag', value: 'money' },
        { type: 'reply', text: 'Second' },
      ],
    })
    await say('I want a REFUND')
    const before = await headOf()
    told.length = 0
    await settle()
    const events = await eventsAfter(before)
    expect(events.map(({ type }) => type)).toEqual(['conversation.update', 'message.new', 'message.new'])
    expect(events[0]?.payload).toMatchObject({
      status: 'snoozed',
      tags: ['refund', 'money'],
      assigned_user_id: user,
      changed: ['status', 'tags', 'assigned_user_id'],
    })
    const shown = { conversation_id: thread.conversation, sender_type: 'agent', sender_id: null, author: null }
    expect(events.slice(1).map(({ payload }) => payload)).toEqual([
      expect.objectContaining({ ...shown, content: 'First' }),
      expect.objectContaining({ ...shown, content: 'Second' }),
    ])
    expect(told.map(({ name, seq }) => [name, seq])).toEqual(events.map(({ type }, n) => [type, before + 1 + n]))
    const heard = told.map(({ visitor }) => (visitor === null ? null : JSON.parse(visitor)))
    expect(heard).toEqual([
      { id: thread.conversation, status: 'snoozed', seq: 2 },
      expect.objectContaining({ author: null, content: 'First', seq: 3 }),
      expect.objectContaining({ author: null, content: 'Second', seq: 4 }),
    ])
    expect(await stateOf()).toEqual({ state: 'snoozed', tags: ['refund', 'money'], assignee: user })
    expect(lines).toEqual([])
  })

  it('is said in the name that the site gives its agents', async () => {
    await context.sql`update sites set agent_name = 'Robin' where public_id = ${tenant.site.id}`
    await make(reply('Hello'))
    const before = await headOf()
    await say('Hi')
    await settle()
    expect((await eventsAfter(before)).at(-1)?.payload).toMatchObject({
      author: 'Robin',
      sender_id: null,
      content: 'Hello',
    })
  })

  it('that changes nothing is not told', async () => {
    await updateConversation(context, tenant.agent, thread.conversation, { tags: ['vip'] })
    await make({
      actions: [
        { type: 'add_tag', value: 'vip' },
        { type: 'assign', user_id: null },
        { type: 'set_status', value: 'open' },
      ],
    })
    await say('Hi')
    const before = await headOf()
    await settle()
    expect(await headOf()).toBe(before)
  })

  it('takes an assignee away, and leaves out a tag that is one too many', async () => {
    const tags = Array.from({ length: 49 }, (_, n) => `tag ${n}`)
    await updateConversation(context, tenant.agent, thread.conversation, {
      tags,
      assigned_user_id: tenant.agent.user.publicId,
    })
    await make({
      actions: [
        { type: 'assign', user_id: null },
        { type: 'add_tag', value: 'a' },
        { type: 'add_tag', value: 'b' },
      ],
    })
    await saysAndSettles('Hi')
    expect(await stateOf()).toEqual({ state: 'open', tags: [...tags, 'a'], assignee: null })
  })

  it('looks at every field as it is now', async () => {
    await context.sql`update conversations set url = 'https://shop.example/Cart' where public_id = ${thread.conversation}`
    await context.sql`update contacts set email = 'vita@example.com' where public_id = ${thread.contact}`
    await updateConversation(context, tenant.agent, thread.conversation, { tags: ['one', 'Two'] })
    const items = [
      { field: 'content', op: 'equals', value: 'hi' },
      { field: 'contact.email', op: 'ends_with', value: '@example.com' },
      { field: 'contact.name', op: 'equals', value: 'vita' },
      { field: 'url', op: 'contains', value: '/cart' },
      { field: 'status', op: 'equals', value: 'open' },
      { field: 'tags', op: 'equals', value: 'two' },
      { field: 'website_id', op: 'equals', value: tenant.site.id },
    ]
    await make({ conditions: { match: 'all', items }, ...reply('all of them') })
    for (const item of items) {
      await make({
        conditions: { match: 'any', items: [{ ...item, op: 'not_equals', value: `${item.value}?` }] },
        ...reply(item.field),
      })
      await make({ conditions: { items: [...items, { ...item, op: 'equals', value: 'else' }] }, ...reply('never') })
    }
    await saysAndSettles('Hi')
    expect(await repliesIn()).toEqual(['all of them', ...items.map(({ field }) => field)])
  })

  it('is done in its own workspace only', async () => {
    const other = await makeTenant(context)
    await make(reply('theirs'), other)
    await make(reply('ours'))
    const theirs = await other.thread()
    await say('Hi')
    await saysAndSettles('Hi', theirs)
    expect([await repliesIn(), await repliesIn(theirs.conversation)]).toEqual([['ours'], ['theirs']])
  })
})

describe('what triggers a rule', () => {
  it('on messages: what the visitor says, also as the first in a new conversation', async () => {
    await make(reply('heard'))
    await saysAndSettles('Hi')
    await saysAndSettles('Hi again')
    expect(await repliesIn()).toEqual(['heard', 'heard'])
    const begun = await visit('Hello')
    await settle()
    expect(await repliesIn(begun)).toEqual(['heard'])
  })

  it('on messages: nothing that an agent, a note, the API or the system says, and no conversation by itself', async () => {
    await context.sql`update sites set auto_reply = 'We are out' where public_id = ${tenant.site.id}`
    const rule = await make({ ...when('content', 'not_equals', 'visitor'), ...reply('never') })
    await sendMessage(context, tenant.agent, thread.conversation, { content: 'agent', kind: 'agent' })
    await sendMessage(context, tenant.agent, thread.conversation, { content: 'note', kind: 'note' })
    await updateConversation(context, tenant.agent, thread.conversation, { status: 'closed' })
    const opened = [await open('agent'), await open(), await visit('visitor')]
    await settle()
    for (const conversation of [thread.conversation, ...opened]) expect(await repliesIn(conversation)).toEqual([])
    expect(await runsOf(rule)).toBe(0)
  })

  it('on new conversations: each one, with what was said first in it, by whomever; not the messages after', async () => {
    await context.sql`update sites set auto_reply = 'A word of the system' where public_id = ${tenant.site.id}`
    const trigger = 'conversation.opened'
    await make({ trigger, ...when('content', 'equals', 'from an agent'), ...reply('agent') })
    await make({ trigger, ...when('content', 'equals', 'from a visitor'), ...reply('visitor') })
    await make({ trigger, ...when('content', 'is_present'), ...tag('said something') })
    await make({ trigger, ...when('content', 'equals', ''), ...reply('empty') })
    await make({ trigger, ...tag('new') })
    const [proactive, empty, begun] = [await open('From an agent'), await open(), await visit('From a visitor')]
    await settle()
    expect(await repliesIn(proactive)).toEqual(['agent'])
    expect(await repliesIn(empty)).toEqual(['empty'])
    expect(await repliesIn(begun)).toEqual(['visitor'])
    expect((await stateOf(proactive)).tags).toEqual(['said something', 'new'])
    expect((await stateOf(empty)).tags).toEqual(['new'])
    await saysAndSettles('from a visitor')
    expect([await repliesIn(), (await stateOf()).tags]).toEqual([[], []])
  })

  it('on an empty new conversation without anything said, though somebody, or a rule, was quicker than this one', async () => {
    const trigger = 'conversation.opened'
    await make({ trigger, ...when('content', 'equals', ''), ...reply('Welcome') })
    await make({ trigger, ...when('content', 'is_present'), ...tag('said something') })
    const [greeted, spoken] = [await open(), await open()]
    await sendMessage(context, tenant.agent, spoken, { content: 'A word afterwards', kind: 'agent' })
    await settle()
    for (const conversation of [greeted, spoken]) {
      expect(await repliesIn(conversation)).toEqual(['Welcome'])
      expect((await stateOf(conversation)).tags).toEqual([])
    }
  })

  it('only what happened after it was made, and while it was on', async () => {
    await say('before it was made')
    const rule = await make(reply('on'))
    await settle()
    expect(await repliesIn()).toEqual([])
    await saysAndSettles('after')
    expect(await repliesIn()).toEqual(['on'])
    await change(rule, { active: false })
    await saysAndSettles('while it is off')
    await say('not seen before it is on again')
    await change(rule, { active: true })
    await settle()
    expect(await repliesIn()).toEqual(['on'])
    await change(rule, { active: true, name: 'On as it was' })
    await say('after that')
    await change(rule, { active: true, name: 'This misses nothing' })
    await settle()
    expect(await repliesIn()).toEqual(['on', 'on'])
  })

  it('nothing any more once it was answered that the rule is off, deleted or another', async () => {
    const [off, gone, other] = [await make(reply('off')), await make(reply('gone')), await make(reply('before'))]
    await say('Hi')
    await change(off, { active: false })
    await deleteRule(context, tenant.agent, gone)
    await change(other, reply('after') as UpdateAutomationRule)
    await settle()
    expect(await repliesIn()).toEqual(['after'])
    await change(other, { trigger: 'conversation.opened' })
    await saysAndSettles('Hi')
    expect(await repliesIn()).toEqual(['after'])
  })
})

describe('many rules', () => {
  it('run in the order of their positions, and each sees what those before have done', async () => {
    await make({ position: 5, ...when('tags', 'equals', 'seen'), ...reply('5: seen') })
    await make({ position: 3, ...tag('seen') })
    await make({ position: 1, ...when('tags', 'equals', 'seen'), ...reply('1: seen') })
    await make({ position: 1, ...when('tags', 'not_equals', 'seen'), ...reply('1: not seen') })
    await make({ position: 7, ...setStatus('closed') })
    await make({ position: 8, ...when('status', 'equals', 'closed'), ...reply('8: closed') })
    await saysAndSettles('Hi')
    expect(await repliesIn()).toEqual(['1: not seen', '5: seen', '8: closed'])
    expect(await stateOf()).toMatchObject({ state: 'closed', tags: ['seen'] })
  })

  it('that trigger each other as it seems come to an end', async () => {
    const rules = [
      await make({ ...when('content', 'contains', 'ping'), ...reply('ping') }),
      await make({ ...when('status', 'equals', 'open'), ...setStatus('closed') }),
      await make({ ...when('status', 'equals', 'closed'), ...setStatus('open') }),
      await make({ ...when('status', 'equals', 'open'), ...setStatus('closed') }),
      await make({ trigger: 'conversation.opened', ...when('content', 'contains', 'ping'), ...reply('ping ping') }),
    ]
    await say('ping')
    const begun = await visit('ping')
    await settle()
    expect([await repliesIn(), await repliesIn(begun)]).toEqual([['ping'], ['ping ping', 'ping']])
    expect(await Promise.all(rules.map(runsOf))).toEqual([2, 2, 2, 2, 1])
    const head = await headOf()
    await settle()
    expect(await headOf()).toBe(head)
    // The visitor reopens it, once, and it is closed again, once.
    await saysAndSettles('hello?')
    expect(await stateOf()).toMatchObject({ state: 'closed' })
    expect(await Promise.all(rules.map(runsOf))).toEqual([2, 3, 3, 3, 1])
  })
})

describe('the place in the log', () => {
  const placeOf = async () => {
    const [row] = await context.sql<{ seq: number }[]>`
      select seq from log_followers where follower = 'rules' and workspace_id = ${tenant.workspace.id}`
    return row?.seq ?? 0
  }

  it('is at its end where no rule is on; where one is, nothing is passed over', async () => {
    await settle()
    const rule = await make(reply('Hi'))
    await change(rule, { active: false })
    await say('Hi')
    expect(await areRulesBehind(context.sql)).toBe(false)
    await passOverRuleless(context.sql)
    expect(await placeOf()).toBe(await headOf())
    await change(rule, { active: true })
    const place = await placeOf()
    await say('Hi')
    expect(await areRulesBehind(context.sql)).toBe(true)
    await passOverRuleless(context.sql)
    expect(await placeOf()).toBe(place)
    await settle()
    expect([await areRulesBehind(context.sql), await repliesIn()]).toEqual([false, ['Hi']])
  })

  it('is all that is kept of old runs: what it has passed is forgotten after the days of the log, slice by slice', async () => {
    const rule = await make(reply('Hi'))
    for (let n = 0; n < 7; n += 1) await say('Hi')
    await settle()
    const age = (days: number, seq: number) => context.sql`
      update rule_runs set at = clock_timestamp() - make_interval(hours => ${Math.ceil(days * 24)})
       where event_seq <= ${seq} and rule_id = (select id from automation_rules where public_id = ${rule})`
    const [fifth] = await context.sql<{ seq: number }[]>`
      select event_seq as seq from rule_runs
       where rule_id = (select id from automation_rules where public_id = ${rule}) order by 1 offset 4 limit 1`
    await age(8, fifth?.seq ?? 0)
    expect(await forgetOldRuns(context.sql, { days: 9 })).toBe(0)
    // Whoever follows there again must know that the rule has acted.
    await context.sql`
      update log_followers set seq = ${(fifth?.seq ?? 0) - 1} where follower = 'rules' and workspace_id = ${tenant.workspace.id}`
    expect(await forgetOldRuns(context.sql, { days: 7, slice: 3 })).toBe(4)
    await settle()
    expect(await repliesIn()).toHaveLength(7)
    const stop = startPruningLog(context.sql, 7, pino({ level: 'silent' }))
    await expect.poll(() => runsOf(rule)).toBe(2)
    await stop()
  })
})
