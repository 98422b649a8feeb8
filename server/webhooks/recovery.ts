/** Recovery: reads the log once more for a webhook that asked for it, and queues what it was not told. */

import { type Sql, transact } from '../db/sql.ts'
import type { Workspace } from '../domain/context.ts'
import { readLog } from '../domain/log-followers.ts'
import { makeDeliveries, type Wish, wishColumns } from './deliveries.ts'

/** Takes the next events for some webhook that recovers; returns whether there was one. */
export const recoverSome = async (sql: Sql, { limit = 200 }: { limit?: number } = {}): Promise<boolean> =>
  await transact(sql, async (tx) => {
    const [recovering] = await tx<(Wish & Range)[]>`
      select ${tx.unsafe(wishColumns('created_seq'))}, w.recover_after as place, w.recover_until as until, w.recover_since as since,
             o.id as "workspaceId", o.public_id as "workspacePublicId"
        from webhook_endpoints w join workspaces o on o.id = w.workspace_id
       where w.recover_after is not null and w.enabled
       order by random() limit 1 for no key update of w skip locked`
    if (!recovering) return false
    const { place, until, since, workspaceId, workspacePublicId, ...wish } = recovering
    const workspace: Workspace = { id: workspaceId, publicId: workspacePublicId }
    const page = await readLog(tx, workspace, place, limit)
    const events = page.filter(({ seq, created_at }) => seq <= until && Date.parse(created_at) >= since.getTime())
    await makeDeliveries(tx, workspace, { events, wishes: [wish], again: true })
    const last = page.at(-1)
    await tx`
      update webhook_endpoints
         set ${
           last && last.seq < until
             ? tx`recover_after = ${last.seq}`
             : tx`recover_after = null, recover_until = null, recover_since = null`
         }
       where id = ${wish.id}`
    return true
  })

type Range = { place: number; until: number; since: Date; workspaceId: number; workspacePublicId: string }
