/** Automation rules in a test: makes them, lets things happen and the rules run, and reads what they have done. */

import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import { decodeStreamEvent, type StreamEvent } from '../../schema/events.ts'
import { createAutomationRule, type UpdateAutomationRule } from '../../schema/muro/automation-rules.ts'
import { createRule, updateRule } from '../../server/domain/automation-rules.ts'
import type { Context } from '../../server/domain/context.ts'
import { openConversation } from '../../server/domain/conversations.ts'
import { receiveMessage } from '../../server/domain/messages.ts'
import { runRules } from '../../server/domain/rule-runs.ts'
import { beginConversation } from '../../server/domain/site-visitors.ts'
import { findSiteByKey } from '../../server/domain/sites.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { makeTenant, type Tenant, type Thread } from '../support/tenant.ts'

export let context: Context
export let tenant: Tenant
export let thread: Thread
/** What was published on the bus. */
export const told: StreamEvent[] = []
/** What the log of the program was told. */
export let lines: { level: 'warn' | 'error'; line: string; facts: Record<string, unknown> }[]

/** Gives the file a database, and each of its tests a workspace with a conversation. */
export const prepareRules = (): void => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await freshDatabase({ max: 24 })
    const publish = (_subject: string, message: string) => {
      const event = decodeStreamEvent(message)
      if (event) told.push(event)
    }
    context = { sql: database.sql, bus: { publish } }
  })
  afterAll(() => database.close())
  beforeEach(async () => {
    tenant = await makeTenant(context)
    thread = await tenant.thread()
    lines = []
    told.length = 0
  })
  // Nothing that a test leaves is a later one's.
  afterEach(() => database.sql`update automation_rules set active = false`)
}

export const report = {
  warn: (facts: Record<string, unknown>, line: string) => lines.push({ level: 'warn', line, facts }),
  error: (facts: Record<string, unknown>, line: string) => lines.push({ level: 'error', line, facts }),
}

/** Makes a rule; on messages of visitors, always, unless it says otherwise. */
export const make = async (rule: Record<string, unknown>, of = tenant) => {
  const input = createAutomationRule.parse({ name: 'Rule', trigger: 'message.created', ...rule })
  return (await createRule(context, of.agent, input)).answer.id
}
/** Changes a rule. */
export const change = (id: string, patch: UpdateAutomationRule) => updateRule(context, tenant.agent, id, patch)
/** One condition. */
export const when = (field: string, op: string, value?: string) => ({ conditions: { items: [{ field, op, value }] } })
/** One action, which replies. */
export const reply = (text: string) => ({ actions: [{ type: 'reply', text }] })
/** One action, which adds a tag. */
export const tag = (value: string) => ({ actions: [{ type: 'add_tag', value }] })
/** One action, which sets the status. */
export const setStatus = (value: string) => ({ actions: [{ type: 'set_status', value }] })

/** Lets rules run until there is nothing left to do. */
export const settle = async () => {
  while (await runRules(context, report));
}
/** Says something as the visitor. */
export const say = (content: string, to = thread) => receiveMessage(context, to.visitor, content)
/** Says something as the visitor, and lets rules run. */
export const saysAndSettles = async (content: string, to = thread) => {
  await say(content, to)
  await settle()
}
/** Begins a conversation as a visitor; returns its id. */
export const visit = async (message: string, email = 'vita@example.com') => {
  const site = await findSiteByKey(context.sql, tenant.site.site_key)
  if (!site) throw new Error('no site')
  const { conversation } = await beginConversation(context, site, {
    name: 'Vita',
    email,
    message,
    visitorToken: `token ${Math.random()}`,
  })
  return conversation
}
/** Opens a conversation as an agent; returns its id. */
export const open = async (content?: string) =>
  (await openConversation(context, tenant.agent, { visitor_id: thread.contact, ...(content ? { content } : {}) }))
    .answer.id

/** Returns the number of the last event. */
export const headOf = async (of = tenant) => {
  const [head] = await context.sql<{ seq: number }[]>`
    select seq from workspace_heads where workspace_id = ${of.workspace.id}`
  return head?.seq ?? 0
}
/** Returns what was logged after a number. */
export const eventsAfter = async (seq: number, of = tenant) =>
  await context.sql<{ type: string; payload: Record<string, unknown>; conversation_seq: number }[]>`
    select type, payload, conversation_seq from events where workspace_id = ${of.workspace.id} and seq > ${seq} order by seq`
/** Returns what rules have said in a conversation. */
export const repliesIn = async (conversation = thread.conversation) => {
  const rows = await context.sql<{ content: string }[]>`
    select m.content from messages m join conversations c on c.id = m.conversation_id
     where c.public_id = ${conversation} and m.sender_type = 'agent' and m.sender_id is null order by m.conversation_seq`
  return rows.map(({ content }) => content)
}
/** Returns what rules change about a conversation. */
export const stateOf = async (conversation = thread.conversation) => {
  const [row] = await context.sql<{ state: string; tags: string[]; assignee: string | null }[]>`
    select c.state, to_json(c.tags) as tags, u.public_id as assignee
      from conversations c left join users u on u.id = c.assignee_id where c.public_id = ${conversation}`
  if (!row) throw new Error('no such conversation')
  return row
}
/** Returns how often a rule has acted. */
export const runsOf = async (rule: string) => {
  const [row] = await context.sql<{ runs: number }[]>`
    select count(*) as runs from rule_runs n join automation_rules r on r.id = n.rule_id where r.public_id = ${rule}`
  return row?.runs ?? 0
}
