/** The main job, end to end: what is said over REST is heard by everyone who may, once and in order. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Api, startApi, type Topology, testApp } from '../support/api.ts'
import { call } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'
import { type Listener, listener } from './listeners.ts'

const appKey = testApp.PUSHER_APP_KEY

/** Runs the journeys on programs that are started so. `env` is asked for when they are. */
export const mainJob = (
  name: string,
  topology: Topology,
  env: () => Record<string, string> | Promise<Record<string, string>>,
): void => {
  describe(name, () => {
    let api: Api
    let tenant: Tenant
    let stranger: Tenant

    const asAgent = (key = tenant.apiKey) => ({ Authorization: `Bearer ${key}` })
    const dashboard = (key = tenant.apiKey): Listener => listener(api, appKey, asAgent(key))
    const visitor = (token: string): Listener =>
      listener(api, appKey, { 'X-Api-Key': tenant.site.site_key, 'X-Visitor-Token': token })

    const begin = async (visitor_token: string, message: string) => {
      const begun = await call(api.url, 'POST', '/api/v1/chat/conversations', {
        headers: { 'X-Api-Key': tenant.site.site_key },
        body: { name: 'Vita', email: `${visitor_token}@example.com`, message, visitor_token },
      })
      expect(begun.status).toBe(201)
      return begun.body as { conversation_token: string; conversation_id: string; channel: string }
    }
    const reply = (token: string, message: string) =>
      call(api.url, 'POST', `/api/v1/chat/conversations/${token}/messages`, {
        headers: { 'X-Api-Key': tenant.site.site_key },
        body: { message },
      })
    const say = (conversation: string, content: string, kind: 'agent' | 'note' = 'agent') =>
      call(api.url, 'POST', `/api/v1/conversations/${conversation}/messages`, {
        headers: asAgent(),
        body: { content, kind },
      })

    beforeAll(async () => {
      api = await startApi({ ...testApp, ...(await env()) }, topology)
      tenant = await api.makeTenant({ autoReply: 'We will be with you shortly.' })
      stranger = await api.makeTenant()
    })
    afterAll(() => api?.close())

    it('a conversation is heard by the workspace, by its own channel and by its visitor, each in its own words', async () => {
      const inbox = dashboard()
      await inbox.join(`private-org-${tenant.workspace.publicId}`)
      const { conversation_id: id, channel, conversation_token } = await begin('journey-1', 'Where is my order?')
      expect(channel).toBe(`private-visitor-${id}`)
      const thread = dashboard()
      await thread.join(`private-conv-${id}`)
      const vita = visitor('journey-1')
      await vita.join(channel)

      expect((await say(id, 'Let me check.')).status).toBe(201)
      expect((await say(id, 'She is a VIP.', 'note')).status).toBe(201)
      expect((await reply(conversation_token, 'Thank you!')).status).toBe(201)
      const closed = { headers: asAgent(), body: { status: 'closed' } }
      expect((await call(api.url, 'PATCH', `/api/v1/conversations/${id}`, closed)).status).toBe(200)
      const typing = { headers: asAgent(), body: { is_private: true } }
      await call(api.url, 'POST', `/api/v1/conversations/${id}/typing`, typing)
      await call(api.url, 'POST', `/api/v1/conversations/${id}/typing`, { headers: asAgent() })

      await inbox.hearsCount(12)
      await thread.hearsCount(7)
      await vita.hearsCount(4)

      const told = (events: { event: string; data: Record<string, unknown> }[]) =>
        events.map(({ event, data }) => [event, data.content ?? data.status ?? null])
      const beginning = [
        ['contact.update', null],
        ['conversation.opened', null],
        ['message.new', 'Where is my order?'],
        ['conversation.update', 'open'],
        ['message.new', 'We will be with you shortly.'],
      ]
      const rest = [
        ['message.new', 'Let me check.'],
        ['message.new', 'She is a VIP.'],
        ['message.new', 'Thank you!'],
        ['conversation.update', 'open'],
        ['conversation.update', 'closed'],
        ['agent.typing', null],
        ['agent.typing', null],
      ]
      expect(told(inbox.heard)).toEqual([...beginning, ...rest])
      expect(told(thread.heard)).toEqual(rest)
      expect(told(vita.heard)).toEqual([
        ['message.new', 'Let me check.'],
        ['message.new', 'Thank you!'],
        ['conversation.update', 'closed'],
        ['agent.typing', null],
      ])

      const seqs = inbox.heard.flatMap(({ data }) => (typeof data.seq === 'number' ? [data.seq] : []))
      expect(seqs).toEqual(seqs.map((_, index) => (seqs[0] ?? 0) + index))
      expect(vita.heard.slice(0, 3).map(({ data }) => data.seq)).toEqual([2, 3, 4])
      expect(JSON.stringify(vita.heard)).not.toMatch(/usr_|VIP|unread|assigned|metadata|tags/)

      const agentMessage = inbox.heard[5]?.data
      expect(agentMessage).toEqual({
        id: expect.stringMatching(/^msg_/),
        conversation_id: id,
        sender_type: 'agent',
        sender_id: tenant.agent.user.publicId,
        author: 'Ada',
        content: 'Let me check.',
        attachments: [],
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        event_id: expect.stringMatching(/^evt_/),
        seq: expect.any(Number),
        conversation_seq: 5,
      })
      expect(inbox.heard[8]?.data).toEqual({
        id,
        status: 'open',
        state: 'open',
        unread_count: 2,
        assigned_user_id: null,
        tags: [],
        priority: null,
        snoozed_until: null,
        last_message_at: expect.any(String),
        metadata: {},
        changed: ['unread_count'],
        event_id: expect.stringMatching(/^evt_/),
        seq: expect.any(Number),
        conversation_seq: 8,
      })
      expect(vita.heard[0]?.data).toEqual({
        id: agentMessage?.id,
        conversation_id: id,
        sender_type: 'agent',
        author: 'Ada',
        content: 'Let me check.',
        attachments: [],
        created_at: agentMessage?.created_at,
        seq: 2,
      })
      expect(vita.heard[2]?.data).toEqual({ id, status: 'closed', seq: 4 })
      expect(vita.heard[3]?.data).toEqual({ conversation_id: id, expires_in_ms: 6000 })
      for (const one of [inbox, thread, vita]) one.leave()
    })

    it('what REST answers is the row that is read back and the event that is heard', async () => {
      const inbox = dashboard()
      await inbox.join(`private-org-${tenant.workspace.publicId}`)
      const { conversation_id: id } = await begin('journey-2', 'Hello')
      const sent = await say(id, 'Hi Vita')
      const listed = await call(api.url, 'GET', `/api/v1/conversations/${id}/messages`, { headers: asAgent() })
      expect((listed.body as { data: unknown[] }).data.at(-1)).toEqual(sent.body)
      const event = await inbox.hears(({ data }) => data.content === 'Hi Vita')
      expect({ object: 'message', ...event.data }).toMatchObject(sent.body as object)
      inbox.leave()
    })

    it('GET /realtime lists the events, and the fields of each as they are heard', async () => {
      const inbox = dashboard()
      await inbox.join(`private-org-${tenant.workspace.publicId}`)
      const { conversation_id: id } = await begin('journey-fields', 'Hello')
      await call(api.url, 'POST', `/api/v1/conversations/${id}/typing`, { headers: asAgent() })
      const typed = await inbox.hears(({ event }) => event === 'agent.typing')
      expect(typed.data).toMatchObject({ conversation_id: id, user: { id: tenant.agent.user.publicId, name: 'Ada' } })
      const { body } = await call(api.url, 'GET', `/api/v1/conversations/${id}`, { headers: asAgent() })
      const { visitor } = body as { visitor: { id: string } }
      await call(api.url, 'DELETE', `/api/v1/contacts/${visitor.id}`, { headers: asAgent() })
      await inbox.hears(({ event }) => event === 'contact.deleted')
      const away = { headers: asAgent(), body: { availability: 'away' } }
      await call(api.url, 'PATCH', `/api/v1/users/${tenant.agent.user.publicId}`, away)
      await inbox.hears(({ event }) => event === 'user.update')

      const listed = await call(api.url, 'GET', '/api/v1/realtime', { headers: asAgent() })
      expect(listed.body).toMatchObject({ object: 'realtime', enabled: true })
      const { events } = listed.body as { events: Record<string, string[]> }
      const heard = new Set(inbox.heard.map(({ event }) => event))
      expect([...heard, 'webhook.disabled'].sort()).toEqual(Object.keys(events).sort())
      for (const { event, data } of inbox.heard) {
        const fields = Object.keys(data)
        const always = (events[event] ?? []).filter((field) => !field.endsWith('?'))
        const known = (events[event] ?? []).map((field) => field.replace('?', ''))
        expect([event, always.filter((field) => !fields.includes(field))]).toEqual([event, []])
        expect([event, fields.filter((field) => !known.includes(field))]).toEqual([event, []])
      }
      inbox.leave()
    })

    it('P4: nobody hears what is not theirs', async () => {
      const { conversation_id: id } = await begin('journey-3', 'A secret')
      const refused = async (who: Listener, channel: string) => {
        await expect(who.join(channel)).rejects.toThrow('403')
        who.leave()
      }
      await refused(dashboard(stranger.apiKey), `private-org-${tenant.workspace.publicId}`)
      await refused(dashboard(stranger.apiKey), `private-conv-${id}`)
      await refused(dashboard(stranger.apiKey), `private-visitor-${id}`)
      await refused(dashboard('mr_live_aaaaaaaaaaaaaaaaaaaaaaaa'), `private-org-${tenant.workspace.publicId}`)
      await refused(visitor('journey-3'), `private-conv-${id}`)
      await refused(visitor('journey-3'), `private-org-${tenant.workspace.publicId}`)
      await refused(visitor('journey-1'), `private-visitor-${id}`)
      await refused(visitor('no-such-token'), `private-visitor-${id}`)
      for (const [method, path, body] of [
        ['GET', `/api/v1/conversations/${id}`],
        ['PATCH', `/api/v1/conversations/${id}`, { status: 'closed' }],
        ['GET', `/api/v1/conversations/${id}/messages`],
        ['POST', `/api/v1/conversations/${id}/messages`, { content: 'mine now' }],
        ['POST', `/api/v1/conversations/${id}/typing`],
      ] as const) {
        const answer = await call(api.url, method, path, { headers: asAgent(stranger.apiKey), ...(body && { body }) })
        expect([path, answer.status]).toEqual([path, 404])
      }
    })

    it('P2: 32 writers are heard in the order of the log, every event once', async () => {
      const inbox = dashboard()
      await inbox.join(`private-org-${tenant.workspace.publicId}`)
      const threads = await Promise.all([1, 2, 3, 4].map((n) => begin(`many-${n}`, 'Hello')))
      await inbox.hearsCount(threads.length * 5)
      const before = inbox.heard.length
      const each = 30
      await Promise.all(
        Array.from({ length: 32 }, async (_, writer) => {
          for (let turn = 0; turn < each; turn += 1) {
            const { conversation_id: id } = threads[(writer + turn) % threads.length] ?? { conversation_id: '' }
            expect((await say(id, `${writer}/${turn}`, turn % 4 === 0 ? 'note' : 'agent')).status).toBe(201)
          }
        }),
      )
      await inbox.hearsCount(before + 32 * each)
      const heard = inbox.heard.slice(before).map(({ data }) => [data.seq, data.id])
      const log = await api.database.sql`
      select e.seq, e.payload->>'id' as id from events e
       where workspace_id = ${tenant.workspace.id} and seq >= ${Number(heard[0]?.[0])} order by seq`
      expect(heard).toEqual(log.map(({ seq, id }) => [seq, id]))
      inbox.leave()
    })

    it('an event that is committed but never published is heard all the same', async () => {
      const inbox = dashboard()
      await inbox.join(`private-org-${tenant.workspace.publicId}`)
      const { conversation_id: id } = await begin('unpublished', 'Hello')
      // Written by another process, whose bus nobody here listens to: as after a crash between commit and publish.
      const { sendMessage } = await import('../../server/domain/messages.ts')
      const deaf = { sql: api.database.sql, bus: { publish: () => undefined } }
      await sendMessage(deaf, tenant.agent, id, { content: 'from elsewhere', kind: 'agent' })
      const event = await inbox.hears(({ data }) => data.content === 'from elsewhere')
      expect(event.event).toBe('message.new')
      inbox.leave()
    })
  })
}
