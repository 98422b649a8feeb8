/** Bulk changes beside everybody else: whatever names the same conversations in whatever order, nobody waits in a circle. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { changeConversations } from '../../server/domain/bulk.ts'
import type { Context } from '../../server/domain/context.ts'
import { receiveMessage } from '../../server/domain/messages.ts'
import { wakeNext } from '../../server/domain/snoozes.ts'
import { updateConversation } from '../../server/domain/triage.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { makeTenant } from '../support/tenant.ts'

let database: TestDatabase
let context: Context

beforeAll(async () => {
  database = await freshDatabase({ max: 24 })
  context = { sql: database.sql, bus: { publish: () => undefined } }
})
afterAll(() => database.close())

const during = 4000

it('bulk changes from both ends, visitors, triage and wakings for 4 s all succeed and leave no number out', async () => {
  const { workspace, agent, thread } = await makeTenant(context)
  const threads = await Promise.all(Array.from({ length: 12 }, () => thread()))
  const ids = threads.map(({ conversation }) => conversation)
  const pick = <T>(of: readonly T[]): T => {
    const picked = of[Math.floor(Math.random() * of.length)]
    if (picked === undefined) throw new Error('nothing to pick')
    return picked
  }
  let keys = 0
  const bulk = async (order: string[]) => {
    keys += 1
    const claim = { owner: 'test', route: 'bulk', key: `${keys}`, fingerprint: Buffer.from('x') }
    const input = {
      ids: order,
      action: pick(['close', 'open', 'snooze', 'read', 'unread', 'assign'] as const),
      assigned_user_id: pick([null, agent.user.publicId]),
    }
    const settled = await changeConversations(context, agent, input, {
      claim: Math.random() < 0.5 ? claim : undefined,
      onProgress: () => undefined,
    })
    expect(settled.answer).toEqual(order.map((id) => ({ id, refusal: null })))
  }
  const soon = () => new Date(Date.now() + 20).toISOString()
  const acts: Record<string, () => Promise<unknown>> = {
    forward: () => bulk(ids),
    backward: () => bulk(ids.toReversed()),
    visit: () => receiveMessage(context, pick(threads).visitor, 'hello'),
    triage: () =>
      updateConversation(context, agent, pick(ids), { status: pick(['open', 'closed']), tags: [pick(ids)] }),
    assign: () =>
      updateConversation(context, agent, pick(ids), { assigned_user_id: pick([null, agent.user.publicId]) }),
    snooze: () => updateConversation(context, agent, pick(ids), { status: 'snoozed', snoozed_until: soon() }),
    wake: () => wakeNext(context),
  }

  const counts = new Map<string, number>()
  const end = Date.now() + during
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      while (Date.now() < end) {
        const [name, act] = pick(Object.entries(acts))
        await act()
        counts.set(name, (counts.get(name) ?? 0) + 1)
      }
    }),
  )

  expect([...counts.keys()].sort()).toEqual(Object.keys(acts).sort())
  const [numbers] = await database.sql`
    select count(*)::int as rows, max(seq)::int as newest,
           (select seq::int from workspace_heads where workspace_id = ${workspace.id}) as head,
           count(*) filter (where payload ->> 'reason' = 'snooze_elapsed')::int as wakings
      from events where workspace_id = ${workspace.id}`
  expect(numbers).toMatchObject({ rows: numbers?.head, newest: numbers?.head })
  expect(numbers?.wakings).toBeGreaterThan(0)
  const torn = await database.sql`
    select c.public_id from conversations c join events e on e.conversation_id = c.id
     group by c.id having count(*) <> max(c.seq) or max(e.conversation_seq) <> max(c.seq) or max(e.public_seq) <> max(c.public_seq)`
  expect(torn).toEqual([])
  // Only who is snoozed sleeps until a time, and the list of those who are not closed holds exactly those.
  const confused = await database.sql`
    select c.public_id from conversations c join conversation_activity a on a.conversation_id = c.id
     where (c.snoozed_until is not null and c.state <> 'snoozed') or a.closed <> (c.state = 'closed')`
  expect(confused).toEqual([])
})
