/**
 * What a client may send to the API, in any order: it is answered as the API describes itself, a workspace holds what a
 * model of it says, and nobody is told or changes what is another's. FUZZ_SEED tries once more what has failed.
 */

import { randomInt } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { type Answer, call, muroClient } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'
import { type Description, readDescription } from './api-description.ts'
import { anyStep, createModel } from './api-model.ts'
import { type Draft, draftOf, Place } from './api-requests.ts'

const { SOAK, FUZZ_SEED } = process.env
const seed = Number(FUZZ_SEED ?? randomInt(2 ** 31))
const patience = SOAK ? 300_000 : 60_000

let api: Api
let description: Description
beforeAll(async () => {
  api = await startApi()
  description = await readDescription(api.url)
})
afterAll(() => api.close())

test(
  'random requests are answered as documented, and nobody is told what is not theirs',
  async () => {
    process.stdout.write(`FUZZ_SEED=${seed}\n`)
    const operations = description.operations.filter(({ id }) => !streams.has(id))
    const drafts = fc.constantFrom(...operations).chain((operation) => draftOf(description, operation))
    const run = fc.array(fc.oneof({ weight: 2, arbitrary: drafts }, anyStep), { minLength: 30, maxLength: 80 })
    const property = fc.asyncProperty(run, async (steps) => {
      const mark = `mark${randomInt(2 ** 47)}`
      const [wild, watched] = await Promise.all([api.makeTenant(), api.makeTenant()])
      const model = createModel(api.url, watched, mark)
      const sender = createSender(wild, () => [...model.ids(), watched.site.id, watched.agent.user.publicId])
      await sender.settle()
      for (const step of steps) {
        if ('operation' in step) await sender.send(step, mark)
        else await model.take(step)
      }
      await model.compare()
    })
    await fc.assert(property, {
      seed,
      numRuns: SOAK ? 250 : 25,
      interruptAfterTimeLimit: patience * 0.6,
      markInterruptAsFailure: false,
      endOnFailure: SOAK === undefined,
    })
  },
  patience,
)

// Their answers do not end.
const streams = new Set(['sync'])

