/** Deleting a conversation: what is gone, what stays, and who may not. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createKey } from '../../server/domain/keys.ts'
import { createUser } from '../../server/domain/workspaces.ts'
import { type Api, startApi } from '../support/api.ts'
import { plantDeliveries, silenced } from '../support/deliveries.ts'
import { type Client, call, idOf, muroClient, muroError, pageOf } from '../support/http.ts'
import { snapshotOf } from '../support/sync.ts'
import type { Tenant, TestSite } from '../support/tenant.ts'
import { beginVisit, type Visit } from '../support/visits.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

let tenant: Tenant
let muro: Client
beforeEach(async () => {
  tenant = await api.makeTenant()
  muro = muroClient(api.url, tenant.apiKey)
})

const remove = (path: string, key = tenant.apiKey) => call(api.url, 'DELETE', `/api/v1${path}`, { key })

/** Begins a conversation as a visitor, who says what must not be told later; an agent replies and notes something. */
const begin = async (email?: string, site: TestSite = tenant.site): Promise<Visit> => {
  const visit = await beginVisit(api.url, tenant, { ...(email ? { email } : {}), message: 'SECRET plea', site })
  await muro.post(`/conversations/${visit.id}/messages`, { content: 'SECRET reply' })
  await muro.post(`/conversations/${visit.id}/messages`, { content: 'SECRET note', kind: 'note' })
  return visit
}

type LogRow = {
  seq: number
  type: string
  conversation_seq: number | null
  public_seq: number | null
  payload: unknown
}

const logOf = async (conversation: string) =>
  await api.database.sql<LogRow[]>`
    select seq, type, conversation_seq, public_seq, payload from events
     where workspace_id = ${tenant.workspace.id}
       and (payload ->> 'id' = ${conversation} or payload ->> 'conversation_id' = ${conversation})
     order by seq`

/** Returns whether anything that the workspace has tells the secret. */
const isTold = async () => {
  const [row] = await api.database.sql<{ found: boolean }[]>`
    select exists (select from events where payload::text like '%SECRET%' and workspace_id = ${tenant.workspace.id})
        or exists (select from messages where content like '%SECRET%' and workspace_id = ${tenant.workspace.id}) as found`
  return row?.found
}

