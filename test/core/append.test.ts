/** Appending: one order, dense numbers, one statement, and retries that act once. */

import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HubbubError } from '../../schema/errors.ts'
import { decodeStreamEvent, encodeStreamEvent, toStreamEvent } from '../../schema/events.ts'
import { keepFile, keepVisitorFile } from '../../server/domain/attachments.ts'
import type { Context } from '../../server/domain/context.ts'
import { readHistory } from '../../server/domain/history.ts'
import { listMessages, receiveMessage, sendMessage } from '../../server/domain/messages.ts'
import { updateConversation } from '../../server/domain/triage.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { makeTenant } from '../support/tenant.ts'

let database: TestDatabase
let published: string[]
let context: Context

beforeAll(async () => {
  database = await freshDatabase()
  published = []
  context = { sql: database.sql, bus: { publish: (_subject, message) => published.push(message) } }
})
afterAll(() => database.close())

const claim = (key: string, body: string) => ({
  owner: 'key_test',
  route: 'POST /x',
  key,
  fingerprint: createHash('sha256').update(body).digest(),
})

/** Reads the numbers of a workspace's log and of its conversations' logs. */
const numbersOf = async (workspaceId: number) => {
  const log = await database.sql<
    { seq: number; conversation_id: number | null; conversation_seq: number; public_seq: number | null }[]
  >`
    select seq, conversation_id, conversation_seq, public_seq from events where workspace_id = ${workspaceId} order by seq`
  const conversations = new Map<number | null, (typeof log)[number][]>()
  for (const row of log)
    conversations.set(row.conversation_id, [...(conversations.get(row.conversation_id) ?? []), row])
  return { log, conversations }
}

const countTo = (length: number) => Array.from({ length }, (_, index) => index + 1)

describe('P2: one order, everywhere', () => {
  it('32 writers on 8 conversations of 2 workspaces leave no number out and use none twice', async () => {
    const tenants = [await makeTenant(context), await makeTenant(context)]
    const threads: (Awaited<ReturnType<(typeof tenants)[number]['thread']>> & { tenant: (typeof tenants)[number] })[] =
      []
    for (const tenant of tenants) for (const _ of countTo(4)) threads.push({ tenant, ...(await tenant.thread()) })
    published.length = 0

    const each = 100
    await Promise.all(
      countTo(32).map(async (writer) => {
        for (const turn of countTo(each)) {
          const thread = threads[(writer + turn) % threads.length]
          if (!thread) throw new Error('no thread')
          const { tenant, conversation, visitor } = thread
          if (turn % 3 === 0) await receiveMessage(context, visitor, `${writer}/${turn}`)
          else
            await sendMessage(context, tenant.agent, conversation, {
              content: `${writer}/${turn}`,
              kind: turn % 3 === 1 ? 'agent' : 'note',
            })
        }
      }),
    )

    for (const { workspace } of tenants) {
      const { log, conversations } = await numbersOf(workspace.id)
      expect(log.map(({ seq }) => seq)).toEqual(countTo(log.length))
      for (const [id, rows] of conversations) {
        if (id === null) continue
        expect(rows.map(({ conversation_seq }) => conversation_seq)).toEqual(countTo(rows.length))
        const heard = rows.filter(({ public_seq }) => public_seq !== null)
        expect(heard.map(({ public_seq }) => public_seq)).toEqual(countTo(heard.length))
      }
      const [head] = await database.sql`select seq from workspace_heads where workspace_id = ${workspace.id}`
      expect(head?.seq).toBe(log.length)
    }
    const told = published.map((message) => decodeStreamEvent(message))
    expect(told.filter((event) => event?.name === 'message.new')).toHaveLength(32 * each)
  })

  it('times rise strictly with numbers in a conversation', async () => {
    const tenant = await makeTenant(context)
    const { conversation } = await tenant.thread()
    await Promise.all(
      countTo(50).map((n) => sendMessage(context, tenant.agent, conversation, { content: `${n}`, kind: 'agent' })),
    )
    const { messages } = await listMessages(context, tenant.agent, conversation, { position: 0, limit: 100 })
    const times = messages.map(({ created_at }) => created_at)
    expect(new Set(times).size).toBe(50)
    expect(times).toEqual([...times].sort())
  })

  it('polling by since and by after while messages are written misses none', async () => {
    const tenant = await makeTenant(context)
    const { conversation } = await tenant.thread()
    let writing = true
    const poll = async (read: (last: { id: string; created_at: string } | undefined) => object) => {
      const seen: string[] = []
      let last: { id: string; created_at: string } | undefined
      for (let idle = 0; idle < 2; ) {
        const wasWriting = writing
        const { messages } = await listMessages(context, tenant.agent, conversation, {
          position: 0,
          limit: 7,
          ...read(last),
        })
        for (const message of messages) seen.push(message.content)
        last = messages.at(-1) ?? last
        idle = !wasWriting && messages.length === 0 ? idle + 1 : 0
      }
      return seen
    }
    const polls = [
      poll((last) => (last ? { since: last.created_at } : {})),
      poll((last) => (last ? { after: last.id } : {})),
    ]
    await Promise.all(
      countTo(8).map(async (writer) => {
        for (const turn of countTo(40))
          await sendMessage(context, tenant.agent, conversation, { content: `${writer}/${turn}`, kind: 'agent' })
      }),
    )
    writing = false
    const { messages } = await listMessages(context, tenant.agent, conversation, { position: 0, limit: 1000 })
    const all = messages.map(({ content }) => content)
    expect(all).toHaveLength(320)
    for (const seen of await Promise.all(polls)) expect(seen).toEqual(all)
  })
})

