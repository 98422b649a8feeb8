/** Automation rules when something is in their way: a rule acts on an event once at most, and holds up nobody. */

import { afterEach, describe, expect, it } from 'vitest'
import type { UpdateAutomationRule } from '../../schema/muro/automation-rules.ts'
import type { Tx } from '../../server/db/sql.ts'
import { deleteRule } from '../../server/domain/automation-rules.ts'
import { openConversation } from '../../server/domain/conversations.ts'
import { type FollowedEvent, followLog } from '../../server/domain/log-followers.ts'
import { sendMessage } from '../../server/domain/messages.ts'
import { actOnce } from '../../server/domain/rule-effects.ts'
import { runRules } from '../../server/domain/rule-runs.ts'
import { updateConversation } from '../../server/domain/triage.ts'
import { createUser } from '../../server/domain/workspaces.ts'
import {
  change,
  context,
  eventsAfter,
  headOf,
  lines,
  make,
  prepareRules,
  repliesIn,
  reply,
  report,
  runsOf,
  say,
  saysAndSettles,
  settle,
  stateOf,
  tag,
  tenant,
  thread,
  when,
} from './rules.ts'

prepareRules()

describe('what stands in the way', () => {
  it('an assignee who is gone: the rest is done, and the log of the program says so', async () => {
    const { id: user } = await context.sql.begin((tx) =>
      createUser(tx, tenant.workspace, { name: 'Gone', email: 'gone@example.com' }),
    )
    await make({
      actions: [
        { type: 'assign', user_id: user },
        { type: 'add_tag', value: 'left' },
        { type: 'reply', text: 'still' },
      ],
    })
    await context.sql`delete from users where public_id = ${user}`
    await saysAndSettles('Hi')
    expect([await stateOf(), await repliesIn()]).toEqual([{ state: 'open', tags: ['left'], assignee: null }, ['still']])
    expect(lines).toEqual([
      { level: 'warn', line: expect.stringContaining('no such user'), facts: expect.objectContaining({ user }) },
    ])
  })

  it('a conversation that is gone: it is passed over, and what came after is done', async () => {
    await make({ ...tag('new'), trigger: 'conversation.opened' })
    await make(reply('Hi'))
    const doomed = await tenant.thread()
    await say('Hi', doomed)
    await say('Hi')
    const [row] = await context.sql<
      { id: number }[]
    >`select id from conversations where public_id = ${doomed.conversation}`
    await context.sql`delete from messages where conversation_id = ${row?.id ?? 0}`
    await context.sql`delete from conversation_activity where conversation_id = ${row?.id ?? 0}`
    await context.sql`delete from conversations where id = ${row?.id ?? 0}`
    await settle()
    expect(await repliesIn()).toEqual(['Hi'])
    expect(lines.map(({ level, line }) => [level, line])).toEqual(
      Array(2).fill(['warn', expect.stringContaining('the conversation is gone')]),
    )
  })

  /** Lets the next `times` replies that say so fail with that SQLSTATE. */
  const breakReplies = async (text: string, times: number, state: string) => {
    await context.sql.unsafe(`
      create sequence if not exists breaks;
      select setval('breaks', 1, false);
      create or replace function break_reply() returns trigger language plpgsql as $$
      begin
        if new.content = '${text}' and nextval('breaks') <= ${times} then
          raise exception 'broken by the test' using errcode = '${state}';
        end if;
        return new;
      end $$;
      create or replace trigger break_reply before insert on messages for each row execute function break_reply();`)
  }
  afterEach(async () => {
    await context.sql.unsafe('drop trigger if exists break_reply on messages')
  })

  it('a failure that passes: the rule is tried again, and acts once', async () => {
    await breakReplies('unlucky', 2, 'P0001')
    await make({
      actions: [
        { type: 'add_tag', value: 'once' },
        { type: 'reply', text: 'unlucky' },
      ],
    })
    const before = await headOf()
    await saysAndSettles('Hi')
    expect(await repliesIn()).toEqual(['unlucky'])
    expect((await eventsAfter(before)).map(({ type }) => type)).toEqual([
      'message.new',
      'conversation.update',
      'conversation.update',
      'message.new',
    ])
    expect(lines).toEqual([])
  })

  it('a failure that stays: the rule is left out for that event, wholly, and the others go on', async () => {
    await breakReplies('broken', 1_000_000, 'P0001')
    const broken = await make({
      position: 1,
      actions: [
        { type: 'add_tag', value: 'half' },
        { type: 'reply', text: 'broken' },
      ],
    })
    await make({ position: 2, ...reply('fine') })
    await say('Hi')
    await saysAndSettles('Hi again')
    expect([await repliesIn(), (await stateOf()).tags, await runsOf(broken)]).toEqual([['fine', 'fine'], [], 0])
    expect(lines).toEqual(
      Array(2).fill({
        level: 'error',
        line: expect.stringContaining('has failed'),
        facts: expect.objectContaining({ rule: broken, err: expect.any(Error) }),
      }),
    )
  })

  it('a database that goes away in between: nothing is left out, done twice, or decided anew', async () => {
    await breakReplies('unlucky', 1, '57P01')
    await make({ position: 1, ...when('tags', 'equals', 'marked'), ...reply('marked before') })
    await make({
      position: 2,
      actions: [
        { type: 'add_tag', value: 'marked' },
        { type: 'reply', text: 'marks' },
      ],
    })
    await make({ position: 3, ...reply('unlucky') })
    await say('Hi')
    await say('Hi again')
    await expect(settle()).rejects.toThrow('broken by the test')
    expect(await repliesIn()).toEqual(['marks'])
    await settle()
    expect(await repliesIn()).toEqual(['marks', 'unlucky', 'marked before', 'marks', 'unlucky'])
    expect(lines).toEqual([])
  })
})

