/** Who is told that a conversation was deleted, live and later, and that nobody is told again what was said in it. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type Heard, listener } from '../journeys/listeners.ts'
import { type Api, startApi, testApp } from '../support/api.ts'
import { type Client, call, muroClient } from '../support/http.ts'
import { dataOf, openRawSocket } from '../support/raw-socket.ts'
import { syncOf } from '../support/sync.ts'
import type { Tenant, TestSite } from '../support/tenant.ts'
import { beginVisit, type Visit } from '../support/visits.ts'

let api: Api
beforeAll(async () => {
  api = await startApi(testApp)
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

/** Subscribes as one who saw `since` last; returns what is told before it is live, and how the recovery went. */
const recover = async (channel: string, since: number, headers: Record<string, string>) => {
  const socket = await openRawSocket(`ws://127.0.0.1:${api.realtimePort}/app/${testApp.PUSHER_APP_KEY}?protocol=7`)
  const { socket_id } = z
    .object({ socket_id: z.string() })
    .parse(dataOf(await socket.waitFor('pusher:connection_established')))
  const body = { socket_id, channel_name: channel, since }
  const granted = await call(api.url, 'POST', '/api/v1/realtime/auth', { headers, body })
  socket.send({ event: 'pusher:subscribe', data: { channel, ...(granted.body as object) } })
  await socket.waitFor('pusher_internal:subscription_succeeded')
  const told: Heard[] = []
  for (;;) {
    const frame = await socket.next()
    const data = z.record(z.string(), z.unknown()).parse(dataOf(frame))
    if (frame.event === 'hubbub:recovery') {
      socket.close()
      return { told, recovery: data }
    }
    told.push({ channel, event: frame.event, data })
  }
}

const authorization = () => ({ Authorization: `Bearer ${tenant.apiKey}` })
const orgChannel = () => `private-org-${tenant.workspace.publicId}`
const listen = (headers: Record<string, string>) => listener(api, testApp.PUSHER_APP_KEY, headers)

const authorize = (channel_name: string, headers: Record<string, string>) =>
  call(api.url, 'POST', '/api/v1/realtime/auth', { headers, body: { socket_id: '1.2', channel_name } })

describe('who listens', () => {
  it('hears of it live: the workspace, the site, the conversation, and the visitor in its own numbers', async () => {
    const { id, headers } = await begin()
    const [staff, visitor] = [listen(authorization()), listen(headers)]
    const channels = [orgChannel(), `private-site-${tenant.site.id}`, `private-conv-${id}`]
    for (const channel of channels) await staff.join(channel)
    await visitor.join(`private-visitor-${id}`)
    await remove(`/conversations/${id}`)
    await Promise.all([staff.hearsCount(5), visitor.hearsCount(1)])
    const last = (await logOf(id)).at(-1)
    const data = {
      id,
      event_id: expect.stringMatching(/^evt_/),
      seq: last?.seq,
      conversation_seq: last?.conversation_seq,
    }
    expect(staff.heard.filter(({ event }) => event !== 'contact.update')).toEqual(
      channels.map((channel) => ({ channel, event: 'conversation.deleted', data })),
    )
    expect(visitor.heard).toEqual([
      { channel: `private-visitor-${id}`, event: 'conversation.deleted', data: { id, seq: last?.public_seq } },
    ])
    staff.leave()
    visitor.leave()
  })

  it('may not subscribe to it afterwards, neither staff nor the visitor', async () => {
    const { id, headers } = await begin()
    const asked = [
      () => authorize(`private-conv-${id}`, authorization()),
      () => authorize(`presence-conv-${id}`, authorization()),
      () => authorize(`private-visitor-${id}`, headers),
    ]
    for (const ask of asked) expect((await ask()).status).toBe(200)
    await remove(`/conversations/${id}`)
    for (const ask of asked) expect((await ask()).status).toBe(403)
  })

  it('and comes back is told of it under each number that it missed, once and in order, and never what was said', async () => {
    const { id } = await begin()
    const other = await begin()
    // Somebody listens, so that what was told lately is still in memory.
    const staff = listen(authorization())
    await staff.join(orgChannel())
    await muro.post(`/conversations/${id}/messages`, { content: 'SECRET and heard' })
    await muro.post(`/conversations/${other.id}/messages`, { content: 'kept' })
    await staff.hears(({ data }) => data.content === 'kept')
    await remove(`/conversations/${id}`)
    await staff.hears(({ event }) => event === 'conversation.deleted')
    await muro.post(`/conversations/${other.id}/messages`, { content: 'afterwards' })
    await staff.hears(({ data }) => data.content === 'afterwards')
    const log = await api.database.sql<{ seq: number; type: string; id: string | null }[]>`
      select seq, type, coalesce(payload ->> 'conversation_id', payload ->> 'id') as id from events
       where workspace_id = ${tenant.workspace.id} order by seq`
    const head = log.at(-1)?.seq ?? 0
    for (const channel of [orgChannel(), `private-site-${tenant.site.id}`]) {
      for (const since of [0, head - 4, head - 2, head - 1]) {
        const { told, recovery } = await recover(channel, since, authorization())
        expect(recovery).toMatchObject({ recovered: true, from: since, to: head })
        expect(told.map(({ event, data }) => [data.seq, event, data.conversation_id ?? data.id])).toEqual(
          log.slice(since).map(({ seq, type, id: of }) => [seq, type, of]),
        )
        expect(told.filter(({ data }) => data.id === id).every(({ event }) => event === 'conversation.deleted')).toBe(
          true,
        )
        expect(JSON.stringify(told)).not.toContain('SECRET and heard')
      }
    }
    staff.leave()
  })

  it('and syncs is told the same under the same numbers', async () => {
    const { cursor } = syncOf(await muro.get('/sync'))
    const { id } = await begin()
    await remove(`/conversations/${id}`)
    const { data } = syncOf(await muro.get(`/sync?cursor=${cursor}`))
    expect(data.map(({ seq }) => seq)).toEqual(data.map((_, index) => index + 1))
    const contacts = data.filter(({ type }) => type === 'contact.update')
    expect(contacts.map(({ seq, data: { changed } }) => [seq, changed])).toEqual([
      [1, ['created']],
      [data.length - 1, ['conversation_count']],
    ])
    const others = data.filter((event) => !contacts.includes(event))
    expect(
      others.map(({ type, conversation_id, conversation_seq, data: said }) => [
        type,
        conversation_id,
        conversation_seq,
        said,
      ]),
    ).toEqual(
      others.map((event, index) => [
        'conversation.deleted',
        id,
        index + 1,
        { id, event_id: event.id, seq: event.seq, conversation_seq: index + 1 },
      ]),
    )
  })
})
