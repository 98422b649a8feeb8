/** Appending a message: one statement, one round trip, one order. */

import type { LoggedEvent } from '../../schema/events.ts'
import type { SenderType } from '../../schema/ids.ts'
import type { Attached } from '../../schema/muro/attachments.ts'
import type { Queryable, Tx } from '../db/sql.ts'
import type { Reach } from './context.ts'
import { conversationUpdateFacts, loggedEventColumns, messageFacts } from './facts.ts'
import type { Claim } from './idempotency.ts'
import { newId } from './ids.ts'

/** Who may append; system lines are written with an opening only. */
type AppendedType = Exclude<SenderType, 'system'>

/**
 * A message to be appended, with who says it and how far that one reaches; `contactId` only where the visitor does. An
 * agent answers in the name of the site, and as `author` where it gives none.
 */
export type MessageDraft = Reach & {
  conversation: string
  senderType: AppendedType
  senderId: string | null
  author: string | null
  contactId: number | null
  content: string
  clientId: string | null
}

/**
 * Appends a message and returns what it logged: none where there is no such conversation. A claim or a client_id that
 * was used before violates its unique key, which rolls everything back, numbers included.
 */
export const appendMessage = (
  sql: Queryable,
  draft: MessageDraft,
  claim: Claim | undefined,
): PromiseLike<LoggedEvent[]> => {
  const claimed = claim ? [claim.owner, claim.route, claim.key, claim.fingerprint] : []
  return run(sql, claim ? 'claimed' : 'plain', draft, claimed)
}

/** Appends a message with files, which are its own from then on. The transaction has locked the conversation and them. */
export const appendWithFiles = (tx: Tx, draft: MessageDraft, files: Attached[]): PromiseLike<LoggedEvent[]> =>
  run(tx, 'filed', draft, [JSON.stringify(files)])

const run = (
  sql: Queryable,
  form: Form,
  { workspace, site, conversation, senderType, senderId, author, contactId, content, clientId }: MessageDraft,
  more: (string | Buffer)[],
): PromiseLike<LoggedEvent[]> => {
  const values = [
    workspace.id,
    conversation,
    newId('message'),
    newId('event'),
    senderType,
    senderId,
    author,
    content,
    clientId,
  ]
  const visitor = contactId === null ? [] : [contactId, newId('event')]
  const reach = [workspace.publicId, site?.id ?? null]
  const text = statements[senderType][form]
  return sql.unsafe<LoggedEvent[]>(text, [...values, ...reach, ...visitor, ...more], { prepare: true })
}

/** How a message comes: as it is, under a claim, or with files. */
type Form = 'plain' | 'claimed' | 'filed'

// A returning clause sees only new values, so that a message reopened a conversation is told by its status_seq, and that
// this ended a snooze before its time by its woken_seq.
const asleep = "c.state in ('closed', 'snoozed')"

// The contact may have been merged into another since the visitor was asked who it is.
const speaker = `
             case when s.contact_id = $12 then $6
                  else coalesce((select v.public_id from contacts v where v.id = s.contact_id), $6) end`

// As an update by staff would name it.
const changedByVisitor = `
             case when c.woken_seq = c.seq then json_build_array('status', 'snoozed_until', 'unread_count')
                  when s.reopened then json_build_array('status', 'unread_count')
                  else json_build_array('unread_count') end`

// A site may give all who answer there one name.
const answerer = 'coalesce((select w.agent_name from sites w where w.id = s.site_id), $7)'

// `workspace_id + 0` keeps the planner on the unique index: a plan made while the tables were small would walk the
// workspace's rows.
const reached = 'c.public_id = $2 and c.workspace_id + 0 = $1 and ($11::bigint is null or c.site_id = $11)'

/**
 * Writes the statement. Locks come in one order everywhere: claim, conversation, head. A `with` runs in no fixed
 * order, so each part needs rows of the one before. Each row is locked once, by its update; the time is taken then.
 */
