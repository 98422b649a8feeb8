/** Sync: the log as a mirror reads it, from where it stands. */

import type { SyncedEvent } from '../../schema/sync.ts'
import type { Fragment, Sql } from '../db/sql.ts'
import type { Reach } from './context.ts'
import { conversationOf, isoTime, loggedEventColumns } from './facts.ts'
import { cursorExpired, type SyncPosition } from './sync-cursors.ts'

/** Events in order, and up to where everything was told. `hasMore`: the log goes on after that. */
export type SyncPage = { events: SyncedEvent[]; position: SyncPosition; hasMore: boolean }

/** How much one reading takes: as many payloads as fit into `bytes`, but always one event. */
const maxBytes = 1024 * 1024

// The few events of a site are found among those of the workspace: so many are looked through at a time.
const maxSearched = 10_000

/** Returns the place after the newest event of the scope's workspace. */
export const currentPosition = async ({ sql }: { sql: Sql }, { workspace }: Reach): Promise<SyncPosition> => {
  const [head] = await sql<SyncPosition[]>`
    select log_epoch() as epoch, h.seq from workspace_heads h where h.workspace_id = ${workspace.id}`
  if (!head) throw new Error(`workspace ${workspace.publicId} has no head`)
  return head
}

/**
 * Returns the events after a place that the scope hears, up to `limit` of them and `bytes` of payload. Numbers are given
 * under the lock of the head, so what is not beyond the head is there. Where nothing was found of the scope's, the place
 * moves on over what was looked through.
 */
export const readSync = async (
  { sql }: { sql: Sql },
  reach: Reach,
  { position: { epoch, seq }, limit, bytes = maxBytes }: { position: SyncPosition; limit: number; bytes?: number },
): Promise<SyncPage> => {
  const { workspace } = reach
  const rows = await sql<Row[]>`
    with place as materialized (
      select h.seq as head, log_epoch() as epoch, ${oldestKept(sql, reach)} as oldest
        from workspace_heads h where h.workspace_id = ${workspace.id}
    ), verdict as materialized (
      select head, epoch, (epoch = ${epoch} and oldest <= ${seq}::bigint + 1 and ${seq}::bigint <= head) as held from place
    ), told as materialized (
      select events.* from events
       where events.workspace_id = ${workspace.id} and events.seq > ${seq} and (select held from verdict)
         ${ofScope(sql, reach, seq)}
       order by events.seq limit ${limit + 1}
    ), sized as (
      select told.*, lead(seq) over (order by seq) is not null as followed,
             sum(octet_length(payload::text)) over (order by seq) - octet_length(payload::text) as before
        from told
    ), e as (
      select sized.*, ${sql.unsafe(conversationOf('sized'))} as conversation
        from sized order by sized.seq limit ${limit}
    )
    select v.head, v.epoch, v.held, e.followed, ${sql.unsafe(isoTime('e.created_at'))} as created_at,
           ${sql.unsafe(loggedEventColumns(`'${workspace.publicId}'`))}
      from verdict v left join e on e.before < ${bytes} order by e.seq`
  const [first] = rows
  if (!first?.held) throw cursorExpired()
  const found = rows.filter(isFound)
  const last = found.at(-1)
  const reached = last?.followed ? last.seq : reach.site === null ? first.head : Math.min(first.head, seq + maxSearched)
  return {
    events: found.map(toEvent),
    position: { epoch, seq: reached },
    hasMore: reached < first.head,
  }
}

/** SQL for the number of the oldest event that the log holds; one after the head `h` where it holds none. */
export const oldestKept = (sql: Sql, { workspace }: Reach): Fragment => sql`
  coalesce((select o.seq from events o where o.workspace_id = ${workspace.id} order by o.seq limit 1), h.seq + 1)`

const ofScope = (sql: Sql, { site }: Reach, seq: number): Fragment =>
  site === null ? sql`` : sql`and events.seq <= ${seq + maxSearched} and events.site_id = ${site.id}`

type Verdict = { head: number; epoch: string; held: boolean }
type Row = Verdict & ((SyncedEvent & { followed: boolean }) | { seq: null; followed: null })

const isFound = (row: Row): row is Verdict & SyncedEvent & { followed: boolean } => row.seq !== null

const toEvent = ({
  head: _h,
  epoch: _e,
  held: _v,
  followed: _f,
  ...event
}: Verdict & SyncedEvent & { followed: boolean }) => event
