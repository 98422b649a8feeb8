/** What a subscriber missed: the events of its channel after the last one it saw, or why they cannot be told. */

import type { LoggedEvent } from '../../schema/events.ts'
import { type Missed, type MissedRequest, maxReplay } from '../../schema/recovery.ts'
import type { Fragment, Sql } from '../db/sql.ts'
import { conversationOf, loggedEventColumns } from './facts.ts'

/**
 * Reads what a channel told after `since`, which counts the events of the workspace, or on a visitor's channel those
 * that the visitor hears. A channel that does not exist has told nothing yet.
 */
export const readMissed = async (sql: Sql, request: MissedRequest): Promise<Missed> => {
  const { workspace, channel, since } = request
  const { place, walk, number, isCut, isWhole } = readings[channel.audience](sql, request)
  const rows = await sql<Row[]>`
    with place as (
      select p.*, ${since}::bigint as since from (${place}) p
    ), walked as materialized (
      select e.*, e.${sql(number)} as number from place cross join lateral (${walk}) e
    ), missed as (
      select walked.*, ${workspace}::text as workspace, ${sql.unsafe(conversationOf('walked'))} as conversation
        from place cross join walked
       where walked.number > place.since
    ), size as (
      select count(*) as count, coalesce(sum(octet_length(payload::text)), 0) as bytes from missed
    ), verdict as materialized (
      select place.head,
             case when place.since > place.head then 'invalid'
                  when ${isCut} then 'too_many'
                  when not ${isWhole} then 'expired'
                  when size.count > ${maxReplay.events} or size.bytes > ${maxReplay.bytes} then 'too_many'
              end as failure
        from place cross join size
    )
    select verdict.head, verdict.failure, ${sql.unsafe(loggedEventColumns('e.workspace'))}
      from verdict left join missed e on verdict.failure is null
     order by e.seq`
  const [found] = rows
  if (!found) return since === 0 ? { events: [], head: 0 } : { failure: 'invalid', head: 0 }
  const { failure, head } = found
  return failure === null ? { events: rows.filter(isEvent).map(toEvent), head } : { failure, head }
}

/** A missed event beside the verdict; where there is none to tell, the verdict stands alone. */
type Verdict = { head: number; failure: 'expired' | 'invalid' | 'too_many' | null }
type Row = Verdict & (LoggedEvent | { seq: null })

const isEvent = (row: Row): row is Verdict & LoggedEvent => row.seq !== null

const toEvent = ({ head: _h, failure: _f, ...event }: Verdict & LoggedEvent): LoggedEvent => event

/**
 * How the log is read for a channel: `place` selects (workspace_id, id, head), the rows and the number of the newest
 * event, which `number` names; `walk` the events from the log. `isCut`: the walk ended before all was found;
 * `isWhole`: else, nothing is missing of what was found.
 */
type Reading = { place: Fragment; walk: Fragment; number: 'seq' | 'public_seq'; isCut: Fragment; isWhole: Fragment }

const bounds = { site: 50_000, conv: maxReplay.events + 2, visitor: 5000 } as const

// All after `since` is still in the log: its oldest event is the next one, or older.
const isKept = (sql: Sql): Fragment => sql`
  coalesce((select o.seq from events o where o.workspace_id = place.workspace_id order by o.seq limit 1), place.head + 1)
    <= place.since + 1`

const orgReading = (sql: Sql, { workspace, channel }: MissedRequest): Reading => ({
  place: sql`
    select o.id as workspace_id, o.id, h.seq as head from workspaces o join workspace_heads h on h.workspace_id = o.id
     where o.public_id = ${workspace} and o.public_id = ${channel.id}`,
  walk: sql`
    select * from events where workspace_id = place.workspace_id and seq > place.since
     order by seq limit ${maxReplay.events + 1}`,
  number: 'seq',
  isCut: sql`false`,
  isWhole: sql`(${isKept(sql)})`,
})

// The few events of a site are found among those of the workspace.
const siteReading = (sql: Sql, { workspace, channel }: MissedRequest): Reading => ({
  place: sql`
    select o.id as workspace_id, w.id, h.seq as head
      from sites w join workspaces o on o.id = w.workspace_id join workspace_heads h on h.workspace_id = o.id
     where o.public_id = ${workspace} and w.public_id = ${channel.id}`,
  walk: sql`
    select * from events
     where workspace_id = place.workspace_id and seq > place.since and site_id = place.id
       and place.head - place.since <= ${bounds.site}
     order by seq limit ${maxReplay.events + 1}`,
  number: 'seq',
  isCut: sql`place.head - place.since > ${bounds.site}`,
  isWhole: sql`(${isKept(sql)})`,
})

// From the newest back to one that was seen, or to the conversation's first: then none can lie between.
const convReading = (sql: Sql, { workspace, channel }: MissedRequest): Reading => {
  const isReached = sql`
    coalesce((select bool_or(number <= place.since or conversation_seq = 1) from walked), false)`
  return {
    place: sql`
      select o.id as workspace_id, c.id, h.seq as head
        from conversations c join workspaces o on o.id = c.workspace_id join workspace_heads h on h.workspace_id = o.id
       where o.public_id = ${workspace} and c.public_id = ${channel.id}`,
    walk: sql`
      select * from events where conversation_id = place.id
       order by conversation_seq desc limit greatest(0, least(${bounds.conv}, place.head - place.since + 1))`,
    number: 'seq',
    isCut: sql`(not ${isReached} and (select count(*) from walked) >= ${bounds.conv})`,
    isWhole: sql`(${isReached} or ${isKept(sql)})`,
  }
}

// The visitor's numbers are dense: as many as are missing must be found.
const visitorReading = (sql: Sql, { workspace, channel }: MissedRequest): Reading => {
  const newest = sql`
    select * from events where conversation_id = place.id order by conversation_seq desc limit ${bounds.visitor}`
  const isTooFar = sql`place.head - place.since > ${maxReplay.events}`
  return {
    place: sql`
      select o.id as workspace_id, c.id, c.public_seq as head
        from conversations c join workspaces o on o.id = c.workspace_id
       where o.public_id = ${workspace} and c.public_id = ${channel.id}`,
    walk: sql`
      select n.* from (${newest}) n where n.public_seq > place.since
       order by n.conversation_seq desc
       limit case when ${isTooFar} then 0 else greatest(0, place.head - place.since) end`,
    number: 'public_seq',
    isCut: sql`
      (${isTooFar} or (size.count < place.head - place.since
        and (select count(*) from (${newest}) n) >= ${bounds.visitor}))`,
    isWhole: sql`size.count = place.head - place.since`,
  }
}

const readings = { org: orgReading, site: siteReading, conv: convReading, visitor: visitorReading }
