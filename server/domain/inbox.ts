/** The inbox: the list of conversations, newest activity first, as it stood when the walk began. */

import type { shownStatuses } from '../../schema/muro.ts'
import type { Context, Workspace } from './context.ts'
import { type ConversationFacts, conversationFacts } from './facts.ts'
import { readCursor, writeCursor } from './walks.ts'

/**
 * Returns a page of conversations. The list is ordered by the number of each one's last activity. A row that moved to
 * the front since the walk began is shown at the place it had then, which its messages still tell: nothing is skipped,
 * nothing comes twice, and what is newer than the walk is left out of it.
 */
export const listConversations = async (
  { sql }: Context,
  { workspace }: { workspace: Workspace },
  {
    status,
    cursor,
    limit,
  }: { status?: (typeof shownStatuses)[number] | undefined; cursor?: string | undefined; limit: number },
): Promise<{ conversations: ConversationFacts[]; nextCursor: string | null }> => {
  const walk = cursor === undefined ? undefined : readCursor('conversations', cursor)
  const matches = {
    open: sql`and not a.closed and c.state in ('open', 'pending')`,
    snoozed: sql`and not a.closed and c.state = 'snoozed'`,
    closed: sql`and a.closed`,
  }
  const filter = status === undefined ? sql`` : matches[status]
  const rows = await sql<{ facts: ConversationFacts; position: number; head: number }[]>`
    with walk as (
      select coalesce(${walk?.head ?? null}::bigint, h.seq) as head, ${walk?.position ?? null}::bigint as below
        from workspace_heads h where h.workspace_id = ${workspace.id}
    ), page as (
      (select c.id, a.seq as position
         from conversation_activity a join conversations c on c.id = a.conversation_id
        where a.workspace_id = ${workspace.id} ${filter}
          and a.seq <= (select least(head, coalesce(below - 1, head)) from walk)
        order by a.seq desc limit ${limit + 1})
      union all
      (select c.id, then_at.position
         from walk
         join conversation_activity a on a.workspace_id = ${workspace.id} and a.seq > walk.head and a.opened_seq <= walk.head
         join conversations c on c.id = a.conversation_id ${filter}
        cross join lateral (
          select coalesce((select m.seq from messages m
                            where m.conversation_id = c.id and m.seq <= walk.head
                            order by m.conversation_seq desc limit 1), a.opened_seq) as position
        ) then_at
        where walk.below is not null and then_at.position < walk.below)
      order by position desc limit ${limit + 1}
    )
    select ${sql.unsafe(conversationFacts)} as facts, page.position, walk.head
      from page join conversations c on c.id = page.id cross join walk
     order by page.position desc`
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  const nextCursor =
    rows.length > limit && last
      ? writeCursor({ list: 'conversations', head: last.head, position: last.position })
      : null
  return { conversations: page.map(({ facts }) => facts), nextCursor }
}
