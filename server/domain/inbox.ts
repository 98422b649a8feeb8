/** The inbox: the list of conversations, newest activity first. */

import type { ListConversations } from '../../schema/muro/conversations.ts'
import type { Fragment, Sql } from '../db/sql.ts'
import type { Context, Reach } from './context.ts'
import { type ConversationFacts, conversationFacts } from './facts.ts'
import { reachedConversations } from './reach.ts'
import { searchFor } from './search.ts'
import { selectFor } from './selections.ts'
import { type Page, readPage } from './walks.ts'

/**
 * Returns a page of the conversations that the scope reaches, of all or of those that fit: as they are now, also on the
 * later pages of a walk. A visitor or a user who is not there has none.
 */
export const listConversations = async (
  { sql }: Context,
  reach: Reach,
  input: ListConversations,
): Promise<Page<ConversationFacts>> => {
  const { workspace } = reach
  const search = input.q === undefined ? undefined : await searchFor(sql, workspace, input.q)
  const selection = await selectFor(sql, workspace, input)
  return await readPage(
    sql,
    workspace,
    { list: 'conversations', ...input },
    {
      places: sql`
      select a.conversation_id as id, a.opened_seq as first_seq, a.seq, null::bigint as merged_seq
        from conversation_activity a join conversations c on c.id = a.conversation_id
       where a.workspace_id = ${workspace.id} and ${reachedConversations(sql, reach)}
         ${matchesOf(sql, reach, input)} and ${selection.condition}
         ${search === undefined ? sql`` : sql`and ${search.condition}`}`,
      placeThen: sql`(
      select m.seq from messages m where m.conversation_id = p.id and m.seq <= walk.head
       order by m.conversation_seq desc limit 1)`,
      facts: sql`(select ${sql.unsafe(conversationFacts)} from conversations c where c.id = page.id)`,
    },
  )
}

const matchesOf = (sql: Sql, { workspace }: Reach, { status, visitor_id }: ListConversations): Fragment => {
  // `closed` stands in the index that is walked, so that the few that are not closed are found among the many that are.
  const ofStatus = {
    open: sql`and not a.closed and c.state in ('open', 'pending')`,
    snoozed: sql`and not a.closed and c.state = 'snoozed'`,
    closed: sql`and a.closed`,
  }
  const ofVisitor = (id: string) => sql`
    and c.contact_id = (select id from contacts where workspace_id = ${workspace.id} and public_id = ${id})`
  return sql`
    ${status === undefined ? sql`` : ofStatus[status]}
    ${visitor_id === undefined ? sql`` : ofVisitor(visitor_id)}`
}
