/** Claiming: a process takes deliveries that are due, for as long as an attempt may last, and no other has them. */

import { type Sql, type Tx, transact } from '../db/sql.ts'
import { now } from './clock.ts'
import { queues, walkIndexes } from './waiting.ts'

/** A delivery that is ours until `lease`; `secrets` are all that sign now, the current one first. */
export type Claimed = {
  id: number
  endpointId: number
  workspaceId: number
  url: string
  secrets: string[]
  eventId: string
  eventType: string
  body: string
  lease: string
}

/** How many attempts a process makes at once: in all, for one workspace, one webhook, and one webhook that fails. */
export const atOnce = { all: 64, workspace: 32, webhook: 8, failing: 2 } as const

/** How long a delivery is ours, in seconds: longer than an attempt can last. */
export const leaseSeconds = 15

// How far a webhook's first attempts are looked through. The oldest of them is never held back by another, so there is
// always one that can go or is under way.
const reach = 500

/**
 * Takes deliveries that are due, at most `slots`, beside those that are `underWay` in this process. Each webhook gets its
 * turn, and so does each workspace. A first attempt waits until all earlier events of its conversation have had theirs;
 * later attempts hold nothing back and wait for nothing. An attempt whose process has ended is put down as lost.
 */
export const claimDeliveries = async (
  sql: Sql,
  options: { slots: number; underWay: readonly Pick<Claimed, 'endpointId' | 'workspaceId'>[]; ahead: number },
): Promise<Claimed[]> =>
  await transact(sql, async (tx) => {
    await walkIndexes(tx)
    return await take(tx, options)
  })

const take = async (tx: Tx, { slots, underWay, ahead }: Parameters<typeof claimDeliveries>[1]): Promise<Claimed[]> => {
  const time = now(tx, ahead)
  const isFree = tx`(d.lease_until is null or d.lease_until <= ${time})`
  return await tx<Claimed[]>`
    with recursive ${queues(tx)}, under_way as materialized (
      select u.* from json_to_recordset(${JSON.stringify(underWay)}::text::json)
                        u ("endpointId" bigint, "workspaceId" bigint)
    ), waiting as materialized (
      select w.* from (
        select w.id, w.workspace_id,
               case when w.failing_since is null then ${atOnce.webhook}::int else ${atOnce.failing}::int end
                 - (select count(*) from under_way u where u."endpointId" = w.id) as room,
               ${atOnce.workspace}::int
                 - (select count(*) from under_way u where u."workspaceId" = w.workspace_id) as share
          from webhook_endpoints w
         where w.enabled and w.id in (select endpoint_id from first_ones union select endpoint_id from later_ones)) w
       where w.room > 0 and w.share > 0
       order by random() limit ${slots}
    ), due as materialized (
      select d.id, w.share, row_number() over (partition by w.workspace_id order by d.place, random()) as turn
        from waiting w cross join lateral (
          select d.id, row_number() over (order by d.next_attempt_at, d.id) as place
            from (
              (select d.id, d.next_attempt_at
                 from (select o.*, row_number() over (partition by coalesce(o.conversation_id, -o.id)
                                                      order by o.event_seq nulls first, o.id) as place
                         from (select d.id, d.conversation_id, d.event_seq, d.next_attempt_at, d.lease_until
                                 from webhook_deliveries d
                                where d.endpoint_id = w.id and d.state = 'pending' and d.attempts = 0
                                order by d.event_seq nulls first limit ${reach}) o) d
                where d.place = 1 and ${isFree}
                order by d.next_attempt_at limit w.room)
              union all
              (select d.id, d.next_attempt_at
                 from webhook_deliveries d
                where d.endpoint_id = w.id and d.state = 'pending' and d.attempts > 0
                  and d.next_attempt_at <= ${time} and ${isFree}
                order by d.next_attempt_at limit w.room)
            ) d
           order by d.next_attempt_at, d.id limit w.room
        ) d
    ), taken as materialized (
      select d.id, d.lease_until
        from due join webhook_deliveries d on d.id = due.id
       where due.turn <= due.share and d.state = 'pending' and d.body is not null and ${isFree}
       order by due.turn, random() limit ${slots}
         for update of d skip locked
    ), lost as (
      insert into webhook_attempts (delivery_id, at, duration_ms, failure, message)
      select t.id, t.lease_until - make_interval(secs => ${leaseSeconds}), ${leaseSeconds * 1000}::int, 'lost',
             'the process that made this attempt has ended; it is made again'
        from taken t where t.lease_until is not null
    )
    update webhook_deliveries d set lease_until = ${time} + make_interval(secs => ${leaseSeconds})
      from taken t, webhook_endpoints w
     where d.id = t.id and w.id = d.endpoint_id
    returning d.id, w.id as "endpointId", w.workspace_id as "workspaceId", w.url,
              case when w.old_secret_until > ${time} then json_build_array(w.secret, w.old_secret)
                   else json_build_array(w.secret) end as secrets,
              d.event_id as "eventId", d.event_type as "eventType", d.body, d.lease_until::text as lease`
}
