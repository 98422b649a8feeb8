/** The snapshot: every contact and every conversation, page by page, and where to go on from with sync. */

import type { Fragment, Sql } from '../db/sql.ts'
import type { Context, Reach } from './context.ts'
import { type ContactFacts, type ConversationFacts, contactFacts, conversationFacts } from './facts.ts'
import { reachedContacts, reachedConversations } from './reach.ts'
import { oldestKept } from './sync.ts'
import {
  cursorExpired,
  readSnapshotPage,
  type SnapshotWalk,
  type SyncPosition,
  writeSnapshotPage,
} from './sync-cursors.ts'

/** What is shown of an object, with the number of the last event that it includes. */
export type Snapped<T> = T & { seq: number }

/** A page; `position` is where the first page found the log. */
export type SnapshotPage = {
  contacts: Snapped<ContactFacts>[]
  conversations: Snapped<ConversationFacts>[]
  position: SyncPosition
  nextPage: string | null
}

const pageSize = 200

// A pinned scope's are found among all of the workspace: so many are looked through at a time.
const maxSearched = 5000

/**
 * Returns a page of all that the scope reaches, by the numbers that objects are given when they are made: contacts
 * first, so that a conversation never comes before its contact. Each page is as things are when it is read: what
 * changes meanwhile is told by sync from the first page's place on. An object that a page does not show yet is
 * committed after it, so sync tells of its beginning.
 */
export const readSnapshot = async (context: Context, reach: Reach, page: string | undefined): Promise<SnapshotPage> => {
  const walk = page === undefined ? undefined : readSnapshotPage(page)
  const contacts =
    walk?.list === 'conversations' ? noPart : await readContacts(context, reach, walk?.after ?? 0, pageSize)
  const begun = walk ?? contacts.position
  const room = pageSize - contacts.objects.length
  const after = walk?.list === 'conversations' ? walk.after : 0
  const conversations =
    contacts.next !== null || room === 0 ? noPart : await readConversations(context, reach, after, room)
  for (const { position } of [contacts, conversations]) {
    if (position && position.epoch !== begun?.epoch) throw cursorExpired()
  }
  if (!begun) throw new Error(`workspace ${reach.workspace.publicId} has no head`)
  const { epoch, seq } = begun
  const next = nextOf(contacts.next, conversations === noPart ? 0 : conversations.next)
  return {
    contacts: contacts.objects,
    conversations: conversations.objects,
    position: { epoch, seq },
    nextPage: next && writeSnapshotPage({ epoch, seq, ...next }),
  }
}

/** A part of a page; `next` is the number after which its list goes on, null at its end. */
type Part<T> = { objects: Snapped<T>[]; position: SyncPosition | undefined; next: number | null }

const noPart: Part<never> = { objects: [], position: undefined, next: null }

const nextOf = (contacts: number | null, conversations: number | null): Pick<SnapshotWalk, 'list' | 'after'> | null => {
  if (contacts !== null) return { list: 'contacts', after: contacts }
  return conversations === null ? null : { list: 'conversations', after: conversations }
}

// What changes what is shown of a contact: its own events, openings, and what the visitor says.
const readContacts = async ({ sql }: Context, reach: Reach, after: number, size: number): Promise<Part<ContactFacts>> =>
  await readPart<ContactFacts>(sql, reach, size, {
    walked: sql`
      select v.id, v.number from contacts v where v.workspace_id = ${reach.workspace.id} and v.number > ${after}`,
    rows: sql`contacts v`,
    id: sql`v.id`,
    isReached: reachedContacts(sql, reach),
    facts: contactFacts,
    seq: sql`
      greatest(
        coalesce((select max(e.seq) from events e
                   where e.workspace_id = v.workspace_id and e.conversation_id is null
                     and e.payload ->> 'id' = v.public_id), place.oldest - 1),
        (select n.seq from contact_seen n where n.contact_id = v.id),
        (select max(a.opened_seq) from conversations c join conversation_activity a on a.conversation_id = c.id
          where c.contact_id = v.id))`,
  })

const readConversations = async (
  { sql }: Context,
  reach: Reach,
  after: number,
  size: number,
): Promise<Part<ConversationFacts>> =>
  await readPart<ConversationFacts>(sql, reach, size, {
    walked: sql`
      select c.id, c.number from conversations c where c.workspace_id = ${reach.workspace.id} and c.number > ${after}`,
    rows: sql`conversations c`,
    id: sql`c.id`,
    isReached: reachedConversations(sql, reach),
    facts: conversationFacts,
    seq: sql`
      coalesce((select e.seq from events e where e.conversation_id = c.id and e.conversation_seq = c.seq),
               place.oldest - 1)`,
  })

/** How a list is read: `walked` selects (id, number), `facts` is what is shown of a row of `rows`. */
type Reading = { walked: Fragment; rows: Fragment; id: Fragment; isReached: Fragment; facts: string; seq: Fragment }

type Row<T> = { head: number; epoch: string; count: number; end: number | null } & (
  | { number: number; facts: T; seq: number }
  | { number: null; facts: null; seq: null }
)

/**
 * Reads a part in one statement, so that objects and numbers are of one moment. An event that the log no longer holds
 * is not found; the newest that was removed stands for it.
 */
const readPart = async <T>(
  sql: Sql,
  reach: Reach,
  size: number,
  { walked, rows, id, isReached, facts, seq }: Reading,
): Promise<Part<T>> => {
  const { workspace, site } = reach
  const searched = site === null ? size : maxSearched
  const found = await sql<Row<T>[]>`
    with place as materialized (
      select h.seq as head, log_epoch() as epoch, ${oldestKept(sql, reach)} as oldest
        from workspace_heads h where h.workspace_id = ${workspace.id}
    ), walked as materialized (
      select * from (${walked}) w order by w.number limit ${searched}
    ), page as materialized (
      select walked.* from walked join ${rows} on ${id} = walked.id
       where ${isReached} order by walked.number limit ${size}
    ), shown as (
      select page.number, ${sql.unsafe(facts)} as facts, ${seq} as seq
        from page join ${rows} on ${id} = page.id cross join place
        cross join (select ${site?.id ?? null}::bigint as site_id) pin
    )
    select place.head, place.epoch, (select count(*) from walked) as count, (select max(number) from walked) as end,
           shown.*
      from place left join shown on true order by shown.number`
  const [first] = found
  const objects = found.filter(isShown)
  const last = objects.length === size ? objects.at(-1)?.number : first?.end
  const isEnd = first === undefined || (first.count < searched && last === first.end)
  return {
    objects: objects.map((row) => ({ ...row.facts, seq: row.seq })),
    position: first && { epoch: first.epoch, seq: first.head },
    next: isEnd ? null : (last ?? null),
  }
}

const isShown = <T>(row: Row<T>): row is Row<T> & { number: number; facts: T; seq: number } => row.number !== null
