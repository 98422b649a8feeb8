/** What a subscriber missed: all of it in order, or the reason why not, never a part. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ChatChannel } from '../../schema/channels.ts'
import { encodeStreamEvent, tellingsOf, toStreamEvent } from '../../schema/events.ts'
import { type Missed, maxReplay } from '../../schema/recovery.ts'
import { updateContact } from '../../server/domain/contacts.ts'
import type { Context } from '../../server/domain/context.ts'
import { receiveMessage, sendMessage } from '../../server/domain/messages.ts'
import { readMissed } from '../../server/domain/missed.ts'
import { updateConversation } from '../../server/domain/triage.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { makeTenant, type Tenant, type Thread } from '../support/tenant.ts'

let database: TestDatabase
let context: Context
beforeAll(async () => {
  database = await freshDatabase({ max: 4 })
  context = { sql: database.sql, bus: { publish: () => undefined } }
})
afterAll(() => database.close())

let tenant: Tenant
let thread: Thread
beforeEach(async () => {
  tenant = await makeTenant(context)
  thread = await tenant.thread()
})

const org = (of = tenant): ChatChannel => ({ audience: 'org', id: of.workspace.publicId })
const site = ({ id } = tenant.site): ChatChannel => ({ audience: 'site', id })
const conv = ({ conversation } = thread): ChatChannel => ({ audience: 'conv', id: conversation })
const visitor = ({ conversation } = thread): ChatChannel => ({ audience: 'visitor', id: conversation })

const missed = (channel: ChatChannel, since: number, of = tenant): Promise<Missed> =>
  readMissed(database.sql, { workspace: of.workspace.publicId, channel, since })

/** Returns the numbers that a channel was told, or why it was not. */
const numbers = async (channel: ChatChannel, since: number): Promise<(number | null)[] | string> => {
  const answer = await missed(channel, since)
  if ('failure' in answer) return answer.failure
  return answer.events.map(({ seq, public_seq }) => (channel.audience === 'visitor' ? public_seq : seq))
}

const reply = (content: string, kind: 'agent' | 'note' = 'agent', to = thread) =>
  sendMessage(context, tenant.agent, to.conversation, { content, kind })

const headOf = async (): Promise<number> => {
  const [row] = await database.sql<{ seq: number }[]>`
    select seq from workspace_heads where workspace_id = ${tenant.workspace.id}`
  return row?.seq ?? 0
}

/** Writes many small messages at once, as agents' replies of the thread's conversation. */
const logMany = async (count: number, { conversation }: Thread = thread) => {
  await database.sql`
    with c as (
      update conversations set seq = seq + ${count}, public_seq = public_seq + ${count} where public_id = ${conversation}
      returning *
    ), h as (
      update workspace_heads set seq = workspace_heads.seq + ${count} from c
       where workspace_heads.workspace_id = c.workspace_id returning workspace_heads.seq
    )
    insert into events (workspace_id, seq, public_id, type, site_id, conversation_id, conversation_seq, public_seq, payload)
    select c.workspace_id, h.seq - ${count} + n, 'evt_' || c.id || 'n' || h.seq || 'n' || n, 'message.new', c.site_id, c.id,
           c.seq - ${count} + n, c.public_seq - ${count} + n, '{"n":1}'
      from c, h, generate_series(1, ${count}::int) n`
}

/** Removes the oldest events of the log, up to a number. */
const prune = async (upTo: number) =>
  await database.sql`delete from events where workspace_id = ${tenant.workspace.id} and seq <= ${upTo}`

const upTo = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index)

