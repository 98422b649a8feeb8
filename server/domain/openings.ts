/** Openings: the rows and the events with which a conversation begins. */

import type { SenderType } from '../../schema/ids.ts'
import type { Tx } from '../db/sql.ts'
import type { SiteRef, Workspace } from './context.ts'
import { nextNumber } from './counters.ts'
import { conversationUpdateFacts, isoTime, messageFacts } from './facts.ts'
import { newId } from './ids.ts'
import type { EventDraft, Log } from './record.ts'

/** The ids of a conversation that is not there yet. */
export type Place = { rowId: number; publicId: string; number: number }

/** A contact, and the site that the conversation is on. */
export type ContactOnSite = { id: number; publicId: string; site: SiteRef }

type FirstMessage = { senderType: SenderType; senderId: string | null; author: string | null; content: string }

/** Takes the ids of a new conversation. Comes right after the claim, before every other lock. */
export const reserveConversation = async (tx: Tx, workspace: Workspace): Promise<Place> => {
  const number = await nextNumber(tx, workspace, 'conversation')
  const [row] = await tx<{ id: number }[]>`select nextval(pg_get_serial_sequence('conversations', 'id')) as id`
  if (!row) throw new Error('no conversation id was given')
  return { rowId: row.id, publicId: newId('conversation'), number }
}

/**
 * Inserts a conversation with its first messages and logs them: opened, then each message, a visitor's followed by an
 * update. The contact is locked by the caller; here the head is, so no other lock may be taken afterwards. `url` is the
 * page that the visitor is on.
 */
export const insertConversation = async (
  tx: Tx,
  log: Log,
  opening: {
    workspace: Workspace
    place: Place
    contact: ContactOnSite
    messages: FirstMessage[]
    url?: string | undefined
  },
): Promise<void> => {
  const { workspace, place, contact } = opening
  const plan = planOf(opening.messages)
  const count = plan.messages.reduce((sum, { updates }) => sum + (updates ? 2 : 1), 1)
  const first = await log.take(workspace, count)
  const lastMessage = plan.messages.at(-1)
  const [row] = await tx<{ created_at: string }[]>`
    insert into conversations as c (id, public_id, workspace_id, number, site_id, contact_id, unread_count,
                                    seq, public_seq, url)
    overriding system value
    values (${place.rowId}, ${place.publicId}, ${workspace.id}, ${place.number}, ${contact.site.id}, ${contact.id},
            ${plan.unread}, ${count}, ${plan.heard}, ${opening.url ?? null})
    returning ${tx.unsafe(isoTime('c.created_at'))} as created_at`
  if (!row) throw new Error('a conversation was not inserted')
  await tx`
    insert into conversation_activity (conversation_id, workspace_id, opened_seq, seq)
    values (${place.rowId}, ${workspace.id}, ${first}, ${first + (lastMessage ? lastMessage.seq - 1 : 0)})`

  const payloads = await insertMessages(
    tx,
    { workspace, place, contact, first, createdAt: row.created_at },
    plan.messages,
  )
  const [update] = await tx<{ payload: Record<string, unknown> }[]>`
    select ${tx.unsafe(conversationUpdateFacts(`json_build_array('unread_count')`))} as payload
      from conversations c where c.id = ${place.rowId}`
  const draft = (
    type: EventDraft['type'],
    seq: number,
    publicSeq: number | null,
    payload: Record<string, unknown>,
  ) => ({
    type,
    site: contact.site,
    conversation: { id: place.rowId, publicId: place.publicId, seq, publicSeq },
    payload,
  })
  const { publicId: visitor_id, site } = contact
  await log.write(workspace, first, [
    draft('conversation.opened', 1, null, {
      id: place.publicId,
      website_id: site.publicId,
      visitor_id,
      created_at: row.created_at,
    }),
    ...plan.messages.flatMap(({ seq, publicSeq, updates }, index) => [
      draft('message.new', seq, publicSeq, payloads[index] ?? {}),
      ...(updates && update ? [draft('conversation.update', seq + 1, null, update.payload)] : []),
    ]),
  ])
}

type PlannedMessage = FirstMessage & { seq: number; publicSeq: number | null; updates: boolean }

const planOf = (messages: FirstMessage[]) => {
  const plan = { messages: [] as PlannedMessage[], unread: 0, heard: 0 }
  let seq = 2
  for (const message of messages) {
    const updates = message.senderType === 'visitor'
    const isHeard = updates || message.senderType === 'agent'
    if (isHeard) plan.heard += 1
    if (updates) plan.unread += 1
    plan.messages.push({ ...message, seq, publicSeq: isHeard ? plan.heard : null, updates })
    seq += updates ? 2 : 1
  }
  return plan
}

// Messages of one opening follow each other by a millisecond, so that times rise with numbers from the start.
const insertMessages = async (
  tx: Tx,
  opened: { workspace: Workspace; place: Place; contact: ContactOnSite; first: number; createdAt: string },
  messages: PlannedMessage[],
): Promise<Record<string, unknown>[]> => {
  const { workspace, place, contact, first, createdAt } = opened
  const payloads: Record<string, unknown>[] = []
  for (const [index, { seq, senderType, senderId, author, content }] of messages.entries()) {
    const at = new Date(Date.parse(createdAt) + index).toISOString()
    const [inserted] = await tx<{ facts: Record<string, unknown> }[]>`
      insert into messages as m (public_id, workspace_id, conversation_id, seq, conversation_seq, sender_type,
                                 sender_id, author, content, created_at)
      values (${newId('message')}, ${workspace.id}, ${place.rowId}, ${first + seq - 1}, ${seq}, ${senderType},
              ${senderId}, ${author}, ${content}, ${at}::timestamptz)
      returning ${tx.unsafe(messageFacts(`(select c.public_id from conversations c where c.id = m.conversation_id)`))} as facts`
    payloads.push(inserted?.facts ?? {})
    await tx`update conversations set last_message_at = ${at}::timestamptz where id = ${place.rowId}`
    if (senderType === 'visitor') {
      await tx`
        update contact_seen set seq = ${first + seq - 1}, at = ${at}::timestamptz where contact_id = ${contact.id}`
    }
  }
  return payloads
}
