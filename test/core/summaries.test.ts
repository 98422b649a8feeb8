/** Summaries: what is told to the AI, what is kept of its answer, and what happens beside it meanwhile. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Ai, createAi } from '../../server/ai/ai.ts'
import type { Context, Reach } from '../../server/domain/context.ts'
import type { Claim } from '../../server/domain/idempotency.ts'
import { receiveMessage, sendMessage } from '../../server/domain/messages.ts'
import { beginConversation } from '../../server/domain/site-visitors.ts'
import { findSiteByKey } from '../../server/domain/sites.ts'
import { readSummary, summarizeConversation } from '../../server/domain/summaries.ts'
import { type FakeAi, promptOf, saying, startAi } from '../support/ai.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { makeTenant, type Tenant, type Thread } from '../support/tenant.ts'
import { removeConversation } from './remove-conversation.ts'

let database: TestDatabase
let context: Context
beforeAll(async () => {
  database = await freshDatabase({ max: 10 })
  context = { sql: database.sql, bus: { publish: () => undefined } }
})
afterAll(() => database.close())

let fake: FakeAi
let ai: Ai | undefined
let tenant: Tenant
let thread: Thread
beforeEach(async () => {
  fake = await startAi()
  ai = createAi(fake.env)
  tenant = await makeTenant(context)
  thread = await tenant.thread()
})
afterEach(() => fake.stop())

const asks = (content: string) => receiveMessage(context, thread.visitor, content)
const says = (content: string, kind: 'agent' | 'note' = 'agent') =>
  sendMessage(context, tenant.agent, thread.conversation, { content, kind })
const summarize = async (claim?: Claim) =>
  (await summarizeConversation(context, tenant.agent, ai, thread.conversation, claim)).answer
const stored = (reach: Reach = tenant.agent) => readSummary(context, reach, thread.conversation)
const claim = (key: string): Claim => ({
  owner: tenant.workspace.publicId,
  route: 'POST x',
  key,
  fingerprint: Buffer.alloc(0),
})
const claims = async () =>
  (await database.sql`select from idempotency_keys where owner = ${tenant.workspace.publicId}`).length

describe('a summary', () => {
  it('is of what the visitor, agents and notes said, in order, with files by name; not of automated lines', async () => {
    const site = await findSiteByKey(database.sql, (await tenant.makeSite({ autoReply: 'We will be back.' })).site_key)
    if (!site) throw new Error('no site')
    const begun = await beginConversation(context, site, {
      name: 'Vita',
      email: 'vita@example.com',
      message: 'My order is late.',
      visitorToken: `v-${thread.conversation}`,
    })
    thread = { ...thread, conversation: begun.conversation }
    await says('I will look.')
    await says('She is a VIP.', 'note')
    await database.sql`
      update messages set attachments = '[{"id": "att_1", "filename": "order.pdf"}]' where content = 'I will look.'`
    expect(await summarize()).toEqual({
      conversation_id: thread.conversation,
      bullets: ['The visitor wanted a refund.', 'It was paid back.'],
      content: '- The visitor wanted a refund.\n- It was paid back.',
      message_count: 3,
      model: 'fake-1',
      generated_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    })
    expect(fake.threads()).toEqual([
      [
        { from: 'visitor', name: 'Vita', text: 'My order is late.' },
        { from: 'agent', name: 'Ada', text: 'I will look.', files: ['order.pdf'] },
        { from: 'note', name: 'Ada', text: 'She is a VIP.' },
      ],
    ])
  })

  it('is kept and can be read by whom the conversation is for, until it is made anew', async () => {
    await asks('Hello?')
    await expect(stored()).rejects.toMatchObject({ code: 'not_found' })
    const first = await summarize()
    expect(await stored()).toEqual(first)
    await says('Hi.')
    fake.says('- It is about \u0000 greetings.')
    const second = await summarize()
    expect(second).toMatchObject({ bullets: ['It is about greetings.'], message_count: 2 })
    expect(Date.parse(second.generated_at)).toBeGreaterThanOrEqual(Date.parse(first.generated_at))
    expect(await stored()).toEqual(second)

    const other = await makeTenant(context)
    const pinned = await tenant.makeKey(await tenant.makeSite())
    const here = await tenant.makeKey(tenant.site)
    for (const { agent } of [other, pinned]) {
      await expect(stored(agent)).rejects.toMatchObject({ code: 'not_found' })
      const asked = summarizeConversation(context, agent, ai, thread.conversation)
      await expect(asked).rejects.toMatchObject({ code: 'not_found' })
    }
    expect(await stored(here.agent)).toEqual(second)
    expect(fake.requests).toHaveLength(2)
  })

  it('of a long thread is of its newest part, and counts what is in it', async () => {
    for (let n = 0; n < 8; n += 1) await asks(`${n} ${'x'.repeat(20_000)}`)
    const { message_count } = await summarize()
    expect(message_count).toBe(2)
    expect(fake.threads()[0]?.map(({ text }) => text.slice(0, 2))).toEqual(['6 ', '7 '])
    expect(promptOf(fake.requests[0]).system).toMatch(/left out/)
  })

  it('of nothing is refused, and of no conversation too', async () => {
    await expect(summarize()).rejects.toMatchObject({ code: 'invalid' })
    for (const id of ['cnv_unknown', 'nonsense', 'cnv_\0', thread.contact]) {
      const asked = summarizeConversation(context, tenant.agent, ai, id)
      await expect(asked).rejects.toMatchObject({ code: 'not_found' })
      await expect(readSummary(context, tenant.agent, id)).rejects.toMatchObject({ code: 'not_found' })
    }
    expect(fake.requests).toEqual([])
  })

  it('is unavailable where AI is off or answers nothing of use; what was kept before stays', async () => {
    await asks('Hello?')
    const first = await summarize()
    for (const reply of [500, { status: 200, body: 'garbage' }, saying('---')]) {
      fake.answer(reply)
      await expect(summarize()).rejects.toMatchObject({ code: 'unavailable' })
    }
    ai = undefined
    await expect(summarize()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/AI is off/),
    })
    expect(await stored()).toEqual(first)
  })
})

describe('while the AI answers', () => {
  it('nothing is locked and no transaction is open: the talk goes on', async () => {
    await asks('Hello?')
    const release = fake.holds('- Greetings.')
    const summarizing = summarize(claim('k'))
    await fake.received(1)
    await Promise.all([asks('Still there?'), says('Yes.')])
    const open = await database.sql`
      select query from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null`
    expect(open).toEqual([])
    release()
    expect(await summarizing).toMatchObject({ message_count: 1 })
  })

  it('two may ask at once, and what came last stays', async () => {
    await asks('Hello?')
    const release = fake.holds('- First.')
    const first = summarize()
    await fake.received(1)
    fake.says('- Second.')
    expect((await summarize()).bullets).toEqual(['Second.'])
    release()
    await first
    expect((await stored()).bullets).toEqual(['First.'])
  })

  it('a conversation that is deleted has no summary afterwards', async () => {
    await asks('Hello?')
    const release = fake.holds('- Gone.')
    const summarizing = summarize(claim('k'))
    const refused = expect(summarizing).rejects.toMatchObject({ code: 'not_found' })
    await fake.received(1)
    await removeConversation(database.sql, thread.conversation)
    release()
    await refused
    expect(await database.sql`select from summaries where content = '- Gone.'`).toHaveLength(0)
    expect(await claims()).toBe(0)
  })
})

describe('an identical retry', () => {
  it('asks the AI once and is answered the same', async () => {
    await asks('Hello?')
    const first = await summarizeConversation(context, tenant.agent, ai, thread.conversation, claim('k'))
    fake.says('- Other.')
    const again = await summarizeConversation(context, tenant.agent, ai, thread.conversation, claim('k'))
    expect([first.replayed, again.replayed]).toEqual([false, true])
    expect(JSON.stringify(again.answer)).toBe(JSON.stringify(first.answer))
    expect(fake.requests).toHaveLength(1)
    expect((await summarize(claim('other'))).bullets).toEqual(['Other.'])
  })

  it('is refused while the first one runs, and begins anew once that has failed', async () => {
    await asks('Hello?')
    fake.answer('hang')
    const running = createAi(fake.env, { patience: 500 })
    const first = summarizeConversation(context, tenant.agent, running, thread.conversation, claim('k'))
    const refused = expect(first).rejects.toMatchObject({ code: 'unavailable' })
    await fake.received(1)
    await expect(summarize(claim('k'))).rejects.toMatchObject({ code: 'idempotency_in_progress' })
    await refused
    fake.says('- Now.')
    expect((await summarize(claim('k'))).bullets).toEqual(['Now.'])
  })
})
