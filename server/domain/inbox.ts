/** The inbox: the list of conversations, newest activity first. */

import type { ListConversations } from '../../schema/muro/conversations.ts'
import type { Context, Reach } from './context.ts'
import { type ConversationFacts, conversationFacts } from './facts.ts'
import { reachedConversations } from './reach.ts'
import { searchFor } from './search.ts'
import { type Page, readPage } from './walks.ts'

/** Returns a page of the conversations that the scope reaches: of one status or of all, and in which `q` occurs. */
export const listConversations = async (
  { sql }: Context,
  reach: Reach,
  input: ListConversations,
): Promise<Page<ConversationFacts>> => {
  // `closed` stands in the index that is walked, so that the few that are not closed are found among the many that are.
  const matches = {
    open: sql`and not a.closed and c.state in ('open', 'pending')`,
    snoozed: sql`and not a.closed and c.state = 'snoozed'`,
    closed: sql`and a.closed`,
  }
  const { workspace } = reach
  const search = input.q === undefined ? undefined : await searchFor(sql, workspace, input.q)
  return await readPage(
    sql,
    workspace,
    { list: 'conversations', ...input },
    {
      places: sql`
      select a.conversation_id as id, a.opened_seq as first_seq, a.seq
        from conversation_activity a join conversations c on c.id = a.conversation_id
       where a.workspace_id = ${workspace.id} and ${reachedConversations(sql, reach)}
         ${input.status === undefined ? sql`` : matches[input.status]}
         ${search === undefined ? sql`` : sql`and ${search.condition}`}`,
      placeThen: sql`(
      select m.seq from messages m where m.conversation_id = p.id and m.seq <= walk.head
       order by m.conversation_seq desc limit 1)`,
      facts: sql`(select ${sql.unsafe(conversationFacts)} from conversations c where c.id = page.id)`,
    },
  )
}
