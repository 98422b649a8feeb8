/** Files: kept in the database, uploaded first and then sent with a message, and read again piece by piece. */

import { HubbubError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import type { Attached, Attachment } from '../../schema/muro/attachments.ts'
import { type Sql, type Tx, transact } from '../db/sql.ts'
import type { MessageDraft } from './append.ts'
import type { AgentScope, Context, Reach, VisitorScope } from './context.ts'
import { noConversation } from './conversations.ts'
import { isoTime } from './facts.ts'
import { type Claim, type Settled, workOnce } from './idempotency.ts'
import { newId } from './ids.ts'
import { reachedConversations } from './reach.ts'

/** A file that has arrived; `read` gives its bytes in pieces of a size, each until the next is asked for. */
export type ArrivedFile = {
  filename: string
  contentType: string
  size: number
  read(pieceSize: number): AsyncIterable<Buffer>
}

/** A file that is kept; `read` gives its bytes piece by piece and holds nothing in between. */
export type KeptFile = {
  id: string
  filename: string
  contentType: string
  size: number
  read(): AsyncGenerator<Buffer, void>
}

/** A piece of a file is one row, of so many bytes. */
const pieceSize = 256 * 1024

// A visitor's key is public: what nobody sends must not fill the disk.
const maxUnsentOfVisitor = 50

/** Keeps a file that an agent has uploaded; it is within reach of the site that the key is pinned to, if it is. */
export const keepFile = async (
  context: Context,
  { workspace, site }: AgentScope,
  file: ArrivedFile,
  claim?: Claim,
): Promise<Settled<Attachment>> =>
  await workOnce(context.sql, claim, (finish) =>
    transact(context.sql, async (tx) => {
      const kept = await insertFile(tx, { workspaceId: workspace.id, siteId: site?.id ?? null, file })
      await finish(tx, kept)
      return kept
    }),
  )

/** Keeps a file that a visitor has uploaded; it can be sent in that conversation only. */
export const keepVisitorFile = async (
  context: Context,
  visitor: VisitorScope,
  file: ArrivedFile,
  claim?: Claim,
): Promise<Settled<Attachment>> =>
  await workOnce(context.sql, claim, (finish) =>
    transact(context.sql, async (tx) => {
      // Shared until the end, as the new row's foreign key needs it, so that the conversation is not deleted meanwhile.
      const [place] = await tx<{ id: number; site_id: number; unsent: number }[]>`
        select c.id, c.site_id,
               (select count(*) from attachments a where a.conversation_id = c.id and a.message_id is null) as unsent
          from conversations c
         where ${reachedConversations(tx, visitor)} and c.public_id = ${visitor.conversation.publicId}
           for key share`
      if (!place) throw noConversation()
      if (place.unsent >= maxUnsentOfVisitor) {
        throw new HubbubError('unprocessable', 'Too many files wait to be sent in this conversation')
      }
      const { id: conversationId, site_id: siteId } = place
      const kept = await insertFile(tx, { workspaceId: visitor.workspace.id, siteId, conversationId, file })
      await finish(tx, kept)
      return kept
    }),
  )

/** Returns a file that the scope reaches: one of a conversation it reaches, or one that is not sent yet. */
export const findFile = async (context: Context, reach: Reach, id: string): Promise<KeptFile> => {
  const { sql } = context
  const { workspace, site } = reach
  const [row] = isId('attachment', id)
    ? await sql<FileRow[]>`
        select a.id, a.public_id, a.filename, a.content_type, a.size
          from attachments a left join conversations c on c.id = a.conversation_id
         where a.public_id = ${id} and a.workspace_id = ${workspace.id}
           and case when a.message_id is not null then ${reachedConversations(sql, reach)}
                    else a.conversation_id is null ${site === null ? sql`` : sql`and a.site_id = ${site.id}`} end`
    : []
  if (!row) throw new HubbubError('not_found', 'No such attachment.')
  return keptFile(sql, row)
}

/** Returns a file of a message that a visitor hears, by the numbers of both; undefined where there is none. */
export const findVisitorFile = async (
  { sql }: Context,
  visitor: VisitorScope,
  { message, position }: { message: number; position: number },
): Promise<KeptFile | undefined> => {
  const [row] = await sql<FileRow[]>`
    select a.id, a.public_id, a.filename, a.content_type, a.size
      from conversations c
      join messages m on m.conversation_id = c.id
      join attachments a on a.message_id = m.id
     where ${reachedConversations(sql, visitor)} and c.public_id = ${visitor.conversation.publicId}
       and m.conversation_seq = ${message} and m.sender_type in ('visitor', 'agent') and a.position = ${position}`
  return row && keptFile(sql, row)
}

/**
 * Locks files that a message is to be sent with, and returns what it will show of them, in the order of their ids. An
 * agent sends what was uploaded by keys within reach, a visitor what was uploaded in the conversation.
 */
export const lockUnsentFiles = async (tx: Tx, draft: MessageDraft, ids: string[]): Promise<Attached[]> => {
  if (ids.length === 0) return []
  const { workspace, site, conversation, senderType } = draft
  const isTheirs =
    senderType === 'visitor'
      ? tx`a.conversation_id = (select c.id from conversations c where c.public_id = ${conversation})`
      : tx`a.conversation_id is null ${site === null ? tx`` : tx`and a.site_id = ${site.id}`}`
  // By ascending id, as everyone locks them; whoever waited sees that the file has been sent meanwhile.
  const rows = await tx<FileRow[]>`
    select a.id, a.public_id, a.filename, a.content_type, a.size from attachments a
     where a.workspace_id = ${workspace.id} and a.public_id = any(${ids}) and a.message_id is null and ${isTheirs}
     order by a.id for update`
  const found = new Map(rows.map((row) => [row.public_id, row]))
  return ids.map((id) => {
    const row = found.get(id)
    if (row) return shownFile(row)
    throw new HubbubError('invalid', `attachment_ids: ${id} is no file that you can send, or it has been sent`, {
      param: 'attachment_ids',
    })
  })
}

/** Removes files that nobody has sent for a day, a slice of them; returns how many. */
export const removeUnsentFiles = async (sql: Sql, slice: number): Promise<number> => {
  const { count } = await sql`
    delete from attachments where id in (
      select id from attachments
       where message_id is null and created_at < clock_timestamp() - interval '24 hours'
       order by created_at limit ${slice} for update skip locked)`
  return count
}

type FileRow = { id: number; public_id: string; filename: string; content_type: string; size: number }

const shownFile = ({ public_id: id, filename, content_type, size }: Omit<FileRow, 'id'>): Attached => ({
  id,
  filename,
  content_type,
  size,
  url: `/api/v1/attachments/${id}`,
})

const insertFile = async (
  tx: Tx,
  {
    workspaceId,
    siteId,
    conversationId = null,
    file,
  }: { workspaceId: number; siteId: number | null; conversationId?: number | null; file: ArrivedFile },
): Promise<Attachment> => {
  const row = {
    public_id: newId('attachment'),
    filename: file.filename,
    content_type: file.contentType,
    size: file.size,
  }
  const [inserted] = await tx<{ id: number; created_at: string }[]>`
    insert into attachments as a (public_id, workspace_id, site_id, conversation_id, filename, content_type, size)
    values (${row.public_id}, ${workspaceId}, ${siteId}, ${conversationId}, ${row.filename}, ${row.content_type},
            ${row.size})
    returning a.id, ${tx.unsafe(isoTime('a.created_at'))} as created_at`
  if (!inserted) throw new Error('a file was not inserted')
  let position = 0
  for await (const bytes of file.read(pieceSize)) {
    // In base64: the driver writes bytes in hex, which takes half as long again.
    await tx`
      insert into attachment_chunks (attachment_id, position, bytes)
      values (${inserted.id}, ${position}, decode(${bytes.toString('base64')}, 'base64'))`
    position += 1
  }
  return { object: 'attachment', ...shownFile(row), message_id: null, created_at: inserted.created_at }
}

const keptFile = (sql: Sql, { id, public_id, filename, content_type, size }: FileRow): KeptFile => ({
  id: public_id,
  filename,
  contentType: content_type,
  size,
  read: async function* () {
    for (let position = 0; position * pieceSize < size; position += 1) {
      const [piece] = await sql<{ bytes: Buffer }[]>`
        select bytes from attachment_chunks where attachment_id = ${id} and position = ${position}`
      if (!piece) throw new Error(`file ${public_id} was removed while it was read`)
      yield piece.bytes
    }
  },
})