describe('a channel of the workspace', () => {
  it('is told every event after the one that was seen, in order, and nothing at the head', async () => {
    for (const content of ['a', 'b', 'c']) await reply(content)
    const head = await headOf()
    for (const since of upTo(0, head)) {
      expect(await numbers(org(), since)).toEqual(upTo(since + 1, head))
      expect(await missed(org(), since)).toMatchObject({ head })
    }
  })

  it('is told the same frames as live ones, with site and conversation, notes included', async () => {
    const published: string[] = []
    const told = { ...context, bus: { publish: (_: string, message: string) => published.push(message) } }
    const since = await headOf()
    await receiveMessage(told, thread.visitor, 'Grüße')
    await sendMessage(told, tenant.agent, thread.conversation, { content: 'a note', kind: 'note' })
    await updateContact(told, tenant.agent, thread.contact, { name: 'Vera' })
    const answer = await missed(org(), since)
    if ('failure' in answer) throw new Error(answer.failure)
    expect(answer.events.map((event) => encodeStreamEvent(toStreamEvent(event)))).toEqual(published)
    expect(answer.events.map((event) => event.site)).toEqual(Array(4).fill(tenant.site.id))
  })

  it('is not told what is beyond the head', async () => {
    const head = await headOf()
    expect(await missed(org(), head + 1)).toEqual({ failure: 'invalid', head })
    expect(await missed(org(), 999_999_999_999_999)).toEqual({ failure: 'invalid', head })
  })

  it('is told nothing where the log no longer holds all of it', async () => {
    for (const content of ['a', 'b', 'c']) await reply(content)
    const head = await headOf()
    await prune(2)
    expect(await numbers(org(), 0)).toBe('expired')
    expect(await numbers(org(), 1)).toBe('expired')
    expect(await numbers(org(), 2)).toEqual(upTo(3, head))
    await prune(head)
    expect(await numbers(org(), head - 1)).toBe('expired')
    expect(await missed(org(), head)).toEqual({ events: [], head })
  })

  it(`is told ${maxReplay.events} events, and not one more`, async () => {
    const since = await headOf()
    await logMany(maxReplay.events)
    expect(await numbers(org(), since)).toHaveLength(maxReplay.events)
    expect(await missed(org(), since - 1)).toEqual({ failure: 'too_many', head: since + maxReplay.events })
  })

  it('is told 1 MiB of payloads, and not a byte more', async () => {
    const since = await headOf()
    await logMany(2)
    const set = (bytes: number, seq: number) => database.sql`
      update events set payload = ('{"n":"' || repeat('ü', (${bytes}::int - 8) / 2) || '"}')::json
       where workspace_id = ${tenant.workspace.id} and seq = ${seq}`
    await set(maxReplay.bytes - 1000, since + 1)
    await set(1000, since + 2)
    expect(await numbers(org(), since)).toEqual([since + 1, since + 2])
    await set(1002, since + 2)
    expect(await numbers(org(), since)).toBe('too_many')
    expect(await numbers(org(), since + 1)).toEqual([since + 2])
  })

  it('hears nothing of another workspace, whichever is asked for', async () => {
    const other = await makeTenant(context)
    await other.thread()
    expect(await missed(org(other), 0)).toEqual({ events: [], head: 0 })
    expect(await missed(org(other), 1)).toEqual({ failure: 'invalid', head: 0 })
    expect(await missed(org(), 0, other)).toEqual({ events: [], head: 0 })
  })
})