describe('a conversation that was deleted', () => {
  it('is answered as deleted, and is gone: from reading, lists, searches, snapshots and the visitor', async () => {
    const kept = await begin()
    const gone = await begin()
    const answer = await remove(`/conversations/${gone.id}`)
    expect([answer.status, answer.body]).toEqual([200, { object: 'conversation', id: gone.id, deleted: true }])
    for (const path of ['', '/messages', '/summary']) {
      expect((await muro.get(`/conversations/${gone.id}${path}`)).status).toBe(404)
    }
    expect((await muro.patch(`/conversations/${gone.id}`, { status: 'closed' })).status).toBe(404)
    expect((await muro.post(`/conversations/${gone.id}/messages`, { content: 'hi' })).status).toBe(404)
    expect((await muro.post(`/conversations/${gone.id}/typing`)).status).toBe(404)
    expect((await remove(`/conversations/${gone.id}`)).status).toBe(404)
    for (const query of ['', '?status=open', '?q=SECRET', `?q=${gone.token}`]) {
      const ids = query === `?q=${gone.token}` ? [] : [kept.id]
      expect([query, pageOf(await muro.get(`/conversations${query}`)).ids]).toEqual([query, ids])
    }
    expect(snapshotOf(await muro.get('/snapshot')).conversations.map(({ id }) => id)).toEqual([kept.id])
    const path = `/api/v1/chat/conversations/${gone.token}/messages`
    const { headers } = gone
    expect((await call(api.url, 'GET', path, { headers })).status).toBe(404)
    expect((await call(api.url, 'POST', path, { headers, body: { message: 'Hello?' } })).status).toBe(404)
  })

  it('leaves no row behind, and its visitor may begin anew with the same token', async () => {
    const { id, token, headers } = await begin()
    const { sql } = api.database
    const [row] = await sql<{ id: number }[]>`select id from conversations where public_id = ${id}`
    const rowId = row?.id ?? 0
    await sql`
      with a as (
        insert into attachments (public_id, workspace_id, conversation_id, message_id, position, filename, content_type, size)
        select 'att_' || m.public_id, m.workspace_id, m.conversation_id, m.id, 0, 'secret.txt', 'text/plain', 6
          from messages m where m.conversation_id = ${rowId} limit 1 returning id
      )
      insert into attachment_chunks (attachment_id, position, bytes) select id, 0, 'SECRET' from a`
    await sql`insert into summaries (conversation_id, due_at) values (${rowId}, now() + interval '1 hour')
              on conflict do nothing`
    await remove(`/conversations/${id}`)
    const [left] = await sql`
      select (select count(*)::int from messages where conversation_id = ${rowId}) as messages,
             (select count(*)::int from attachments where conversation_id = ${rowId}) as attachments,
             (select count(*)::int from attachment_chunks where bytes = 'SECRET') as chunks,
             (select count(*)::int from contact_sessions where conversation_id = ${rowId}) as sessions,
             (select count(*)::int from summaries where conversation_id = ${rowId}) as summaries,
             (select count(*)::int from conversation_activity where conversation_id = ${rowId}) as activity`
    expect(left).toEqual({ messages: 0, attachments: 0, chunks: 0, sessions: 0, summaries: 0, activity: 0 })
    expect(await isTold()).toBe(false)
    const body = { name: 'Vita', email: 'again@example.com', message: 'Again', visitor_token: token }
    const again = await call(api.url, 'POST', '/api/v1/chat/conversations', { headers, body })
    expect([again.status, z.object({ conversation_id: z.string() }).parse(again.body).conversation_id === id]).toEqual([
      201,
      false,
    ])
  })

  it('leaves its contact, with the count of the others and the time at which it was last seen', async () => {
    const first = await begin('twice@example.com')
    const second = await begin('twice@example.com')
    expect(second.contact).toBe(first.contact)
    const before = (await muro.get(`/contacts/${first.contact}`)).body
    await remove(`/conversations/${second.id}`)
    expect((await muro.get(`/contacts/${first.contact}`)).body).toEqual({
      ...(before as object),
      conversation_count: 1,
    })
    await remove(`/conversations/${first.id}`)
    expect((await muro.get(`/contacts/${first.contact}`)).body).toEqual({
      ...(before as object),
      conversation_count: 0,
    })
    expect(pageOf(await muro.get('/contacts')).ids).toEqual([first.contact])
  })

  it('is blank in the log under all its numbers, and its end has the next ones', async () => {
    const { id, contact } = await begin()
    await muro.patch(`/conversations/${id}`, { status: 'closed', metadata: { SECRET: 1 } })
    const other = await begin()
    const before = await logOf(id)
    const others = await logOf(other.id)
    await remove(`/conversations/${id}`)
    const after = await logOf(id)
    const blank = { type: 'conversation.deleted', payload: { id } }
    expect(after.slice(0, -1)).toEqual(before.map((row) => ({ ...row, ...blank })))
    const [last, head] = [before.at(-1), others.at(-1)?.seq ?? 0]
    const heard = before.filter(({ public_seq }) => public_seq !== null).length
    expect(after.at(-1)).toEqual({
      ...blank,
      seq: head + 2,
      conversation_seq: (last?.conversation_seq ?? 0) + 1,
      public_seq: heard + 1,
    })
    expect(await logOf(other.id)).toEqual(others)
    // The contact is told too, as it is now: what changed it is not told any more.
    const { object: _, ...shown } = z
      .record(z.string(), z.unknown())
      .parse((await muro.get(`/contacts/${contact}`)).body)
    expect((await api.eventsOf(tenant)).at(-2)).toEqual({
      seq: head + 1,
      type: 'contact.update',
      payload: { ...shown, conversation_count: 0, changed: ['conversation_count'] },
    })
  })
})

it('a webhook is sent nothing of it any more, and keeps nothing of what it was sent', async () => {
  const [gone, kept] = [await begin(), await begin()]
  const body = { data: { message: { content: 'SECRET' } } }
  const of = { type: 'message.created', body }
  const ofGone = await plantDeliveries(api.database, tenant, { ...of, conversation: gone.id })
  const ofKept = await plantDeliveries(api.database, tenant, { ...of, conversation: kept.id })
  const before = await ofKept()
  await remove(`/conversations/${gone.id}`)
  expect(await ofGone()).toEqual(silenced)
  expect(await ofKept()).toEqual(before)
})

it('a retry of what was answered before is not answered it again', async () => {
  const contact = idOf(await muro.post('/contacts', {}))
  const keyed = { 'Idempotency-Key': 'k' }
  const open = () => muro.post('/conversations', { visitor_id: contact, content: 'SECRET' }, keyed)
  const id = idOf(await open())
  const say = () => muro.post(`/conversations/${id}/messages`, { content: 'SECRET' }, keyed)
  const type = () => muro.post(`/conversations/${id}/typing`, {}, keyed)
  for (const again of [say, type]) await again()
  for (const again of [open, say, type]) {
    expect((await again()).headers.get('idempotent-replayed')).toBe('true')
  }
  await remove(`/conversations/${id}`)
  for (const again of [open, say, type]) {
    const answer = await again()
    expect([answer.status, answer.body]).toEqual([404, muroError('not_found', 'not_found')])
  }
  expect(pageOf(await muro.get('/conversations')).ids).toEqual([])
})