describe('P6: an identical retry acts once', () => {
  it('100 identical messages under one Idempotency-Key are one row and one answer, and burn no number', async () => {
    const tenant = await makeTenant(context)
    const { conversation } = await tenant.thread()
    const answers = await Promise.all(
      countTo(100).map(() =>
        sendMessage(context, tenant.agent, conversation, { content: 'once', kind: 'agent' }, claim('k1', 'once')),
      ),
    )
    expect(new Set(answers.map(({ answer }) => JSON.stringify(answer))).size).toBe(1)
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
    const { log } = await numbersOf(tenant.workspace.id)
    expect(log.map(({ seq }) => seq)).toEqual([1, 2, 3])
    const next = await sendMessage(context, tenant.agent, conversation, { content: 'next', kind: 'agent' })
    expect(next.replayed).toBe(false)
    expect((await numbersOf(tenant.workspace.id)).log).toHaveLength(4)
  })

  it('100 identical messages with one client_id are one row and one answer', async () => {
    const tenant = await makeTenant(context)
    const { conversation } = await tenant.thread()
    const message = { content: 'once', kind: 'agent' as const, client_id: 'c-1' }
    const answers = await Promise.all(countTo(100).map(() => sendMessage(context, tenant.agent, conversation, message)))
    expect(new Set(answers.map(({ answer }) => JSON.stringify(answer))).size).toBe(1)
    expect((await numbersOf(tenant.workspace.id)).log).toHaveLength(3)
  })

  it('the same key with another body is refused', async () => {
    const tenant = await makeTenant(context)
    const { conversation } = await tenant.thread()
    const send = (content: string) =>
      sendMessage(context, tenant.agent, conversation, { content, kind: 'agent' }, claim('k2', content))
    await send('first')
    await expect(send('second')).rejects.toMatchObject({ code: 'idempotency_mismatch' })
  })

  it('a key is known for a day, and new again after it', async () => {
    const tenant = await makeTenant(context)
    const { conversation } = await tenant.thread()
    const send = () =>
      sendMessage(context, tenant.agent, conversation, { content: 'again', kind: 'agent' }, claim('k3', 'again'))
    const first = await send()
    const pass = (hours: number) =>
      database.sql`update idempotency_keys set created_at = created_at - make_interval(hours => ${hours}) where key = 'k3'`
    await pass(23)
    expect(await send()).toMatchObject({ replayed: true, answer: { id: first.answer.id } })
    await pass(2)
    const second = await send()
    expect(second.replayed).toBe(false)
    expect(second.answer.id).not.toBe(first.answer.id)
  })

  it('a message to no conversation claims nothing', async () => {
    const tenant = await makeTenant(context)
    const send = () =>
      sendMessage(context, tenant.agent, 'cnv_none', { content: 'lost', kind: 'agent' }, claim('k4', 'lost'))
    await expect(send()).rejects.toMatchObject({ code: 'not_found' })
    const [row] = await database.sql`select count(*)::int as n from idempotency_keys where key = 'k4'`
    expect(row?.n).toBe(0)
  })
})

