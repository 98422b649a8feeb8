/** What a workspace holds, as a model says it; and the steps that change both, which have to agree after each. */

import fc from 'fast-check'
import { expect } from 'vitest'
import { z } from 'zod'
import { type Answer, type Client, call, idOf, muroClient } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

type ModelMessage = { id: string; sender_type: string; content: string }
type ModelThread = {
  contact: string
  /** What opens it in the site chat; undefined where staff has opened it. */
  token: string | undefined
  status: string
  unread: number
  tags: string[]
  assignee: string | null
  messages: ModelMessage[]
}

const kinds = [
  'contact',
  'open',
  'begin',
  'reply',
  'note',
  'write',
  'patch',
  'bulk',
  'delete',
  'merge',
  'look',
] as const

/** A step; numbers choose among what is there. */
export type Step = { kind: (typeof kinds)[number]; a: number; b: number; text: string }

export const anyStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...kinds, 'write' as const, 'patch' as const),
  a: fc.nat(1000),
  b: fc.nat(1000),
  text: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).map((text) => `said ${text.replaceAll('\0', '')}`),
})

const shown = z.object({
  id: z.string(),
  status: z.string(),
  unread_count: z.number(),
  tags: z.array(z.string()),
  assigned_user_id: z.string().nullable(),
  visitor: z.object({ id: z.string() }),
  last_message: z.object({ content: z.string() }).nullable(),
})
const messageList = z.object({
  data: z.array(z.object({ id: z.string(), sender_type: z.string(), content: z.string() })),
})