describe('a channel of a site', () => {
  it('is told the events of its site and not those of others', async () => {
    const second = await tenant.makeSite()
    const there = await tenant.thread(second)
    const head = await headOf()
    await reply('here')
    await reply('there', 'agent', there)
    await reply('a note there', 'note', there)
    await updateContact(context, tenant.agent, there.contact, { name: 'Nina' })
    await updateConversation(context, tenant.agent, thread.conversation, { tags: ['here'] })
    expect(await numbers(site(), head)).toEqual([head + 1, head + 5])
    expect(await numbers(site(second), head)).toEqual([head + 2, head + 3, head + 4])
    expect(await missed(site(second), head + 5)).toEqual({ events: [], head: head + 5 })
    expect(await missed(site(second), head + 6)).toEqual({ failure: 'invalid', head: head + 5 })
    for (const one of [tenant.site, second]) {
      const answer = await missed(site(one), 0)
      if ('failure' in answer) throw new Error(answer.failure)
      const channels = answer.events.flatMap((event) => tellingsOf(toStreamEvent(event)).map(({ channel }) => channel))
      expect(channels.filter((channel) => channel.startsWith('private-site-'))).toEqual(
        Array(answer.events.length).fill(`private-site-${one.id}`),
      )
    }
  })

  it('is told nothing where the log was pruned after what was seen, though its own events may all be there', async () => {
    await reply('a')
    await prune(1)
    expect(await numbers(site(), 0)).toBe('expired')
    expect(await numbers(site(), 1)).toEqual(upTo(2, await headOf()))
  })

  it('is told nothing where too many events of its own or of all sites lie between', async () => {
    const second = await tenant.makeSite()
    const since = await headOf()
    await logMany(maxReplay.events)
    expect(await numbers(site(), since)).toHaveLength(maxReplay.events)
    expect(await numbers(site(second), since)).toEqual([])
    await reply('one more')
    expect(await numbers(site(), since)).toBe('too_many')
    const [{ seq = 0 } = {}] = await database.sql<{ seq: number }[]>`
      update workspace_heads set seq = ${since + 50_000} where workspace_id = ${tenant.workspace.id} returning seq`
    expect(await numbers(site(second), seq - 50_000)).toEqual([])
    expect(await numbers(site(second), seq - 50_001)).toBe('too_many')
  })

  it('hears nothing of a site of another workspace', async () => {
    const other = await makeTenant(context)
    await other.thread()
    expect(await missed(site(other.site), 0)).toEqual({ events: [], head: 0 })
    expect(await missed(site(other.site), 1)).toEqual({ failure: 'invalid', head: 0 })
    expect(await missed({ audience: 'site', id: 'web_unknown' }, 0)).toEqual({ events: [], head: 0 })
  })
})

describe('a channel of a conversation', () => {
  it('is told the events of its conversation, by the numbers of the workspace, notes included', async () => {
    const busy = await tenant.thread()
    const seen: number[] = []
    for (const [index, kind] of (['agent', 'note', 'agent'] as const).entries()) {
      await reply(`${index}`, kind)
      seen.push(await headOf())
      await reply('elsewhere', 'agent', busy)
    }
    const head = await headOf()
    expect(await numbers(conv(), 0)).toEqual([2, ...seen])
    for (const since of upTo(2, head)) {
      expect(await numbers(conv(), since)).toEqual(seen.filter((seq) => seq > since))
      expect(await missed(conv(), since)).toMatchObject({ head })
    }
    expect(await missed(conv(), head + 1)).toEqual({ failure: 'invalid', head })
  })

  it('is told all where one it saw, or its first event, is still in the log, however much of the rest was pruned', async () => {
    const busy = await tenant.thread()
    const quiet = await tenant.thread()
    const opened = await headOf()
    await reply('a', 'agent', busy)
    const pruned = await headOf()
    await reply('b', 'agent', busy)
    await prune(opened - 1)
    // What was seen is gone, but the conversation's first event is there.
    expect(await numbers(conv(quiet), 0)).toEqual([opened])
    expect(await numbers(conv(busy), 0)).toBe('expired')
    await prune(pruned)
    expect(await numbers(conv(busy), pruned)).toEqual([pruned + 1])
    expect(await numbers(conv(busy), pruned - 1)).toBe('expired')
    // Nothing of it is left: nothing was missed only if nothing was pruned since.
    expect(await numbers(conv(quiet), pruned)).toEqual([])
    expect(await numbers(conv(quiet), pruned - 1)).toBe('expired')
    await prune(await headOf())
    expect(await numbers(conv(quiet), await headOf())).toEqual([])
    expect(await numbers(conv(quiet), (await headOf()) - 1)).toBe('expired')
  })

  it(`is told ${maxReplay.events} events, and not one more`, async () => {
    await logMany(maxReplay.events - 1)
    const head = await headOf()
    // The opening is the first event of the conversation, the contact's is the first of the workspace.
    expect(await numbers(conv(), 0)).toHaveLength(maxReplay.events)
    expect(await numbers(conv(), 1)).toHaveLength(maxReplay.events)
    await reply('one more')
    expect(await missed(conv(), 1)).toEqual({ failure: 'too_many', head: head + 1 })
    expect(await missed(conv(), 0)).toEqual({ failure: 'too_many', head: head + 1 })
    expect(await numbers(conv(), 2)).toHaveLength(maxReplay.events)
    await reply('and one')
    expect(await numbers(conv(), 2)).toBe('too_many')
    expect(await numbers(conv(), head + 1)).toEqual([head + 2])
    await prune(head)
    expect(await numbers(conv(), 2)).toBe('expired')
  })

  it('hears nothing of a conversation of another workspace, or of none', async () => {
    const other = await makeTenant(context)
    const foreign = await other.thread()
    for (const channel of [conv(foreign), visitor(foreign), conv({ ...foreign, conversation: 'cnv_unknown' })]) {
      expect(await missed(channel, 0)).toEqual({ events: [], head: 0 })
      expect(await missed(channel, 1)).toEqual({ failure: 'invalid', head: 0 })
    }
  })
})