describe('what an append changes', () => {
  it("a visitor's message reopens a closed conversation, and only then the visitor hears of it", async () => {
    const tenant = await makeTenant(context)
    const { conversation, visitor } = await tenant.thread()
    await updateConversation(context, tenant.agent, conversation, { status: 'closed' })
    published.length = 0
    await receiveMessage(context, visitor, 'hello again')
    await receiveMessage(context, visitor, 'and more')
    const told = published.map((message) => decodeStreamEvent(message))
    expect(told.map((event) => event?.name)).toEqual([
      'message.new',
      'conversation.update',
      'message.new',
      'conversation.update',
    ])
    expect(JSON.parse(told[1]?.staff ?? '')).toMatchObject({
      status: 'open',
      unread_count: 1,
      changed: ['status', 'unread_count'],
    })
    expect(JSON.parse(told[1]?.visitor ?? '')).toEqual({ id: conversation, status: 'open', seq: 3 })
    expect(told[3]?.visitor).toBeNull()
  })

  it('what was told live is what the log tells later, byte for byte', async () => {
    const tenant = await makeTenant(context)
    published.length = 0
    const { conversation, visitor } = await tenant.thread()
    await receiveMessage(context, visitor, 'hello')
    await updateConversation(context, tenant.agent, conversation, {
      status: 'closed',
      metadata: { z: 1, a: { c: 2, b: 3 } },
    })
    const logged = await readHistory(database.sql, tenant.workspace.publicId, 0, 100)
    expect(logged.map((event) => encodeStreamEvent(toStreamEvent(event)))).toEqual(published)
    expect(published).toHaveLength(5)
  })

  it('an append is one query', async () => {
    const tenant = await makeTenant(context)
    const { conversation } = await tenant.thread()
    const queries: string[] = []
    const { default: postgres } = await import('postgres')
    const sql = postgres(database.url, { max: 1, fetch_types: false, debug: (_id, query) => queries.push(query) })
    await sql`select 1`
    queries.length = 0
    // The counting pool has the same types as the real one where an append looks.
    await sendMessage({ ...context, sql: sql as unknown as Context['sql'] }, tenant.agent, conversation, {
      content: 'one',
      kind: 'agent',
    })
    expect(queries).toHaveLength(1)
    await sql.end()
  })
})

