/**
 * The facts of a row as the log and the faces tell them: each shape is written once, as SQL text. Text and not nested
 * queries of the driver: an append has a dozen such pieces, and making them anew cost half of its time in Node.
 */

import type { SenderType } from '../../schema/ids.ts'
import type { Attached } from '../../schema/muro/attachments.ts'
import type { Contact } from '../../schema/muro/contacts.ts'
import type { Conversation } from '../../schema/muro/conversations.ts'

/** A message as it is told. `author` is the name in which it was written, at that time. */
export type MessageFacts = {
  id: string
  conversation_id: string
  sender_type: SenderType
  sender_id: string | null
  author: string | null
  content: string
  attachments: Attached[]
  created_at: string
  client_id?: string
}

/** Writes a time as ISO 8601 in UTC with milliseconds. */
export const isoTime = (time: string): string => `to_char(${time} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

const commonMessageFacts = (conversation: string): string => `
  'id', m.public_id, 'conversation_id', ${conversation}, 'sender_type', m.sender_type, 'sender_id', m.sender_id,
  'author', m.author, 'content', m.content, 'attachments', coalesce(m.attachments, '[]'), 'created_at', ${isoTime('m.created_at')}`

/** The facts of a row `m` of messages; `conversation` is SQL for the public id of its conversation. */
export const messageFacts = (conversation: string): string => `
  case when m.client_id is null then json_build_object(${commonMessageFacts(conversation)})
       else json_build_object(${commonMessageFacts(conversation)}, 'client_id', m.client_id) end`

/** What `conversation.update` tells of a row `c` of conversations; `changed` is SQL for the names of what changed. */
export const conversationUpdateFacts = (changed: string): string => `
  json_build_object(
    'id', c.public_id, 'status', case c.state when 'pending' then 'open' else c.state end, 'state', c.state,
    'unread_count', c.unread_count,
    'assigned_user_id', (select u.public_id from users u where u.id = c.assignee_id),
    'tags', c.tags, 'priority', c.priority, 'snoozed_until', ${isoTime('c.snoozed_until')},
    'last_message_at', ${isoTime('c.last_message_at')}, 'metadata', c.metadata, 'changed', ${changed})`

/** A conversation as it is shown to staff, before a face says what it is. */
export type ConversationFacts = Omit<Conversation, 'object' | 'status'>

/** The facts of a row `c` of conversations. */
export const conversationFacts = `
  json_build_object(
    'id', c.public_id, 'state', c.state, 'unread_count', c.unread_count,
    'visitor', (select json_build_object('id', v.public_id, 'name', v.name, 'email', v.email)
                  from contacts v where v.id = c.contact_id),
    'website', (select json_build_object('id', w.public_id, 'name', w.name) from sites w where w.id = c.site_id),
    'last_message', (select json_build_object('content', m.content, 'sender_type', m.sender_type,
                                              'at', ${isoTime('m.created_at')})
                       from messages m where m.conversation_id = c.id and m.sender_type <> 'system'
                      order by m.conversation_seq desc limit 1),
    'assigned_user_id', (select u.public_id from users u where u.id = c.assignee_id),
    'tags', c.tags, 'priority', c.priority, 'metadata', c.metadata,
    'snoozed_until', ${isoTime('c.snoozed_until')},
    'last_activity_at', ${isoTime('coalesce(c.last_message_at, c.created_at)')},
    'created_at', ${isoTime('c.created_at')}, 'updated_at', ${isoTime('greatest(c.updated_at, c.last_message_at)')})`

/** A contact as it is shown, before a face says what it is. */
export type ContactFacts = Omit<Contact, 'object'>

/** The facts of a row `v` of contacts, beside a row `pin` whose `site_id` is the one site that is shown, or null. */
export const contactFacts = `
  json_build_object(
    'id', v.public_id,
    'website_id', (select w.public_id from sites w where w.id = coalesce(pin.site_id, v.site_id)),
    'name', v.name, 'email', v.email, 'metadata', v.metadata,
    'conversation_count', (select count(*) from conversations c
                            where c.contact_id = v.id and (pin.site_id is null or c.site_id = pin.site_id)),
    'last_seen_at', (select ${isoTime('n.at')} from contact_seen n where n.contact_id = v.id),
    'created_at', ${isoTime('v.created_at')}, 'updated_at', ${isoTime('v.updated_at')})`

/**
 * The public id of the conversation that a row of events is of, as every reader of the log shows it. Of one that was
 * deleted only the payload still knows it.
 */
export const conversationOf = (event: string): string => `
  coalesce((select c.public_id from conversations c where c.id = ${event}.conversation_id),
           case ${event}.type when 'conversation.deleted' then ${event}.payload ->> 'id' end)`

/** The columns of a LoggedEvent out of a row `e` of events that also has its conversation's public id; `workspace` is SQL. */
export const loggedEventColumns = (workspace: string): string => `
  ${workspace} as workspace, e.seq, e.public_id as id, e.type,
  (select w.public_id from sites w where w.id = e.site_id) as site,
  e.conversation, e.conversation_seq, e.public_seq, e.payload`
