/** What a deletion costs: the same few statements for a long thread as for a short one, found by their indexes. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Tx } from '../../server/db/sql.ts'
import type { Context } from '../../server/domain/context.ts'
import { deleteContact, deleteConversation } from '../../server/domain/deletion.ts'
import { receiveMessage } from '../../server/domain/messages.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { makeTenant, type Tenant, type Thread } from '../support/tenant.ts'

let database: TestDatabase
let context: Context
let tenant: Tenant

beforeAll(async () => {
  database = await freshDatabase()
  context = { sql: database.sql, bus: { publish: () => undefined } }
  tenant = await makeTenant(context)
})
afterAll(() => database.close())

/** Writes a long thread at once, as messages of its visitor. */
const fill = async ({ conversation, contact }: Thread, count: number): Promise<void> => {
  await database.sql`
    with c as (
      update conversations set seq = seq + ${count}, public_seq = public_seq + ${count} where public_id = ${conversation}
      returning *
    ), h as (
      update workspace_heads set seq = workspace_heads.seq + ${count} from c
       where workspace_heads.workspace_id = c.workspace_id returning workspace_heads.seq
    ), m as (
      insert into messages (public_id, workspace_id, conversation_id, seq, conversation_seq, sender_type, sender_id, content,
                            created_at)
      select 'msg_' || c.id || 'n' || n, c.workspace_id, c.id, h.seq - ${count} + n, c.seq - ${count} + n, 'visitor',
             ${contact}, 'to be forgotten', now()
        from c, h, generate_series(1, ${count}::int) n
    )
    insert into events (workspace_id, seq, public_id, type, site_id, conversation_id, conversation_seq, public_seq, payload)
    select c.workspace_id, h.seq - ${count} + n, 'evt_' || c.id || 'n' || n, 'message.new', c.site_id, c.id,
           c.seq - ${count} + n, c.public_seq - ${count} + n, '{"content":"to be forgotten"}'
      from c, h, generate_series(1, ${count}::int) n`
}

/** Acts, and returns the statements of its transaction. */
const statementsOf = async (act: (context: Context) => Promise<unknown>): Promise<string[]> => {
  const statements: string[] = []
  const keep = (tx: Tx): Tx =>
    new Proxy(tx, {
      apply: (target, self, args: unknown[]) => {
        const [text] = args
        const statement = Array.isArray(text) ? text.join('?').trim() : ''
        if (/^(select|insert|update|delete|with) /.test(statement)) statements.push(statement)
        return Reflect.apply(target, self, args)
      },
    })
  const { sql } = database
  const begin = async (write: (tx: Tx) => unknown) => await sql.begin((tx) => write(keep(tx)))
  await act({
    ...context,
    sql: new Proxy(sql, { get: (of, name) => (name === 'begin' ? begin : Reflect.get(of, name)) }),
  })
  return statements
}

it('a thread of 10,000 messages is blanked by one statement, and costs no more of them than an empty one', async () => {
  const [short, long, kept] = await Promise.all([tenant.thread(), tenant.thread(), tenant.thread()])
  await fill(kept, 20_000)
  await fill(long, 10_000)
  const ofShort = await statementsOf((counting) => deleteConversation(counting, tenant.agent, short.conversation))
  const begun = performance.now()
  const ofLong = await statementsOf((counting) => deleteConversation(counting, tenant.agent, long.conversation))
  expect(performance.now() - begun).toBeLessThan(4000)
  expect(ofLong).toEqual(ofShort)
  expect(ofLong.filter((statement) => /^\s*update events/.test(statement))).toHaveLength(1)
  const [left] = await database.sql`
    select count(*) filter (where type = 'conversation.deleted' and payload ->> 'id' = ${long.conversation})::int as blank,
           count(*) filter (where payload::text like '%to be forgotten%')::int as told
      from events where workspace_id = ${tenant.workspace.id}`
  expect(left).toEqual({ blank: 10_002, told: 20_000 })
})

it('a contact with a hundred conversations is erased by as many statements as one with a single one', async () => {
  const { sql } = database
  const [few, many] = await Promise.all([tenant.thread(), tenant.thread()])
  await sql`
    with c as (
      insert into conversations (public_id, workspace_id, number, site_id, contact_id)
      select c.public_id || 'x' || n, c.workspace_id, 1000 + n, c.site_id, c.contact_id
        from conversations c, generate_series(1, 99) n where c.public_id = ${many.conversation}
      returning id
    )
    insert into conversation_activity (conversation_id, workspace_id, opened_seq, seq)
    select id, ${tenant.workspace.id}, 1, 1 from c`
  await receiveMessage(context, many.visitor, 'Hi')
  const before = await sql<
    { seq: number }[]
  >`select seq from workspace_heads where workspace_id = ${tenant.workspace.id}`
  const ofFew = await statementsOf((counting) => deleteContact(counting, tenant.agent, few.contact))
  const ofMany = await statementsOf((counting) => deleteContact(counting, tenant.agent, many.contact))
  expect(ofMany.length).toBe(ofFew.length)
  const after = await sql<
    { seq: number }[]
  >`select seq from workspace_heads where workspace_id = ${tenant.workspace.id}`
  expect((after[0]?.seq ?? 0) - (before[0]?.seq ?? 0)).toBe(2 + 101)
})