/** Makes a model of a workspace that is empty. `take` does a step; `compare` reads everything. */
export const createModel = (api: string, tenant: Tenant, mark: string) => {
  const muro: Client = muroClient(api, tenant.apiKey)
  const contacts = new Map<string, { emails: string | null }>()
  const threads = new Map<string, ModelThread>()
  const user = tenant.agent.user.publicId
  let made = 0

  const pick = <T>(all: Iterable<T>, n: number): T | undefined => {
    const list = [...all]
    return list[n % Math.max(1, list.length)]
  }
  const chat = (method: string, path: string, body?: unknown): Promise<Answer> =>
    call(api, method, `/api/v1/chat${path}`, { body, headers: { 'X-Api-Key': tenant.site.site_key } })
  const check = async (id: string): Promise<void> => {
    const thread = threads.get(id)
    const { status, body } = await muro.get(`/conversations/${id}`)
    if (!thread) return void expect(status).toBe(404)
    const { data } = messageList.parse((await muro.get(`/conversations/${id}/messages?limit=100`)).body)
    expect({ ...shown.parse(body), messages: data }).toEqual({
      id,
      status: thread.status,
      unread_count: thread.unread,
      tags: thread.tags,
      assigned_user_id: thread.assignee,
      visitor: { id: thread.contact },
      last_message: thread.messages.length === 0 ? null : { content: thread.messages.at(-1)?.content },
      messages: thread.messages,
    })
  }
  const said = (thread: ModelThread, { body }: Answer, sender_type: string, content: string): void => {
    const { id } = z.object({ id: z.string() }).parse(body)
    thread.messages.push({ id, sender_type, content })
  }

  const steps: Record<Step['kind'], (step: Step) => Promise<string | undefined>> = {
    contact: async ({ text }) => {
      const id = idOf(await muro.post('/contacts', { name: `${mark} ${text}` }))
      contacts.set(id, { emails: null })
      return undefined
    },
    open: async ({ a, text }) => {
      const contact = pick(contacts.keys(), a)
      if (!contact) return undefined
      const content = `${mark} ${text}`
      const answer = await muro.post('/conversations', { visitor_id: contact, ...(a % 2 ? { content } : {}) })
      expect(answer.status).toBe(201)
      const id = idOf(answer)
      const thread = { contact, token: undefined, status: 'open', unread: 0, tags: [], assignee: null, messages: [] }
      threads.set(id, thread)
      if (a % 2) {
        const { data } = messageList.parse((await muro.get(`/conversations/${id}/messages`)).body)
        expect(data).toMatchObject([{ sender_type: 'agent', content }])
        threads.set(id, { ...thread, messages: data })
      }
      return id
    },
    begin: async ({ text }) => {
      made += 1
      const [token, message] = [`${mark}-${made}`, `${mark} ${text}`]
      const email = `${mark}-${made}@example.com`.toLowerCase()
      const answer = await chat('POST', '/conversations', { name: 'Vita', email, message, visitor_token: token })
      expect(answer.status).toBe(201)
      const { conversation_id: id } = z.object({ conversation_id: z.string() }).parse(answer.body)
      const { visitor } = shown.parse((await muro.get(`/conversations/${id}`)).body)
      contacts.set(visitor.id, { emails: email })
      const { data } = messageList.parse((await muro.get(`/conversations/${id}/messages`)).body)
      expect(data).toMatchObject([{ sender_type: 'visitor', content: message.trim() }])
      threads.set(id, {
        contact: visitor.id,
        token,
        status: 'open',
        unread: 1,
        tags: [],
        assignee: null,
        messages: data,
      })
      return id
    },
    reply: async ({ a, text }) => await send(a, text, 'agent'),
    note: async ({ a, text }) => await send(a, text, 'note'),
    write: async ({ a, text }) => {
      const [id, thread] =
        pick(
          [...threads].filter(([, { token }]) => token !== undefined),
          a,
        ) ?? []
      if (!id || !thread) return undefined
      const content = `${mark} ${text}`.trim()
      const answer = await chat('POST', `/conversations/${thread.token}/messages`, { message: content })
      expect(answer.status).toBe(201)
      const { data } = messageList.parse((await muro.get(`/conversations/${id}/messages?limit=100`)).body)
      expect(data.at(-1)).toMatchObject({ sender_type: 'visitor', content })
      Object.assign(thread, { status: 'open', unread: thread.unread + 1, messages: data })
      return id
    },
    patch: async ({ a, b, text }) => {
      const [id, thread] = pick(threads, a) ?? []
      if (!id || !thread) return undefined
      const tag = [...text.trim()].slice(0, 20).join('').trim()
      const status = ['open', 'closed', 'snoozed'][b % 3] ?? 'open'
      const changes: { patch: object; facts: Partial<ModelThread> }[] = [
        { patch: { status }, facts: { status } },
        { patch: { tags: [tag, tag] }, facts: { tags: [tag] } },
        { patch: { tags: [] }, facts: { tags: [] } },
        { patch: { assigned_user_id: user }, facts: { assignee: user } },
        { patch: { assigned_user_id: null, mark_read: true }, facts: { assignee: null, unread: 0 } },
        { patch: { mark_unread: true }, facts: { unread: Math.max(1, thread.unread) } },
      ]
      const change = pick(changes, b)
      expect((await muro.patch(`/conversations/${id}`, change?.patch)).status).toBe(200)
      Object.assign(thread, change?.facts)
      return id
    },
    bulk: async ({ a, b }) => {
      const ids = [...threads.keys()].filter((_, index) => (a >> (index % 8)) % 2 === 0)
      if (ids.length === 0) return undefined
      const actions: { action: string; facts: (thread: ModelThread) => Partial<ModelThread> }[] = [
        { action: 'close', facts: () => ({ status: 'closed' }) },
        { action: 'open', facts: () => ({ status: 'open' }) },
        { action: 'snooze', facts: () => ({ status: 'snoozed' }) },
        { action: 'read', facts: () => ({ unread: 0 }) },
        { action: 'unread', facts: ({ unread }) => ({ unread: Math.max(1, unread) }) },
      ]
      const { action, facts } = pick(actions, b) ?? { action: '', facts: () => ({}) }
      const answer = await muro.post('/conversations/bulk', { ids: [...ids, 'cnv_none'], action })
      expect(answer.body).toMatchObject({ succeeded: ids.length, failed: 1 })
      for (const thread of ids.map((id) => threads.get(id))) if (thread) Object.assign(thread, facts(thread))
      return ids[0]
    },
    delete: async ({ a, b }) => {
      const [id] = pick(threads, a) ?? []
      if (!id || b % 3 > 0) return undefined
      const answer = await call(api, 'DELETE', `/api/v1/conversations/${id}`, { key: tenant.apiKey })
      expect(answer.status).toBe(200)
      threads.delete(id)
      return id
    },
    merge: async ({ a, b }) => {
      const [into, from] = [pick(contacts.keys(), a), pick(contacts.keys(), b)]
      if (!into || !from || into === from) return undefined
      expect((await muro.post(`/contacts/${into}/merge`, { from })).status).toBe(200)
      contacts.delete(from)
      for (const thread of threads.values()) if (thread.contact === from) thread.contact = into
      expect((await muro.get(`/contacts/${from}`)).status).toBe(404)
      return undefined
    },
    look: async ({ b }) => {
      const status = ['open', 'closed', 'snoozed'][b % 3] ?? 'open'
      const { body } = await muro.get(`/conversations?limit=100&status=${status}`)
      const { data } = z.object({ data: z.array(z.object({ id: z.string() })) }).parse(body)
      const expected = [...threads].filter(([, thread]) => thread.status === status).map(([id]) => id)
      expect(new Set(data.map(({ id }) => id))).toEqual(new Set(expected))
      return undefined
    },
  }
  const send = async (a: number, text: string, kind: 'agent' | 'note'): Promise<string | undefined> => {
    const [id, thread] = pick(threads, a) ?? []
    if (!id || !thread) return undefined
    const content = `${mark} ${text}`
    const answer = await muro.post(`/conversations/${id}/messages`, { content, kind })
    expect(answer.status).toBe(201)
    said(thread, answer, kind, content)
    return id
  }

  return {
    /** Takes a step in both, and looks at the thread that it was about. */
    take: async (step: Step): Promise<void> => {
      const touched = await steps[step.kind](step)
      if (touched) await check(touched)
    },
    /** Reads all that the workspace holds: it is what the model says. */
    compare: async (): Promise<void> => {
      for (const id of threads.keys()) await check(id)
      for (const id of contacts.keys()) {
        const { body } = await muro.get(`/contacts/${id}`)
        const count = [...threads.values()].filter(({ contact }) => contact === id).length
        expect(body).toMatchObject({ id, conversation_count: count })
      }
    },
    /** Ids that another workspace may try. */
    ids: (): string[] => [...contacts.keys(), ...threads.keys()],
    tokens: (): string[] => [...threads.values()].flatMap(({ token }) => token ?? []),
  }
}
