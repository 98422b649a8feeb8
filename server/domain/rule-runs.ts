/** Running automation rules: a follower of the log, in which each rule acts on each event once at most. */

import { setTimeout as pause } from 'node:timers/promises'
import { isUnavailable, type Sql, type Tx } from '../db/sql.ts'
import type { Context, Workspace } from './context.ts'
import { type FollowedEvent, followLog, skipLog } from './log-followers.ts'
import { conditionsHold, type RuleSubject, triggerOf } from './rule-conditions.ts'
import { type ActiveRule, actOnce, type LogLine, readSubject, type Trigger } from './rule-effects.ts'

/** Where it is told what was left out: a logger. */
export type RunReport = { warn: LogLine; error: LogLine }

// The transaction that moves the follower on stays open while rules act: few at a time.
const batch = 50

/** Returns whether there are events that a rule has not seen. */
export const areRulesBehind = async (sql: Sql): Promise<boolean> => {
  const [found] = await sql`
    select from log_followers f join workspace_heads h on h.workspace_id = f.workspace_id
     where f.follower = 'rules' and f.seq < h.seq
       and exists (select from automation_rules r where r.workspace_id = f.workspace_id and r.active)
     limit 1`
  return found !== undefined
}

/** Passes over what happened in workspaces without an active rule. */
export const passOverRuleless = async (sql: Sql): Promise<void> =>
  await skipLog(
    sql,
    'rules',
    sql`not exists (select from automation_rules r where r.workspace_id = f.workspace_id and r.active)`,
  )

/** Runs the rules of one workspace on what happened next there; returns whether there was any such workspace. */
export const runRules = async (context: Context, report: RunReport): Promise<boolean> =>
  await followLog(
    context.sql,
    'rules',
    (tx, workspace, events) => runRulesOn(context, { tx, workspace, events, report }),
    { limit: batch },
  )

/**
 * Forgets that rules acted longer ago than so many days, a slice at a time, and returns how often they had. What the
 * follower has yet to pass is kept: whoever comes to it again must know.
 */
export const forgetOldRuns = async (
  sql: Sql,
  { days, slice = 1000, isStopped = () => false }: { days: number; slice?: number; isStopped?: () => boolean },
): Promise<number> => {
  let removed = 0
  for (let count = slice; count === slice && !isStopped(); removed += count) {
    const result = await sql`
      delete from rule_runs n
       using (select o.rule_id, o.event_seq
                from rule_runs o
                join automation_rules r on r.id = o.rule_id
                join log_followers f on f.follower = 'rules' and f.workspace_id = r.workspace_id
               where o.at < clock_timestamp() - make_interval(days => ${days}) and o.event_seq <= f.seq
               order by o.at limit ${slice}) old
       where n.rule_id = old.rule_id and n.event_seq = old.event_seq`
    count = result.count
  }
  return removed
}

type Run = { tx: Tx; workspace: Workspace; events: FollowedEvent[]; report: RunReport }

const runRulesOn = async (context: Context, { tx, workspace, events, report }: Run): Promise<void> => {
  const triggers = events.flatMap((event) => {
    const kind = triggerOf(event)
    return kind ? [{ kind, event }] : []
  })
  if (triggers.length === 0) return
  // Read after the events: a rule that was there before one of them is seen.
  const rules = await readActiveRules(tx, workspace)
  if (rules.length === 0) return
  const last = await readLastRun(tx, workspace, events)
  const broken = new Set<number>()
  for (const { kind, event } of triggers) {
    const due = rules.filter(
      (rule) => rule.trigger === kind && rule.createdSeq < event.seq && isAfter(rule, event, last),
    )
    if (due.length > 0) await runInOrder(context, { workspace, event, rules: due, broken, report })
  }
}

/** The last of a batch that a rule has acted on, and which one it was. */
type LastRun = { eventSeq: number; position: number; id: number }

// What comes before the last run was decided before it, by a process that died then; to decide it again would be to
// look at a conversation that later rules have changed.
const isAfter = ({ position, id }: ActiveRule, { seq }: FollowedEvent, last: LastRun | undefined): boolean =>
  last === undefined ||
  seq > last.eventSeq ||
  (seq === last.eventSeq && (position > last.position || (position === last.position && id > last.id)))

const runInOrder = async (
  context: Context,
  {
    workspace,
    event,
    rules,
    broken,
    report,
  }: Omit<Trigger, 'conversation'> & { rules: ActiveRule[]; broken: Set<number>; report: RunReport },
): Promise<void> => {
  const facts = { workspace: workspace.publicId, event: event.id }
  const { conversation } = event
  let subject: RuleSubject | undefined
  for (const rule of rules) {
    if (conversation) subject ??= await readSubject(context.sql, { workspace, event, conversation })
    if (!conversation || !subject) {
      report.warn(facts, 'the conversation is gone: no automation rule acts on this event')
      return
    }
    if (!conditionsHold(rule.conditions, subject)) continue
    const named = { ...facts, rule: rule.publicId }
    const trigger = { workspace, event, conversation }
    const act = () => actOnce(context, trigger, rule, (more, line) => report.warn({ ...named, ...more }, line))
    const failure = await patiently(act, broken.has(rule.id) ? [] : pauses)
    if (failure) {
      broken.add(rule.id)
      report.error({ ...named, err: failure.error }, 'an automation rule has failed; it is left out for this event')
    }
    // The next rule sees what this one has done.
    subject = undefined
  }
}

// How long in ms it is waited before each further attempt; a rule that failed in spite of them gets no more in its batch.
const pauses = [50, 250]

// Whatever else a rule meets is not to keep the others from acting; a database that is not there keeps all of them.
const patiently = async (
  act: () => Promise<void>,
  [wait, ...later]: number[],
): Promise<{ error: unknown } | undefined> => {
  try {
    await act()
    return undefined
  } catch (error) {
    if (isUnavailable(error)) throw error
    if (wait === undefined) return { error }
    await pause(wait)
    return await patiently(act, later)
  }
}

const readActiveRules = async (tx: Tx, { id }: Workspace): Promise<ActiveRule[]> =>
  await tx<ActiveRule[]>`
    select id, public_id as "publicId", trigger, conditions, actions, position, created_seq as "createdSeq"
      from automation_rules where workspace_id = ${id} and active order by position, id`

const readLastRun = async (tx: Tx, { id }: Workspace, events: FollowedEvent[]): Promise<LastRun | undefined> => {
  const [last] = await tx<LastRun[]>`
    select n.event_seq as "eventSeq", r.position, r.id
      from rule_runs n join automation_rules r on r.id = n.rule_id
     where r.workspace_id = ${id} and n.event_seq between ${events[0]?.seq ?? 0} and ${events.at(-1)?.seq ?? 0}
     order by n.event_seq desc, r.position desc, r.id desc limit 1`
  return last
}
