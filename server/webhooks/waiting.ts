/** What waits to be sent, found without reading all of it: a backlog may be long. */

import { type Fragment, type Queryable, type Sql, type Tx, transact } from '../db/sql.ts'

/**
 * SQL of two common tables, for a `with recursive`: the webhooks with deliveries that wait for their first attempt, and
 * for a later one. Each webhook costs a step in an index, however much waits.
 */
export const queues = (sql: Queryable): Fragment => sql`
  first_ones (endpoint_id) as (
    (select d.endpoint_id from webhook_deliveries d
      where d.state = 'pending' and d.attempts = 0 order by d.endpoint_id limit 1)
    union all
    select (select d.endpoint_id from webhook_deliveries d
             where d.state = 'pending' and d.attempts = 0 and d.endpoint_id > f.endpoint_id
             order by d.endpoint_id limit 1)
      from first_ones f where f.endpoint_id is not null
  ), later_ones (endpoint_id) as (
    (select d.endpoint_id from webhook_deliveries d
      where d.state = 'pending' and d.attempts > 0 order by d.endpoint_id limit 1)
    union all
    select (select d.endpoint_id from webhook_deliveries d
             where d.state = 'pending' and d.attempts > 0 and d.endpoint_id > l.endpoint_id
             order by d.endpoint_id limit 1)
      from later_ones l where l.endpoint_id is not null
  )`

/**
 * Has the planner walk the indexes of what waits. That comes and goes faster than its statistics: told that hardly
 * anything does, it would read and sort all of a backlog each time. So it stops where it has enough.
 */
export const walkIndexes = async (tx: Tx): Promise<void> => {
  await tx`
    select set_config(name, 'off', true)
      from unnest(array['enable_seqscan', 'enable_bitmapscan', 'enable_sort', 'jit']) name`
}

/** How many of one webhook are counted at most, of those before their first attempt and of those after it. */
const counted = 10_000

/**
 * How many deliveries wait, and for how many seconds the one has been due that has been due longest. What waits for a
 * receiver that fails is counted, and is not late: it is not on our side that it waits.
 */
export type Waiting = { count: number; late: number }

/** Returns what waits. */
export const readWaiting = async (sql: Sql): Promise<Waiting> =>
  await transact(sql, async (tx) => {
    await walkIndexes(tx)
    const [waiting] = await tx<Waiting[]>`
      with recursive ${queues(tx)}
      select coalesce(sum(q.count), 0)::int as count,
             coalesce(extract(epoch from clock_timestamp() - min(q.due) filter (where w.failing_since is null)),
                      0)::float8 as late
        from webhook_endpoints w cross join lateral (
          select (select count(*) from (select from webhook_deliveries d
                                         where d.endpoint_id = w.id and d.state = 'pending' and d.attempts = 0
                                         limit ${counted}) f)
                 + (select count(*) from (select from webhook_deliveries d
                                           where d.endpoint_id = w.id and d.state = 'pending' and d.attempts > 0
                                           limit ${counted}) l) as count,
                 least((select d.next_attempt_at from webhook_deliveries d
                         where d.endpoint_id = w.id and d.state = 'pending' and d.attempts = 0
                         order by d.event_seq nulls first limit 1),
                       (select d.next_attempt_at from webhook_deliveries d
                         where d.endpoint_id = w.id and d.state = 'pending' and d.attempts > 0
                         order by d.next_attempt_at limit 1)) as due) q
       where w.enabled and w.id in (select endpoint_id from first_ones union select endpoint_id from later_ones)`
    return { count: waiting?.count ?? 0, late: Math.max(0, waiting?.late ?? 0) }
  })