/** Sends drafts in the name of a workspace, whose ids it learns from the answers. */
const createSender = (tenant: Tenant, foreign: () => string[]) => {
  const known = new Map<string, string[]>([
    ['users', [tenant.agent.user.publicId]],
    ['sites', [tenant.site.id]],
    ['tokens', ['wild-1', 'wild-2']],
  ])
  const fill = (value: unknown): unknown => {
    if (value instanceof Place) return fillPlace(value)
    if (Array.isArray(value)) return value.map(fill)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, fill(held)]))
  }
  const fillPlace = ({ kind, pick }: Place): string | undefined => {
    const own = known.get(kind) ?? []
    const others = foreign()
    if (pick % 6 === 0) return others[pick % Math.max(1, others.length)] ?? `${kind}_none`
    return own[pick % Math.max(1, own.length)]
  }
  const learn = (text: string): void => {
    const [, cursor] = /"next_(?:cursor|page)":"([^"]+)"/.exec(text) ?? []
    if (cursor) known.set('cursors', [...(known.get('cursors') ?? []).slice(-5), cursor])
    for (const [id, prefix = ''] of text.matchAll(/\b([a-z]{3})_[A-Za-z0-9]{10,}/g)) {
      const kind = kinds[prefix]
      const held = known.get(kind ?? '') ?? []
      if (kind && !held.includes(id)) known.set(kind, [...held.slice(-30), id])
    }
  }

  return {
    /** Gives the workspace something of each kind, so that not all that is asked for is unknown. */
    settle: async (): Promise<void> => {
      const threads = [await tenant.thread(), await tenant.thread()]
      learn(JSON.stringify(threads))
      const { post } = muroClient(api.url, tenant.apiKey)
      const said = { name: 'Wilma', email: 'wilma@example.com', message: 'Hello', visitor_token: 'wild-1' }
      const made = [
        await call(api.url, 'POST', '/api/v1/chat/conversations', {
          body: said,
          headers: { 'X-Api-Key': tenant.site.site_key },
        }),
        await post(`/conversations/${threads[0]?.conversation}/messages`, { content: 'Hello' }),
        await post('/saved-replies', { shortcut: 'hi', title: 'Hi', body: 'Hello' }),
        await post('/automation-rules', {
          name: 'Tag',
          trigger: 'message.created',
          actions: [{ type: 'add_tag', value: 'new' }],
        }),
        await post('/webhooks', { url: 'https://example.com/', events: ['message.created'] }),
      ]
      for (const { text } of made) learn(text)
    },
    send: async (draft: Draft, mark: string): Promise<void> => {
      const { operation, flaw, idempotencyKey } = draft
      const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) =>
        encodeURIComponent(
          String(fill(draft.path[name]) ?? '')
            .toWellFormed()
            .replace(/^\.{1,2}$/, 'dots'),
        ),
      )
      const query = new URLSearchParams(
        Object.entries(draft.query).flatMap(([name, value]): [string, string][] => {
          const filled = fill(value)
          // Longer ones are answered before they are anybody's request.
          return filled === undefined ? [] : [[name, String(filled).slice(0, 3000)]]
        }),
      )
      const body = bodyOf(fill(draft.body), flaw)
      const isChat = path.startsWith('/api/v1/chat')
      const headers = {
        ...(flaw === 'no key'
          ? {}
          : isChat
            ? { 'X-Api-Key': flaw === 'unknown key' ? 'site_x' : tenant.site.site_key }
            : { Authorization: `Bearer ${flaw === 'unknown key' ? 'mr_live_x' : tenant.apiKey}` }),
        ...(idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey }),
        ...(flaw === 'no type' ? { 'Content-Type': 'text/plain' } : {}),
      }
      const url = `${path}${query.size > 0 ? `?${query}` : ''}`
      const answer = await call(api.url, operation.method, url, { headers, body: sendable(operation.method, body) })
      expect({ asked: `${operation.method} ${url}`, body, ...faultOf(draft, path, answer) }).toEqual({
        asked: `${operation.method} ${url}`,
        body,
      })
      expect(answer.text, `${operation.method} ${url} tells what is another's`).not.toContain(mark)
      learn(answer.text)
    },
  }
}

const kinds: Record<string, string> = {
  cnv: 'conversations',
  vis: 'contacts',
  msg: 'messages',
  usr: 'users',
  web: 'sites',
  whk: 'webhooks',
  dlv: 'deliveries',
  rul: 'automation-rules',
  rpl: 'saved-replies',
  att: 'attachments',
}

const bodyOf = (value: unknown, flaw: Draft['flaw']): unknown => {
  if (flaw === 'cut') return (JSON.stringify(value ?? {}) ?? '{}').slice(0, -1)
  if (flaw === 'not json') return 'hello'
  if (flaw === 'not an object') return '[1]'
  if (flaw === 'too large') return JSON.stringify({ content: 'x'.repeat(1024 * 1024) })
  return value
}

const sendable = (method: string, body: unknown): unknown =>
  method === 'GET' || body === undefined ? undefined : JSON.stringify(body) === undefined ? '' : body

/** Says what is wrong with an answer; nothing where it is right. */
const faultOf = ({ operation, flaw }: Draft, path: string, { status, headers, body }: Answer): { fault?: string } => {
  // An empty value in the path makes it another one, or none; a body where none belongs is nothing that is documented.
  const isElsewhere = (status === 404 || status === 405) && (path.includes('//') || path.endsWith('/'))
  const isOutOfPlace = flaw !== undefined && operation.body === undefined && [400, 413, 415].includes(status)
  const fault =
    isElsewhere || isOutOfPlace
      ? undefined
      : (description.judge(operation, status, headers.get('content-type') ?? '', body) ??
        (status >= 500 && !mayBeUnavailable.has(operation.id) ? `${status}` : undefined) ??
        (headers.has('x-request-id') ? undefined : 'no X-Request-Id'))
  return fault === undefined ? {} : { fault: `${fault}: ${JSON.stringify(body)}` }
}

/** What needs an AI, which is off here. */
const mayBeUnavailable = new Set(['summarizeConversation'])