describe('at most once', () => {
  const rewind = () => context.sql`
    update log_followers set seq = 0 where follower = 'rules' and workspace_id = ${tenant.workspace.id}`

  it('a rule acts on an event, also where the same events are followed again', async () => {
    const rule = await make(reply('once'))
    for (const content of ['a', 'b', 'c']) await say(content)
    await settle()
    const head = await headOf()
    await rewind()
    await settle()
    expect([await headOf(), await runsOf(rule), await repliesIn()]).toEqual([head, 3, ['once', 'once', 'once']])
  })

  /** Returns what the last message triggered, and the rule that is to act on it, as a follower has read them. */
  const chosen = async (id: string) => {
    let last: FollowedEvent | undefined
    const keep = async (_: Tx, { id: workspace }: { id: number }, events: FollowedEvent[]) => {
      if (workspace === tenant.workspace.id) last = events.findLast(({ type }) => type === 'message.new') ?? last
    }
    while (await followLog(context.sql, 'summaries', keep));
    const [rule] = await context.sql<{ id: number }[]>`select id from automation_rules where public_id = ${id}`
    if (!last || !rule) throw new Error('nothing was read')
    const trigger = { workspace: tenant.workspace, event: last, conversation: thread.conversation }
    return () => actOnce(context, trigger, { id: rule.id, trigger: 'message.created' }, report.warn)
  }

  it('a rule acts on an event, also where processes act at the same time that have lost their place', async () => {
    const rule = await make({
      actions: [
        { type: 'add_tag', value: 'x' },
        { type: 'reply', text: 'once' },
      ],
    })
    await say('Hi')
    const act = await chosen(rule)
    await Promise.all(Array.from({ length: 8 }, act))
    await settle()
    expect([await repliesIn(), await runsOf(rule), lines]).toEqual([['once'], 1, []])
  })

  it('a rule that became another after it was chosen does what it says now, or nothing', async () => {
    const condition = { items: [{ field: 'content', op: 'equals', value: 'else' }] } as const
    const patches: UpdateAutomationRule[] = [
      { active: false },
      { trigger: 'conversation.opened' },
      { conditions: { match: 'all', items: [...condition.items] } },
    ]
    for (const patch of patches) {
      const rule = await make(reply('never'))
      await say('Hi')
      const act = await chosen(rule)
      await change(rule, patch)
      await act()
    }
    const gone = await make(reply('never'))
    await say('Hi')
    const act = await chosen(gone)
    await deleteRule(context, tenant.agent, gone)
    await act()
    expect(await repliesIn()).toEqual([])
  })

  it('a rule that is switched off while it acts is off when it is done, not before', async () => {
    const rule = await make(reply('in time'))
    await say('Hi')
    const act = await chosen(rule)
    const done: string[] = []
    const [acting, changing] = await context.sql.begin(async (tx) => {
      await tx`select from conversations where public_id = ${thread.conversation} for update`
      const waiting = async () => {
        const [row] = await tx<{ waiting: number }[]>`
          select count(*) as waiting from pg_stat_activity
           where datname = current_database() and wait_event_type = 'Lock'`
        return row?.waiting
      }
      const acting = act().then(() => done.push('acted'))
      await expect.poll(waiting).toBe(1)
      const changing = change(rule, { active: false }).then(() => done.push('off'))
      await expect.poll(waiting).toBe(2)
      return [[acting], [changing]] as const
    })
    await Promise.all([...acting, ...changing])
    expect([done, await repliesIn()]).toEqual([['acted', 'off'], ['in time']])
  })
})