describe('what an append may depend on', () => {
  it('of two agents who answer the same message at once exactly one is heard, in each of 20 rounds', async () => {
    const tenant = await makeTenant(context)
    const { conversation, visitor } = await tenant.thread()
    for (const round of countTo(20)) {
      const { answer: seen } = await receiveMessage(context, visitor, `question ${round}`)
      const answers = await Promise.allSettled(
        ['Ada', 'Grace', 'Alan'].map((name) =>
          sendMessage(context, tenant.agent, conversation, {
            content: `${name} ${round}`,
            kind: 'agent',
            expected_seq: seen.conversation_seq,
          }),
        ),
      )
      const sent = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value.answer] : []))
      expect(sent).toHaveLength(1)
      for (const one of answers) {
        if (one.status === 'fulfilled') continue
        expect(one.reason).toMatchObject({
          code: 'newer_messages',
          details: { messages: [{ object: 'message', id: sent[0]?.id, content: sent[0]?.content }] },
        })
      }
    }
    const { log } = await numbersOf(tenant.workspace.id)
    expect(log.map(({ seq }) => seq)).toEqual(countTo(log.length))
  })

  it('files, expectations, plain messages and triage at once end in no deadlock and leave no number out', async () => {
    const tenant = await makeTenant(context)
    const threads = await Promise.all(countTo(3).map(() => tenant.thread()))
    const read = async function* () {
      yield Buffer.from('x')
    }
    const file = { filename: 'f', contentType: 'text/plain', size: 1, read }
    const pool: string[] = []
    const pick = <T>(of: T[]): T => {
      const picked = of[Math.floor(Math.random() * of.length)]
      if (picked === undefined) throw new Error('nothing to pick')
      return picked
    }
    const acts = [
      async () => pool.push((await keepFile(context, tenant.agent, file)).answer.id),
      () =>
        sendMessage(context, tenant.agent, pick(threads).conversation, {
          kind: 'agent',
          content: 'files',
          attachment_ids: [...new Set(countTo(4).map(() => pick(pool)))],
        }),
      async () => {
        const { visitor } = pick(threads)
        const { answer } = await keepVisitorFile(context, visitor, file)
        await receiveMessage(context, visitor, '', undefined, [answer.id])
      },
      () =>
        sendMessage(context, tenant.agent, pick(threads).conversation, {
          content: 'x',
          kind: 'note',
          expected_seq: 1000,
        }),
      () => sendMessage(context, tenant.agent, pick(threads).conversation, { content: 'x', kind: 'agent' }),
      () => receiveMessage(context, pick(threads).visitor, 'v'),
      () => updateConversation(context, tenant.agent, pick(threads).conversation, { status: pick(['open', 'closed']) }),
    ]
    await acts[0]?.()
    const end = Date.now() + 2000
    await Promise.all(
      countTo(16).map(async () => {
        while (Date.now() < end) {
          await pick(acts)().catch((error: unknown) => {
            // A file that another was faster to send.
            if (!(error instanceof HubbubError && error.param === 'attachment_ids')) throw error
          })
        }
      }),
    )
    const { log, conversations } = await numbersOf(tenant.workspace.id)
    expect(log.map(({ seq }) => seq)).toEqual(countTo(log.length))
    for (const [id, rows] of conversations) {
      if (id !== null) expect(rows.map(({ conversation_seq }) => conversation_seq)).toEqual(countTo(rows.length))
    }
    const torn = await database.sql`
      select m.public_id from messages m
       where json_array_length(coalesce(m.attachments, '[]')) <>
             (select count(*) from attachments a where a.message_id = m.id and a.conversation_id = m.conversation_id)`
    expect(torn).toEqual([])
    const [sent] = await database.sql<{ n: number }[]>`
      select count(*) as n from attachments where message_id is not null and workspace_id = ${tenant.workspace.id}`
    expect(sent?.n).toBeGreaterThan(0)
  })

  it('what it refuses burns no number and is not told', async () => {
    const tenant = await makeTenant(context)
    const { conversation } = await tenant.thread()
    await sendMessage(context, tenant.agent, conversation, { content: 'first', kind: 'agent' })
    const before = (await numbersOf(tenant.workspace.id)).log
    published.length = 0
    const late = { content: 'late', kind: 'agent' as const }
    await expect(
      sendMessage(context, tenant.agent, conversation, { ...late, expected_seq: 0 }, claim('k5', 'late')),
    ).rejects.toMatchObject({ code: 'newer_messages' })
    await expect(
      sendMessage(context, tenant.agent, conversation, { ...late, attachment_ids: ['att_none'] }),
    ).rejects.toMatchObject({ code: 'invalid', param: 'attachment_ids' })
    expect((await numbersOf(tenant.workspace.id)).log).toEqual(before)
    expect(published).toEqual([])
  })

  it('a message with files is told live as the log tells it later, and a note with files not to the visitor', async () => {
    const tenant = await makeTenant(context)
    const { conversation } = await tenant.thread()
    const read = async function* () {
      yield Buffer.from('secret')
    }
    const keep = async (filename: string) =>
      (await keepFile(context, tenant.agent, { filename, contentType: 'text/plain', size: 6, read })).answer.id
    const shown = await keep('shown.txt')
    const hidden = await keep('hidden.txt')
    const from = (await numbersOf(tenant.workspace.id)).log.length
    published.length = 0
    await sendMessage(context, tenant.agent, conversation, { kind: 'agent', attachment_ids: [shown], expected_seq: 0 })
    await sendMessage(context, tenant.agent, conversation, { content: 'n', kind: 'note', attachment_ids: [hidden] })
    const logged = await readHistory(database.sql, tenant.workspace.publicId, from, 100)
    expect(logged.map((event) => encodeStreamEvent(toStreamEvent(event)))).toEqual(published)
    const [reply, note] = published.map((message) => decodeStreamEvent(message))
    expect(JSON.parse(reply?.visitor ?? '')).toMatchObject({
      attachments: [{ activity_id: 2, id: 1, filename: 'shown.txt', content_type: 'text/plain', size: 6 }],
    })
    expect(JSON.parse(note?.staff ?? '')).toMatchObject({ attachments: [{ id: hidden, filename: 'hidden.txt' }] })
    expect(note?.visitor).toBeNull()
  })
})
