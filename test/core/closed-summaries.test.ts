/** Conversations that are closed are summarized by themselves: once, later where it fails, and by whoever is left. */

import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Ai, createAi } from '../../server/ai/ai.ts'
import { takeDue } from '../../server/domain/closed-summaries.ts'
import type { Context } from '../../server/domain/context.ts'
import { receiveMessage, sendMessage } from '../../server/domain/messages.ts'
import { readSummary, summarizeConversation } from '../../server/domain/summaries.ts'
import { updateConversation } from '../../server/domain/triage.ts'
import { startSummarizingClosed } from '../../server/jobs/summarize-closed.ts'
import { type FakeAi, startAi } from '../support/ai.ts'
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
let jobs: ReturnType<typeof startSummarizingClosed>[] = []
beforeEach(async () => {
  fake = await startAi()
  ai = createAi(fake.env)
  tenant = await makeTenant(context)
  thread = await tenant.thread()
  await receiveMessage(context, thread.visitor, 'Hello?')
})
afterEach(async () => {
  await stopAll()
  await fake.stop()
  // What one test has left is not another's to do.
  await database.sql`update summaries set due_at = null, lease_until = null`
})

const start = ({ isOff = false } = {}) => {
  const job = startSummarizingClosed({ context, ai: isOff ? undefined : ai, logger: pino({ level: 'silent' }) })
  jobs.push(job)
  return job
}
const stopAll = async () => {
  await Promise.all(jobs.map((job) => job.stop()))
  jobs = []
}
const eventually = <T>(read: () => T) => expect.poll(read, { timeout: 10_000 })
const change = (status: 'open' | 'closed' | 'snoozed', { conversation } = thread) =>
  updateConversation(context, tenant.agent, conversation, { status })
const reply = (content = 'Hi.') => sendMessage(context, tenant.agent, thread.conversation, { content, kind: 'agent' })
const bullets = ({ conversation } = thread) =>
  readSummary(context, tenant.agent, conversation).then(
    (facts) => facts.bullets,
    () => undefined,
  )
const rowOf = async ({ conversation } = thread) => {
  const [row] = await database.sql<{ due: number | null; attempts: number; leased: boolean }[]>`
    select round(extract(epoch from s.due_at - clock_timestamp()))::int as due, s.attempts,
           coalesce(s.lease_until > clock_timestamp(), false) as leased
      from summaries s join conversations c on c.id = s.conversation_id where c.public_id = ${conversation}`
  return row
}
/** Resolves when the job has read the whole log and there is nothing left to do now. */
const atRest = async () =>
  await eventually(async () => {
    const [row] = await database.sql<{ behind: boolean; due: boolean }[]>`
          select exists (select from log_followers f join workspace_heads h using (workspace_id)
                          where f.follower = 'summaries' and f.seq < h.seq) as behind,
                 exists (select from summaries where due_at <= clock_timestamp() or lease_until is not null) as due`
    return row
  }).toEqual({ behind: false, due: false })
const makeItDue = () => database.sql`update summaries set due_at = clock_timestamp() where due_at is not null`

describe('a conversation that is closed', () => {
  it('is summarized, and one that is changed or snoozed is not', async () => {
    const snoozed = await tenant.thread()
    await receiveMessage(context, snoozed.visitor, 'Later?')
    await change('snoozed', snoozed)
    await updateConversation(context, tenant.agent, snoozed.conversation, { tags: ['closed'] })
    await change('closed')
    start()
    await eventually(() => bullets()).toEqual(['The visitor wanted a refund.', 'It was paid back.'])
    await atRest()
    expect(await rowOf()).toEqual({ due: null, attempts: 0, leased: false })
    expect(await rowOf(snoozed)).toBeUndefined()
    expect(fake.requests).toHaveLength(1)
  })

  it('is summarized once however often it was closed meanwhile, and by one of two workers', async () => {
    const threads = [thread, ...(await Promise.all(Array.from({ length: 9 }, () => tenant.thread())))]
    for (const one of threads.slice(1)) await receiveMessage(context, one.visitor, 'Hello?')
    for (const one of threads) {
      for (const status of ['closed', 'open', 'closed'] as const) await change(status, one)
    }
    start()
    start()
    for (const one of threads) await eventually(() => bullets(one)).toHaveLength(2)
    await atRest()
    expect(fake.requests).toHaveLength(10)
  })

  it('is not summarized where that was done since the last message, or nobody said anything, or it is open again', async () => {
    const empty = await tenant.thread()
    await summarizeConversation(context, tenant.agent, ai, thread.conversation)
    await change('closed')
    await change('closed', empty)
    const reopened = await tenant.thread()
    await receiveMessage(context, reopened.visitor, 'Hello?')
    await change('closed', reopened)
    await receiveMessage(context, reopened.visitor, 'Wait.')
    start()
    await eventually(() => rowOf(reopened)).toMatchObject({ due: null })
    await atRest()
    expect(fake.requests).toHaveLength(1)
    expect([await bullets(empty), await bullets(reopened)]).toEqual([undefined, undefined])
  })

  it('is summarized anew where more was said before it is closed again, also while the AI still answers', async () => {
    await change('closed')
    const release = fake.holds('- Early.')
    start()
    await fake.received(1)
    await reply('One more thing.')
    await change('open')
    await change('closed')
    // The second closing is noted before the first summary is there.
    await eventually(async () => (await rowOf())?.attempts).toBe(0)
    fake.says('- Late.')
    release()
    await eventually(() => bullets()).toEqual(['Late.'])
    await atRest()
    expect(fake.threads().map(({ length }) => length)).toEqual([1, 2])
  })

  it('while AI is off is not summarized, nor when AI is switched on later', async () => {
    await change('closed')
    start({ isOff: true })
    await atRest()
    await stopAll()
    start()
    const next = await tenant.thread()
    await receiveMessage(context, next.visitor, 'Hello?')
    await change('closed', next)
    await eventually(() => bullets(next)).toHaveLength(2)
    expect(await rowOf()).toBeUndefined()
  })
})