it('rules that run while everything else goes on end in no deadlock, leave no number out and miss nothing', async () => {
  const threads = await Promise.all(Array.from({ length: 6 }, () => tenant.thread()))
  const always = await make({
    position: 0,
    actions: [
      { type: 'add_tag', value: 'x' },
      { type: 'assign', user_id: tenant.agent.user.publicId },
      { type: 'reply', text: 'counted' },
    ],
  })
  await make({ position: 1, trigger: 'conversation.opened', ...reply('welcome') })
  const restless = await make({
    position: 2,
    actions: [
      { type: 'set_status', value: 'closed' },
      { type: 'assign', user_id: null },
    ],
  })
  const pick = <T>(of: T[]): T => {
    const picked = of[Math.floor(Math.random() * of.length)]
    if (picked === undefined) throw new Error('nothing to pick')
    return picked
  }
  let said = 0
  const acts: (() => Promise<unknown>)[] = [
    async () => {
      await say('hi', pick(threads))
      said += 1
    },
    () => sendMessage(context, tenant.agent, pick(threads).conversation, { content: 'a', kind: 'agent' }),
    () =>
      updateConversation(context, tenant.agent, pick(threads).conversation, {
        status: pick(['open', 'closed']),
        tags: [],
        assigned_user_id: pick([null, tenant.agent.user.publicId]),
      }),
    () => openConversation(context, tenant.agent, { visitor_id: pick(threads).contact, content: 'hi' }),
    () => change(restless, { active: pick([true, false]), position: pick([2, 3]) }),
    async () => deleteRule(context, tenant.agent, await make({ position: 4, ...tag('short-lived') })),
  ]
  const end = Date.now() + 3000
  const writing = Array.from({ length: 6 }, async () => {
    while (Date.now() < end) await pick(acts)()
  })
  const running = [1, 2].map(async () => {
    while (Date.now() < end) await runRules(context, report)
  })
  await Promise.all([...writing, ...running])
  await settle()
  expect(lines).toEqual([])
  expect(await runsOf(always)).toBe(said)
  const [numbers] = await context.sql`
    select count(*)::int as rows, max(seq)::int as newest, count(distinct seq)::int as different,
           (select count(*)::int from messages m where m.workspace_id = e.workspace_id and content = 'counted') as counted
      from events e where workspace_id = ${tenant.workspace.id} group by workspace_id`
  const head = await headOf()
  expect(numbers).toEqual({ rows: head, newest: head, different: head, counted: said })
  const torn = await context.sql`
    select c.public_id from conversations c join events e on e.conversation_id = c.id
     where c.workspace_id = ${tenant.workspace.id}
     group by c.id having count(*) <> max(c.seq) or max(e.conversation_seq) <> max(c.seq) or max(e.public_seq) <> max(c.public_seq)`
  expect(torn).toEqual([])
})
