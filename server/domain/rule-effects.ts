/** What an automation rule does: all its actions in one transaction, with the row that keeps it from acting twice. */

import { type ConversationState, shownStatus } from '../../schema/ids.ts'
import type { RuleAction, RuleConditions, RuleTrigger } from '../../schema/muro/automation-rules.ts'
import type { Queryable, Tx } from '../db/sql.ts'
import { appendMessage } from './append.ts'
import type { Context, Workspace } from './context.ts'
import type { FollowedEvent } from './log-followers.ts'
import { record } from './record.ts'
import { conditionsHold, type RuleSubject, subjectOf } from './rule-conditions.ts'
import { changeConversation, type TriagePatch } from './triage.ts'

/** A rule that is on. Events up to `createdSeq` are not its. */
export type ActiveRule = {
  id: number
  publicId: string
  trigger: RuleTrigger
  conditions: RuleConditions
  actions: RuleAction[]
  position: number
  createdSeq: number
}

/** What triggered a rule. */
export type Trigger = { workspace: Workspace; event: FollowedEvent; conversation: string }

/** Writes a line about what was left out. */
export type LogLine = (facts: Record<string, unknown>, line: string) => void

/** Reads how things are now, for conditions to look at; undefined where the conversation is gone. */
export const readSubject = async (
  sql: Queryable,
  { workspace, event, conversation }: Trigger,
): Promise<RuleSubject | undefined> => {
  // What it was opened with is as old as the conversation: an empty one may have been answered meanwhile, by a rule too.
  const [row] = await sql<
    {
      state: ConversationState
      tags: string[]
      url: string | null
      email: string | null
      name: string | null
      website: string
      opening: string | null
    }[]
  >`
    select c.state, to_json(c.tags) as tags, c.url, v.email, v.name, w.public_id as website,
           (select m.content from messages m
             where ${event.type === 'conversation.opened'} and m.conversation_id = c.id
               and m.sender_type in ('visitor', 'agent') and m.created_at = c.created_at
             order by m.conversation_seq limit 1) as opening
      from conversations c join contacts v on v.id = c.contact_id join sites w on w.id = c.site_id
     where c.workspace_id = ${workspace.id} and c.public_id = ${conversation}`
  if (!row) return undefined
  const { content } = event.payload
  return subjectOf({
    content: typeof content === 'string' ? content : row.opening,
    'contact.email': row.email,
    'contact.name': row.name,
    url: row.url,
    status: shownStatus(row.state),
    tags: row.tags,
    website_id: row.website,
  })
}

/**
 * Lets a rule act, unless it has acted on this event, was switched off or changed so that it does not apply any more.
 * The changes to the conversation are told as one, then come the replies. Locks the rule, which is changed and deleted
 * only when this is done, then the conversation, then the workspace's head.
 */
export const actOnce = async (
  context: Context,
  trigger: Trigger,
  found: Pick<ActiveRule, 'id' | 'trigger'>,
  warn: LogLine,
): Promise<void> =>
  await record(context, async (tx, log) => {
    const rule = await takeRun(tx, trigger, found)
    if (!rule) return
    await lockConversation(tx, trigger)
    const subject = await readSubject(tx, trigger)
    if (!subject || !conditionsHold(rule.conditions, subject)) return
    const { workspace, conversation } = trigger
    const reach = { workspace, site: null }
    const patch = await patchOf(tx, workspace, rule.actions, warn)
    if (Object.keys(patch).length > 0) await changeConversation(tx, log, reach, conversation, patch)
    for (const action of rule.actions) {
      if (action.type !== 'reply') continue
      const reply = {
        ...reach,
        conversation,
        senderType: 'agent',
        senderId: null,
        author: null,
        contactId: null,
        content: action.text,
        clientId: null,
      } as const
      log.adopt(await appendMessage(tx, reply, undefined))
    }
  })

// The rule as it is now. Another that is about to act on the same event is waited for: then the row is there.
const takeRun = async (
  tx: Tx,
  { workspace, event }: Trigger,
  { id, trigger }: Pick<ActiveRule, 'id' | 'trigger'>,
): Promise<Pick<ActiveRule, 'conditions' | 'actions'> | undefined> => {
  const [rule] = await tx<Pick<ActiveRule, 'conditions' | 'actions'>[]>`
    with held as (
      select r.id, r.conditions, r.actions
        from automation_rules r
       where r.id = ${id} and r.workspace_id = ${workspace.id} and r.active and r.trigger = ${trigger}
         and r.created_seq < ${event.seq}
         for share
    ), run as (
      insert into rule_runs (rule_id, event_seq) select held.id, ${event.seq} from held
      on conflict do nothing returning rule_id
    )
    select held.conditions, held.actions from held join run on run.rule_id = held.id`
  return rule
}

// Before it is read: a merge that was waited for has given it another contact.
const lockConversation = async (tx: Tx, { workspace, conversation }: Trigger): Promise<void> => {
  await tx`
    select from conversations
     where workspace_id = ${workspace.id} and public_id = ${conversation} for no key update`
}

const patchOf = async (tx: Tx, workspace: Workspace, actions: RuleAction[], warn: LogLine): Promise<TriagePatch> => {
  const patch: TriagePatch = {}
  for (const action of actions) {
    if (action.type === 'add_tag') patch.add_tags = [...(patch.add_tags ?? []), action.value]
    if (action.type === 'set_status') patch.status = action.value
    if (action.type === 'assign') {
      const { user_id } = action
      if (user_id === null || (await isUser(tx, workspace, user_id))) patch.assigned_user_id = user_id
      else warn({ user: user_id }, 'an automation rule assigns to nobody: there is no such user any more')
    }
  }
  return patch
}

const isUser = async (tx: Tx, { id }: Workspace, user: string): Promise<boolean> => {
  const [found] = await tx`select from users where workspace_id = ${id} and public_id = ${user}`
  return found !== undefined
}