const statement = (senderType: AppendedType, form: Form): string => {
  const visitor = senderType === 'visitor'
  const heard = visitor || senderType === 'agent'
  const count = visitor ? 2 : 1
  const isClaimed = form === 'claimed'
  const isFiled = form === 'filed'
  const next = visitor ? 14 : 12
  return `
    with ${
      isClaimed
        ? `claim as (
      insert into idempotency_keys (owner, route, key, fingerprint, answer)
      select $${next}, $${next + 1}, $${next + 2}, $${next + 3}, json_build_object('id', $3::text)
       where exists (select from conversations c where ${reached})
      returning 1
    ), `
        : ''
    }c as (
      update conversations c set
             seq = c.seq + ${count}, public_seq = c.public_seq + ${heard ? 1 : 0}${
               visitor
                 ? ` + (${asleep})::int,
             status_seq = case when ${asleep} then c.seq + 2 else c.status_seq end,
             state = case when ${asleep} then 'open' else c.state end,
             woken_seq = case when c.snoozed_until is null then c.woken_seq else c.seq + 2 end,
             snoozed_until = null,
             unread_count = c.unread_count + 1`
                 : ''
             },
             last_message_at = greatest(date_trunc('milliseconds', clock_timestamp()), c.last_message_at + interval '1 millisecond')
       where ${reached}
         ${isClaimed ? 'and (select count(*) from claim) = 1' : ''}
      returning c.*
    ), head as (
      update workspace_heads h set seq = h.seq + ${count} from c where h.workspace_id = c.workspace_id
      returning h.seq - ${count} as seq
    ), s as materialized (
      select c.id, c.public_id, c.site_id, c.seq - ${count} as seq, c.public_seq, c.last_message_at as at, head.seq as head,
             ${visitor ? 'c.status_seq = c.seq' : 'false'} as reopened, c.contact_id
        from c, head
    ), activity as (
      update conversation_activity a set seq = s.head + 1${visitor ? ', closed = false' : ''}
        from s where a.conversation_id = s.id
    ), ${
      visitor
        ? `seen as (
      update contact_seen n set seq = s.head + 1, at = s.at from s where n.contact_id = s.contact_id
    ), `
        : ''
    }m as (
      insert into messages (public_id, workspace_id, conversation_id, seq, conversation_seq, sender_type, sender_id,
                            author, content, client_id, created_at${isFiled ? ', attachments' : ''})
      select $3, $1, s.id, s.head + 1, s.seq + 1, $5, ${visitor ? speaker : '$6'},
             ${senderType === 'agent' ? answerer : '$7'}, $8, $9,
             s.at${isFiled ? `, $${next}::text::json` : ''}
        from s
      returning *
    ), ${
      isFiled
        ? `files as (
      update attachments a set message_id = m.id, conversation_id = m.conversation_id, position = f.position
        from m, json_array_elements(m.attachments) with ordinality f (file, position)
       where a.public_id = f.file ->> 'id'
    ), `
        : ''
    }e as (
      insert into events (workspace_id, seq, public_id, type, conversation_id, conversation_seq, public_seq, site_id, payload, created_at)
      select $1, s.head + 1, $4::text, 'message.new', s.id, s.seq + 1, ${heard ? 's.public_seq - s.reopened::int' : 'null'},
             s.site_id, ${messageFacts('s.public_id')}, s.at
        from s, m
      ${
        visitor
          ? `union all
      select $1, s.head + 2, $13::text, 'conversation.update', s.id, s.seq + 2,
             case when s.reopened then s.public_seq end, s.site_id,
             ${conversationUpdateFacts(changedByVisitor)},
             s.at
        from s, c`
          : ''
      }
      returning *, $2::text as conversation
    )
    select ${loggedEventColumns('$10::text')} from e order by e.seq`
}

const forms = (senderType: AppendedType): Record<Form, string> => ({
  plain: statement(senderType, 'plain'),
  claimed: statement(senderType, 'claimed'),
  filed: statement(senderType, 'filed'),
})

const statements = { visitor: forms('visitor'), agent: forms('agent'), note: forms('note') }