describe('where the AI fails', () => {
  it('it is asked again after 1, 5 and 30 minutes, and then no more, until the conversation is closed again', async () => {
    fake.answer(500)
    await change('closed')
    start()
    for (const [n, seconds] of [60, 300, 1800].entries()) {
      await fake.received(n + 1)
      await eventually(rowOf).toMatchObject({ attempts: n + 1, leased: false, due: expect.any(Number) })
      const { due } = (await rowOf()) ?? {}
      expect(due).toBeGreaterThan(seconds - 10)
      expect(due).toBeLessThanOrEqual(seconds)
      await makeItDue()
    }
    await fake.received(4)
    await eventually(rowOf).toEqual({ due: null, attempts: 4, leased: false })
    expect(fake.requests).toHaveLength(4)
    expect(await bullets()).toBeUndefined()

    fake.says('- At last.')
    await change('open')
    await change('closed')
    await eventually(() => bullets()).toEqual(['At last.'])
    await atRest()
    expect(await rowOf()).toEqual({ due: null, attempts: 0, leased: false })
  })

  it('others are summarized all the same', async () => {
    fake.answer(({ body }) =>
      body.includes('poison') ? 400 : { status: 200, body: '{"choices":[{"message":{"content":"- Fine."}}]}' },
    )
    await receiveMessage(context, thread.visitor, 'poison')
    const other = await tenant.thread()
    await receiveMessage(context, other.visitor, 'Hello?')
    await change('closed')
    await change('closed', other)
    start()
    await eventually(() => bullets(other)).toEqual(['Fine.'])
    await eventually(rowOf).toMatchObject({ attempts: 1, leased: false })
  })
})

describe('a worker', () => {
  it('that is stopped lets go at once of what it has begun, and the next one makes it', async () => {
    fake.answer('hang')
    await change('closed')
    start()
    await fake.received(1)
    const from = performance.now()
    await stopAll()
    expect(performance.now() - from).toBeLessThan(2000)
    await fake.settled()
    expect(await rowOf()).toMatchObject({ attempts: 0, leased: false, due: expect.any(Number) })
    fake.says('- Done.')
    start()
    await eventually(() => bullets()).toEqual(['Done.'])
  })

  it('that died leaves what it had to the others once its lease is over, and not before', async () => {
    fake.answer('hang')
    await change('closed')
    start()
    await fake.received(1)
    await stopAll()
    // As one that takes it and is never heard of again.
    const [taken] = await takeDue(database.sql, 10)
    expect(await takeDue(database.sql, 10)).toEqual([])
    expect((taken?.leaseUntil.getTime() ?? 0) - Date.now()).toBeGreaterThan(60_000)
    fake.says('- Done.')
    start()
    const other = await tenant.thread()
    await receiveMessage(context, other.visitor, 'Hello?')
    await change('closed', other)
    await eventually(() => bullets(other)).toEqual(['Done.'])
    expect(await bullets()).toBeUndefined()
    await database.sql`update summaries set lease_until = clock_timestamp() where lease_until is not null`
    await eventually(() => bullets()).toEqual(['Done.'])
  })

  it('is not killed by the same conversation for ever', async () => {
    await change('closed')
    start()
    await eventually(() => bullets()).toHaveLength(2)
    await stopAll()
    await reply()
    await database.sql`update summaries set due_at = clock_timestamp(), attempts = 4`
    start()
    await atRest()
    expect(fake.requests).toHaveLength(1)
  })

  it('has nothing to do for a conversation that is deleted', async () => {
    const release = fake.holds('- Gone.')
    await change('closed')
    start()
    await fake.received(1)
    await removeConversation(database.sql, thread.conversation)
    release()
    await fake.settled()
    await stopAll()
    expect(await database.sql`select from summaries where content = '- Gone.'`).toHaveLength(0)
  })
})