describe('who may not delete', () => {
  const userKey = async (role: 'admin' | 'agent', scopes: ('read' | 'write')[], site?: TestSite) => {
    const { sql } = api.database
    const email = `${Math.random()}@example.com`
    const user = await sql.begin((tx) => createUser(tx, tenant.workspace, { name: 'Bob', email, role }))
    return (await createKey(sql, tenant.workspace, { userRowId: user.rowId, scopes, site: site?.ref })).key
  }

  it('is an agent, a key that only reads, and nobody: nothing changes', async () => {
    const { id, contact } = await begin()
    const before = await api.rowsOf(tenant)
    for (const path of [`/conversations/${id}`, `/contacts/${contact}`]) {
      for (const key of [await userKey('agent', ['read', 'write']), await userKey('admin', ['read'])]) {
        const answer = await remove(path, key)
        expect([answer.status, answer.body]).toEqual([403, muroError('permission_error', 'forbidden')])
      }
      expect((await remove(path, 'mr_live_unknown-key-000000000000')).status).toBe(401)
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
    expect((await remove(`/conversations/${id}`, await userKey('admin', ['write']))).status).toBe(200)
  })

  it('P4: is the admin of another workspace, or of another site; for them it is not there', async () => {
    const { id, contact } = await begin()
    const other = await api.makeTenant()
    const site = await tenant.makeSite()
    const before = await api.rowsOf(tenant)
    for (const key of [other.apiKey, (await tenant.makeKey(site)).key]) {
      for (const [kind, known] of [
        ['conversations', id],
        ['contacts', contact],
      ]) {
        const answer = await remove(`/${kind}/${known}`, key)
        expect([answer.status, answer.body]).toEqual([404, muroError('not_found', 'not_found')])
        expect(answer.text).toBe((await remove(`/${kind}/${known?.slice(0, 4)}unknown`, key)).text)
      }
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
    expect((await remove(`/conversations/${id}`, (await tenant.makeKey(tenant.site)).key)).status).toBe(200)
  })

  it.each(['cnv_unknown', 'vis_abc', '%00', '1'])('finds nothing under %s', async (id) => {
    for (const kind of ['conversations', 'contacts']) {
      const answer = await remove(`/${kind}/${id}`)
      expect([answer.status, answer.body]).toEqual([404, muroError('not_found', 'not_found')])
    }
  })
})

it('of many who delete it at once one is answered that it was, while others write: the rest finds nothing', async () => {
  for (let round = 0; round < 3; round += 1) {
    const { id, token, headers, contact } = await begin()
    const chat = `/api/v1/chat/conversations/${token}/messages`
    const writes = [
      () => muro.post(`/conversations/${id}/messages`, { content: 'a' }),
      () => muro.post(`/conversations/${id}/messages`, { content: 'a' }, { 'Idempotency-Key': `k${Math.random()}` }),
      () => muro.patch(`/conversations/${id}`, { mark_unread: true, tags: [`${Math.random()}`] }),
      () => muro.post(`/conversations/${id}/typing`),
      () => call(api.url, 'POST', chat, { headers, body: { message: 'v' } }),
      () => muro.get(`/conversations/${id}/messages`),
      () => muro.get('/snapshot'),
    ]
    const deletes: Promise<number>[] = []
    const statuses = await Promise.all(
      Array.from({ length: 84 }, async (_, n) => {
        if (n % 12 === 6) deletes.push(remove(`/conversations/${id}`).then(({ status }) => status))
        return (await writes[n % writes.length]?.())?.status
      }),
    )
    expect(statuses.filter((status) => ![200, 201, 404].includes(status ?? 0))).toEqual([])
    expect((await Promise.all(deletes)).sort()).toEqual([200, ...Array(6).fill(404)])
    expect((await logOf(id)).every(({ type }) => type === 'conversation.deleted')).toBe(true)
    expect((await muro.get(`/contacts/${contact}`)).body).toMatchObject({ conversation_count: 0 })
  }
  const log = (await api.eventsOf(tenant)).map(({ seq }) => seq)
  expect(log).toEqual(log.map((_, index) => index + 1))
})
