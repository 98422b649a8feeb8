/** Automation rules: the workspace's own, made and changed by its staff. What they do is in rule-runs.ts. */

import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import {
  type AutomationRule,
  type CreateAutomationRule,
  type ListAutomationRules,
  maxRules,
  type RuleAction,
  type UpdateAutomationRule,
} from '../../schema/muro/automation-rules.ts'
import type { Queryable, Tx } from '../db/sql.ts'
import type { AgentScope, Context, Workspace } from './context.ts'
import { isoTime } from './facts.ts'
import { type Claim, recordOnce, type Settled } from './idempotency.ts'
import { newId } from './ids.ts'
import { type Page, readCursor, writeCursor } from './walks.ts'

/** A rule as it is shown, before a face says what it is. */
export type RuleFacts = Omit<AutomationRule, 'object'>

const ruleFacts = `
  json_build_object(
    'id', r.public_id, 'name', r.name, 'trigger', r.trigger, 'conditions', r.conditions, 'actions', r.actions,
    'active', r.active, 'position', r.position,
    'created_at', ${isoTime('r.created_at')}, 'updated_at', ${isoTime('r.updated_at')})`

/** Returns the workspace whose rules a scope may see and change; a scope of one site may not: rules act on all sites. */
export const ruledWorkspace = ({ workspace, site }: Pick<AgentScope, 'workspace' | 'site'>): Workspace => {
  if (site === null) return workspace
  throw new HubbubError('forbidden', 'Automation rules are of the whole workspace; this API key is pinned to one site.')
}

/** Returns a page of the rules, in the order in which they run. */
export const listRules = async (
  { sql }: Context,
  scope: AgentScope,
  { cursor, limit }: ListAutomationRules,
): Promise<Page<RuleFacts>> => {
  const { id } = ruledWorkspace(scope)
  // A place in this list is two numbers: the position of the last rule that was shown, and its row.
  const { head: position, position: row } =
    cursor === undefined ? { head: null, position: null } : readCursor(list, cursor)
  const found = await sql<{ id: number; position: number; facts: RuleFacts }[]>`
    select r.id, r.position, ${sql.unsafe(ruleFacts)} as facts
      from automation_rules r
     where r.workspace_id = ${id}
       and (${position}::bigint is null or (r.position, r.id) > (${position}::bigint, ${row}::bigint))
     order by r.position, r.id limit ${limit + 1}`
  const page = found.slice(0, limit)
  const last = page.at(-1)
  return {
    data: page.map(({ facts }) => facts),
    nextCursor: found.length > limit && last ? writeCursor({ list, head: last.position, position: last.id }) : null,
  }
}

const list = 'automation-rules'

/** Returns one rule. */
export const readRule = async ({ sql }: Context, scope: AgentScope, id: string): Promise<RuleFacts> =>
  await findRule(sql, ruledWorkspace(scope), id)

/** Makes a rule; it acts on what happens from now on. */
export const createRule = async (
  context: Context,
  scope: AgentScope,
  input: CreateAutomationRule,
  claim?: Claim,
): Promise<Settled<RuleFacts>> => {
  const workspace = ruledWorkspace(scope)
  const { name, trigger, conditions, actions, active, position = null } = input
  const create = async (tx: Tx): Promise<RuleFacts> => {
    await checkAssignees(tx, workspace, actions)
    await makeRoom(tx, workspace)
    const [made] = await tx<{ facts: RuleFacts }[]>`
      insert into automation_rules as r (public_id, workspace_id, name, trigger, conditions, actions, active, position,
                                         created_seq)
      select ${newId('rule')}, h.workspace_id, ${name}, ${trigger}, ${asJson(conditions)}::text::json,
             ${asJson(actions)}::text::json, ${active},
             coalesce(${position}::integer, (
               select least(coalesce(max(o.position) + 1, 0), ${lastPosition}) from automation_rules o
                where o.workspace_id = h.workspace_id)),
             h.seq
        from workspace_heads h where h.workspace_id = ${workspace.id}
      returning ${tx.unsafe(ruleFacts)} as facts`
    if (!made) throw new Error(`workspace ${workspace.publicId} has no head`)
    return made.facts
  }
  return await recordOnce(context, claim, create, () => undefined)
}

// A rule that comes after one at the last position has the same: of two that are equal the older runs first.
const lastPosition = 1_000_000

