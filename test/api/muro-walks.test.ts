/** Walking through a list while it moves: a walk neither skips nor repeats a row. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { type Client, call, idOf, muroClient, pageOf } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

/** Walks a list from its front to its end and returns the ids in the order they came; `meanwhile` runs between pages. */
const walk = async (muro: Client, path: string, meanwhile: (page: string[], turn: number) => Promise<unknown>) => {
  const seen: string[] = []
  let cursor: string | null = ''
  for (let turn = 1; cursor !== null; turn += 1) {
    const page = pageOf(await muro.get(`${path}${cursor && `&cursor=${cursor}`}`))
    seen.push(...page.ids)
    cursor = page.cursor
    await meanwhile(page.ids, turn)
  }
  return seen
}

/** Makes a workspace with visitors who have one conversation each; the newest first. */
const makeVisitors = async (count: number) => {
  const tenant = await api.makeTenant()
  const threads: { conversation: string; contact: string; speak: () => Promise<unknown> }[] = []
  for (let number = 1; number <= count; number += 1) threads.unshift(await makeVisitor(tenant, number))
  return { tenant, muro: muroClient(api.url, tenant.apiKey), threads }
}

const makeVisitor = async (tenant: Tenant, number: number) => {
  const headers = { 'X-Api-Key': tenant.site.site_key }
  const chat = `${api.url}/api/v1/chat/conversations`
  const visitor_token = `visitor-${number}`
  const begun = await call(chat, 'POST', '', {
    headers,
    body: { name: 'V', email: `v${number}@example.com`, message: 'Hi', visitor_token },
  })
  const conversation = (begun.body as { conversation_id: string }).conversation_id
  const { body } = await muroClient(api.url, tenant.apiKey).get(`/conversations/${conversation}`)
  return {
    conversation,
    contact: (body as { visitor: { id: string } }).visitor.id,
    speak: () => call(chat, 'POST', `/${visitor_token}/messages`, { headers, body: { message: 'Again' } }),
  }
}

describe('a walk through the conversations', () => {
  it('is complete and in its first order, though rows move to the front behind and before it', async () => {
    const { muro, threads } = await makeVisitors(11)
    const order = threads.map(({ conversation }) => conversation)
    const seen = await walk(muro, '/conversations?limit=2', async (page, turn) => {
      // One that was just shown, one that is still to come, by a visitor, an agent and a note in turn.
      await threads.find(({ conversation }) => conversation === page[0])?.speak()
      const ahead = order[Math.min(turn * 2 + 1, order.length - 1)]
      const kind = turn % 2 === 0 ? 'note' : 'agent'
      await muro.post(`/conversations/${ahead}/messages`, { content: 'moves to the front', kind })
    })
    expect(seen).toEqual(order)
  })

  it('is complete though the last row of a page moves, and all rows that are still to come', async () => {
    const { muro, threads } = await makeVisitors(7)
    const order = threads.map(({ conversation }) => conversation)
    const seen = await walk(muro, '/conversations?limit=3', async (page, turn) => {
      await threads.find(({ conversation }) => conversation === page.at(-1))?.speak()
      if (turn === 1) for (const { speak } of threads.slice(3).reverse()) await speak()
    })
    expect(seen).toEqual(order)
  })

  it('leaves out what is opened meanwhile; a new walk begins with it', async () => {
    const { tenant, muro, threads } = await makeVisitors(4)
    const order = threads.map(({ conversation }) => conversation)
    const made: string[] = []
    const seen = await walk(muro, '/conversations?limit=1', async (_page, turn) => {
      const thread = await makeVisitor(tenant, 100 + turn)
      await thread.speak()
      made.unshift(thread.conversation)
    })
    expect(seen).toEqual(order)
    const again = await walk(muro, '/conversations?limit=100', async () => undefined)
    expect(again).toEqual([...made, ...order])
  })

  it('through one status keeps to it', async () => {
    const { muro, threads } = await makeVisitors(6)
    const order = threads.map(({ conversation }) => conversation)
    for (const id of order.filter((_, index) => index % 2 === 0)) {
      await muro.patch(`/conversations/${id}`, { status: 'closed' })
    }
    const open = order.filter((_, index) => index % 2 === 1)
    const seen = await walk(muro, '/conversations?status=open&limit=1', async () => {
      for (const id of open) await muro.post(`/conversations/${id}/messages`, { content: 'busy' })
    })
    expect(seen).toEqual(open)
  })

  it('shows a row that moved as it is now, not as it was', async () => {
    const { muro, threads } = await makeVisitors(2)
    const first = pageOf(await muro.get('/conversations?limit=1'))
    await muro.post(`/conversations/${threads[1]?.conversation}/messages`, { content: 'the newest words' })
    const second = pageOf(await muro.get(`/conversations?limit=1&cursor=${first.cursor}`))
    expect(second.data[0]).toMatchObject({ last_message: { content: 'the newest words' } })
  })
})