describe('a channel of a visitor', () => {
  it('is told what the visitor hears, by the numbers that visitors count, and nothing of notes', async () => {
    await receiveMessage(context, thread.visitor, 'Hi')
    await reply('a note', 'note')
    await reply('Hello')
    await updateConversation(context, tenant.agent, thread.conversation, { tags: ['vip'] })
    await updateConversation(context, tenant.agent, thread.conversation, { status: 'closed' })
    for (const since of upTo(0, 3)) {
      expect(await numbers(visitor(), since)).toEqual(upTo(since + 1, 3))
      const answer = await missed(visitor(), since)
      if ('failure' in answer) throw new Error(answer.failure)
      expect(answer.head).toBe(3)
      const heard = answer.events.map((event) => toStreamEvent(event).visitor)
      expect(heard.map((data) => JSON.parse(data ?? '').seq)).toEqual(upTo(since + 1, 3))
      expect(heard.join()).not.toMatch(/a note|vip|usr_/)
    }
    expect(await missed(visitor(), 4)).toEqual({ failure: 'invalid', head: 3 })
  })

  it('is told nothing where one of them was pruned', async () => {
    await reply('one')
    const one = await headOf()
    await reply('two')
    await reply('three')
    await prune(one)
    expect(await numbers(visitor(), 0)).toBe('expired')
    expect(await numbers(visitor(), 1)).toEqual([2, 3])
    await prune(await headOf())
    expect(await numbers(visitor(), 2)).toBe('expired')
    expect(await numbers(visitor(), 3)).toEqual([])
  })

  it('is told of payloads that were blanked and of types that visitors do not hear', async () => {
    await reply('one')
    await reply('two')
    await database.sql`
      update events set payload = '{}', type = 'conversation.deleted'
       where workspace_id = ${tenant.workspace.id} and public_seq = 1`
    expect(await numbers(visitor(), 0)).toEqual([1, 2])
  })

  it(`is told ${maxReplay.events} events, and not one more`, async () => {
    await logMany(maxReplay.events)
    expect(await numbers(visitor(), 0)).toHaveLength(maxReplay.events)
    await logMany(1)
    expect(await missed(visitor(), 0)).toEqual({ failure: 'too_many', head: maxReplay.events + 1 })
    expect(await numbers(visitor(), 1)).toHaveLength(maxReplay.events)
  })

  it('is told nothing where the few that the visitor hears lie too far back among notes', async () => {
    await reply('one')
    await reply('two')
    const hide = (count: number) => database.sql`
      update events set public_seq = null, conversation_seq = conversation_seq
       where workspace_id = ${tenant.workspace.id} and seq > ${count}`
    await logMany(4998)
    await hide(4)
    await database.sql`update conversations set public_seq = 2 where public_id = ${thread.conversation}`
    expect(await numbers(visitor(), 0)).toEqual([1, 2])
    await reply('a note', 'note')
    expect(await numbers(visitor(), 1)).toEqual([2])
    expect(await numbers(visitor(), 0)).toBe('too_many')
    expect(await numbers(visitor(), 2)).toEqual([])
  })
})