/**
 * Changes a rule; what stays the same is no change. One that is switched on again acts on what happens from then on, not
 * on what it has missed.
 */
export const updateRule = async (
  { sql }: Context,
  scope: AgentScope,
  id: string,
  { name, trigger, conditions, actions, active, position }: UpdateAutomationRule,
): Promise<RuleFacts> => {
  const workspace = ruledWorkspace(scope)
  await findRule(sql, workspace, id)
  if (actions) await checkAssignees(sql, workspace, actions)
  const next = sql`
    coalesce(${name ?? null}, r.name), coalesce(${trigger ?? null}, r.trigger),
    coalesce(${asJson(conditions)}, r.conditions::text), coalesce(${asJson(actions)}, r.actions::text),
    coalesce(${position ?? null}::integer, r.position), coalesce(${active ?? null}::boolean, r.active)`
  // One statement, so that of two patches at once neither takes back what the other changed.
  const [changed] = await sql<{ facts: RuleFacts }[]>`
    update automation_rules r set
           name = coalesce(${name ?? null}, r.name),
           trigger = coalesce(${trigger ?? null}, r.trigger),
           conditions = coalesce(${asJson(conditions)}::text::json, r.conditions),
           actions = coalesce(${asJson(actions)}::text::json, r.actions),
           position = coalesce(${position ?? null}::integer, r.position),
           active = coalesce(${active ?? null}::boolean, r.active),
           created_seq = case when ${active ?? null}::boolean and not r.active then h.seq else r.created_seq end,
           updated_at = case when (r.name, r.trigger, r.conditions::text, r.actions::text, r.position, r.active)
                                  = (${next}) then r.updated_at else clock_timestamp() end
      from workspace_heads h
     where h.workspace_id = r.workspace_id and r.workspace_id = ${workspace.id} and r.public_id = ${id}
    returning ${sql.unsafe(ruleFacts)} as facts`
  if (!changed) throw noRule()
  return changed.facts
}

/** Deletes a rule. Once this is done it acts no more. */
export const deleteRule = async ({ sql }: Context, scope: AgentScope, id: string): Promise<void> => {
  const { id: workspaceId } = ruledWorkspace(scope)
  const { count } = isId('rule', id)
    ? await sql`delete from automation_rules where workspace_id = ${workspaceId} and public_id = ${id}`
    : { count: 0 }
  if (count === 0) throw noRule()
}

const findRule = async (sql: Queryable, workspace: Workspace, id: string): Promise<RuleFacts> => {
  const [found] = isId('rule', id)
    ? await sql<{ facts: RuleFacts }[]>`
        select ${sql.unsafe(ruleFacts)} as facts
          from automation_rules r where r.workspace_id = ${workspace.id} and r.public_id = ${id}`
    : []
  if (!found) throw noRule()
  return found.facts
}

const noRule = () => new HubbubError('not_found', 'No such automation rule.')

const checkAssignees = async (sql: Queryable, workspace: Workspace, actions: RuleAction[]): Promise<void> => {
  const wanted = actions.flatMap((action) => (action.type === 'assign' && action.user_id ? [action.user_id] : []))
  if (wanted.length === 0) return
  const rows = await sql<{ id: string }[]>`
    select public_id as id from users where workspace_id = ${workspace.id} and public_id = any(${wanted})`
  const known = new Set(rows.map(({ id }) => id))
  for (const [index, action] of actions.entries()) {
    if (action.type !== 'assign' || action.user_id === null || known.has(action.user_id)) continue
    const param = `actions.${index}.user_id`
    throw new HubbubError('invalid', `${param}: no such user in this workspace`, { param })
  }
}

// Whoever makes a rule waits here for the others, so that they count one after the other.
const makeRoom = async (tx: Tx, { id }: Workspace): Promise<void> => {
  await tx`select from workspaces where id = ${id} for no key update`
  const [rules] = await tx<{ count: number }[]>`
    select count(*) as count from automation_rules where workspace_id = ${id}`
  if (rules && rules.count >= maxRules) {
    throw new HubbubError('conflict', `This workspace has ${maxRules} automation rules, which is the most; delete one.`)
  }
}

// As a text: the driver's json() is jsonb, which forgets the order of keys, and rules are shown as they were made.
const asJson = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value))
