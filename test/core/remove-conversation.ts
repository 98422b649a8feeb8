/** Removes a conversation of a test while something is being done about it. */

import type { Sql } from '../../server/db/sql.ts'

/** Removes it with its messages, under its lock. */
export const removeConversation = async (sql: Sql, conversation: string): Promise<void> => {
  await sql.begin(async (tx) => {
    const [row] = await tx<{ id: number }[]>`select id from conversations where public_id = ${conversation} for update`
    const id = row?.id ?? 0
    for (const table of ['messages', 'summaries', 'conversation_activity']) {
      await tx`delete from ${tx(table)} where conversation_id = ${id}`
    }
    await tx`update events set conversation_id = null where conversation_id = ${id}`
    await tx`delete from conversations where id = ${id}`
  })
}