describe('a walk through the contacts', () => {
  it('is complete and in its first order, though visitors come back behind and before it', async () => {
    const { muro, threads } = await makeVisitors(9)
    const order = threads.map(({ contact }) => contact)
    const seen = await walk(muro, '/contacts?limit=2', async (page, turn) => {
      await threads.find(({ contact }) => contact === page.at(-1))?.speak()
      await threads[Math.min(turn * 2 + 1, threads.length - 1)]?.speak()
    })
    expect(seen).toEqual(order)
  })

  it('leaves out who is new meanwhile, and holds who never wrote', async () => {
    const { tenant, muro, threads } = await makeVisitors(3)
    const silent = [idOf(await muro.post('/contacts', {})), idOf(await muro.post('/contacts', {}))].reverse()
    const seen = await walk(muro, `/contacts?website_id=${tenant.site.id}&limit=1`, async (_page, turn) => {
      await makeVisitor(tenant, 100 + turn)
      await muro.post('/contacts', {})
      await threads.at(-1)?.speak()
    })
    expect(seen).toEqual([...silent, ...threads.map(({ contact }) => contact)])
  })

  it('still comes to who stays where contacts are merged meanwhile, at the place that they had, and once', async () => {
    const { muro, threads } = await makeVisitors(9)
    const [a, b, c, d, e, f, g, h, last] = threads.map(({ contact }) => contact)
    const merge = (into: string | undefined, from: string | undefined) => muro.post(`/contacts/${into}/merge`, { from })
    const seen = await walk(muro, '/contacts?limit=2', async (_page, turn) => {
      // One that is yet to come takes in one that was shown and one that was not; in between both are seen again.
      if (turn === 1) {
        await merge(h, a)
        await threads[7]?.speak()
        await merge(h, c)
        await threads[0]?.speak()
      }
      // One that was shown takes in one that is yet to come; and who stays may end in turn.
      if (turn === 2) {
        await merge(b, f)
        await merge(g, d)
        await merge(last, g)
      }
    })
    expect(seen).toEqual([a, b, d, e, h, last])
    expect(await walk(muro, '/contacts?limit=2', async () => undefined)).toEqual([h, b, last, e])
  })
})

it('a walk is complete under concurrent writers', async () => {
  const { tenant, muro, threads } = await makeVisitors(12)
  let walking = true
  const writers = Promise.all(
    [0, 1, 2].map(async (writer) => {
      for (let turn = writer; walking; turn += 1) {
        await threads[(turn * 5) % threads.length]?.speak()
        if (turn % 7 === 0) await makeVisitor(tenant, 1000 * (writer + 1) + turn)
      }
    }),
  )
  for (const [path, ids] of [
    ['/conversations?limit=1', threads.map(({ conversation }) => conversation)],
    ['/contacts?limit=1', threads.map(({ contact }) => contact)],
  ] as const) {
    const seen = await walk(muro, path, async () => undefined)
    expect(new Set(seen).size).toBe(seen.length)
    expect(ids.filter((id) => !seen.includes(id))).toEqual([])
  }
  walking = false
  await writers
})
