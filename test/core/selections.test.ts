/** Selections: what has a tag or a user is listed whole, be it a few among many or most of them. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ListConversations } from '../../schema/muro/conversations.ts'
import { appendMessage } from '../../server/domain/append.ts'
import type { Context } from '../../server/domain/context.ts'
import { listConversations } from '../../server/domain/inbox.ts'
import { updateConversation } from '../../server/domain/triage.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { makeTenant, type Tenant } from '../support/tenant.ts'

let database: TestDatabase
let context: Context
beforeAll(async () => {
  database = await freshDatabase()
  context = { sql: database.sql, bus: { publish: () => undefined } }
})
afterAll(() => database.close())

/** The numbers of what a walk with these filters comes to, in its order. */
const walk = async (tenant: Tenant, filters: Partial<ListConversations>): Promise<number[]> => {
  const seen: number[] = []
  for (let cursor: string | undefined | null; cursor !== null; ) {
    const page = await listConversations(context, tenant.agent, { limit: 100, cursor, ...filters })
    seen.push(...page.data.map(({ metadata }) => Number(metadata.number)))
    cursor = page.nextCursor
  }
  return seen
}

const down = (from: number, to: number, step = 1): number[] =>
  Array.from({ length: Math.floor((from - to) / step) + 1 }, (_, index) => from - index * step)

describe('of 8,000 conversations', () => {
  let tenant: Tenant
  beforeAll(async () => {
    tenant = await makeTenant(context)
    const { contact } = await tenant.thread()
    const name = tenant.workspace.publicId.slice(4)
    await database.sql`
      with made as (
        insert into conversations (public_id, workspace_id, number, site_id, contact_id, assignee_id, tags, metadata)
        select 'cnv_' || ${name}::text || n, ${tenant.workspace.id}, n + 10, ${tenant.site.ref.id},
               (select id from contacts where public_id = ${contact}), case when n <= 30 then ${tenant.adminRowId}::bigint end,
               array_remove(array['all', case when n <= 5500 then 'old' end, case when n % 1000 = 0 then 'few' end,
                                  case when n > 7990 then 'new' end], null),
               json_build_object('number', n)
          from generate_series(1, 8000) n returning id, number
      )
      insert into conversation_activity (conversation_id, workspace_id, opened_seq, seq)
      select id, ${tenant.workspace.id}, number, number from made`
    await database.sql`update workspace_heads set seq = 9000 where workspace_id = ${tenant.workspace.id}`
  })

  it('those with a tag are found: a few, the newest, most of the older ones, and all', async () => {
    expect(await walk(tenant, { tag: 'few' })).toEqual(down(8000, 1000, 1000))
    expect(await walk(tenant, { tag: 'new' })).toEqual(down(8000, 7991))
    expect(await walk(tenant, { tag: 'old' })).toEqual(down(5500, 1))
    expect(await walk(tenant, { tag: 'all' })).toEqual(down(8000, 1))
    expect(await walk(tenant, { tag: 'none' })).toEqual([])
  })

  it('those of a user are found, and those that have a tag beside', async () => {
    const assigned_user_id = tenant.agent.user.publicId
    expect(await walk(tenant, { assigned_user_id })).toEqual(down(30, 1))
    expect(await walk(tenant, { assigned_user_id, tag: 'old' })).toEqual(down(30, 1))
    expect(await walk(tenant, { assigned_user_id, tag: 'few' })).toEqual([])
    expect(await walk(tenant, { assigned_user_id: 'none', tag: 'few' })).toEqual(down(8000, 1000, 1000))
  })
})

it('what is said in a conversation that has tags and a user changes none of the indexes of its row', async () => {
  const tenant = await makeTenant(context)
  const { conversation, visitor } = await tenant.thread()
  await updateConversation(context, tenant.agent, conversation, {
    tags: ['vip', 'billing'],
    assigned_user_id: tenant.agent.user.publicId,
  })
  const { workspace, user } = tenant.agent
  const from = { workspace, site: null, conversation, content: 'Hello', clientId: null }
  const [before, after] = await database.sql.begin(async (tx) => {
    const updates = () => tx`
      select pg_stat_get_xact_tuples_updated('conversations'::regclass)::int as all,
             pg_stat_get_xact_tuples_hot_updated('conversations'::regclass)::int as hot`
    const [before] = await updates()
    await appendMessage(
      tx,
      { ...from, senderType: 'agent', senderId: user.publicId, author: user.name, contactId: null },
      undefined,
    )
    const { id, publicId, name } = visitor.contact
    await appendMessage(
      tx,
      { ...from, senderType: 'visitor', senderId: publicId, author: name, contactId: id },
      undefined,
    )
    const [after] = await updates()
    return [before, after]
  })
  expect([after?.all - before?.all, after?.hot - before?.hot]).toEqual([2, 2])
})
