/** P3: many subscribers that lose their sockets at random, while many messages a second are written, miss nothing. */

import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Api, startApi, testApp } from '../support/api.ts'
import { call } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'
import { type RecoveringSubscriber, recoveringSubscriber } from './recovering.ts'

const conversationsEach = 6
const staffEach = 15

type Thread = { tenant: Tenant; id: string; token: string; channel: string }

/** Runs the journey, with twenty subscribers for each workspace, on programs that are given what `env` resolves to. */
export const comeback = (
  { workspaces, perSecond, seconds }: { workspaces: number; perSecond: number; seconds: number },
  env: () => Record<string, string> | Promise<Record<string, string>>,
): void => {
  let api: Api
  let tenants: Tenant[]
  let threads: Thread[]

  beforeAll(async () => {
    api = await startApi(await env(), { rest: 1, realtime: 2 })
    tenants = await Promise.all(Array.from({ length: workspaces }, () => api.makeTenant()))
    threads = (
      await Promise.all(
        tenants.map(async (tenant, w) => {
          const begun: Thread[] = []
          for (let n = 0; n < conversationsEach; n += 1) begun.push(await begin(tenant, `visitor-${w}-${n}`))
          return begun
        }),
      )
    ).flat()
  })
  afterAll(() => api?.close())

  const begin = async (tenant: Tenant, visitor_token: string): Promise<Thread> => {
    const { status, body } = await call(api.url, 'POST', '/api/v1/chat/conversations', {
      headers: { 'X-Api-Key': tenant.site.site_key },
      body: { name: 'Vita', email: `${visitor_token}@example.com`, message: 'Hello', visitor_token },
    })
    expect(status).toBe(201)
    const { conversation_id: id, channel } = body as { conversation_id: string; channel: string }
    return { tenant, id, token: visitor_token, channel }
  }

  /** Writes messages at an even pace; agents', visitors' and notes. Returns how many were answered. */
  const write = async (): Promise<number> => {
    const begun = performance.now()
    let next = 0
    let answered = 0
    const writer = async () => {
      while (next < seconds * perSecond) {
        const n = next
        next += 1
        const ahead = begun + (n * 1000) / perSecond - performance.now()
        if (ahead > 5) await pause(ahead)
        if ((await say(n)).status === 201) answered += 1
      }
    }
    await Promise.all(Array.from({ length: 24 }, writer))
    return answered
  }

  const say = (n: number) => {
    const { tenant, id, token } = threads[n % threads.length] ?? fail()
    const turn = Math.floor(n / threads.length) % 5
    if (turn === 0) {
      return call(api.url, 'POST', `/api/v1/chat/conversations/${token}/messages`, {
        headers: { 'X-Api-Key': tenant.site.site_key },
        body: { message: `visitor ${n}` },
      })
    }
    return call(api.url, 'POST', `/api/v1/conversations/${id}/messages`, {
      key: tenant.apiKey,
      body: { content: `agent ${n}`, kind: turn === 1 ? 'note' : 'agent' },
    })
  }

  const fail = (): never => {
    throw new Error('there is none')
  }

  it('P3: nobody misses anything, hears anything twice or out of order, staff and visitors alike', {
    timeout: 180_000,
  }, async () => {
    const subscribers: RecoveringSubscriber[] = []
    const join = async (headers: Record<string, string>, channels: string[], since?: number) => {
      const subscriber = recoveringSubscriber(api, testApp.PUSHER_APP_KEY, headers)
      subscribers.push(subscriber)
      await Promise.all(channels.map((channel) => subscriber.join(channel, since)))
    }
    for (const [w, tenant] of tenants.entries()) {
      const own = threads.filter((thread) => thread.tenant === tenant)
      const pick = (n: number) => `private-conv-${own[n % own.length]?.id}`
      await Promise.all(
        Array.from({ length: staffEach }, (_, n) => {
          const wide = n % 2 === 0 ? `private-org-${tenant.workspace.publicId}` : `private-site-${tenant.site.id}`
          return join({ Authorization: `Bearer ${tenant.apiKey}` }, [wide, pick(n + w), pick(n + w + 1)])
        }),
      )
      // A visitor has one channel, and begins where the conversation does.
      await Promise.all(
        own
          .slice(0, 5)
          .map(({ token, channel }) =>
            join({ 'X-Api-Key': tenant.site.site_key, 'X-Visitor-Token': token }, [channel], 0),
          ),
      )
    }
    expect(subscribers).toHaveLength(20 * workspaces)
    const [before] = await api.database.sql<{ at: Date }[]>`select clock_timestamp() as at`

    let cuts = 0
    let writing = true
    const cutting = (async () => {
      while (writing) {
        await pause(50 + Math.random() * 300)
        cuts += api.fleet?.cutSockets(0.05 + Math.random() * 0.15) ?? 0
      }
    })()
    expect(await write()).toBe(seconds * perSecond)
    writing = false
    await cutting

    const expected = await expectedSeqs(before?.at ?? new Date(0))
    const isComplete = ({ seqs }: RecoveringSubscriber) =>
      [...seqs].every(([channel, heard]) => heard.length >= (expected.get(channel)?.length ?? 0))
    for (let waited = 0; waited < 300 && !subscribers.every(isComplete); waited += 1) await pause(100)

    for (const { seqs, failures, client } of subscribers) {
      expect(failures).toEqual([])
      for (const [channel, heard] of seqs) expect([channel, heard]).toEqual([channel, expected.get(channel)])
      client.disconnect()
    }
    const recoveries = subscribers.reduce((sum, subscriber) => sum + subscriber.recoveries(), 0)
    expect(cuts).toBeGreaterThan(1.6 * workspaces * seconds)
    expect(recoveries).toBeGreaterThan(3.3 * workspaces * seconds)
  })

  /** What the log says that each channel told since a moment; a visitor's from its beginning. */
  const expectedSeqs = async (since: Date): Promise<Map<string, number[]>> => {
    const rows = await api.database.sql<
      {
        seq: number
        public_seq: number | null
        org: string
        site: string | null
        conversation: string | null
        isNew: boolean
      }[]
    >`
    select e.seq, e.public_seq, w.public_id as org, s.public_id as site, c.public_id as conversation,
           e.created_at > ${since} as "isNew"
      from events e join workspaces w on w.id = e.workspace_id
      left join sites s on s.id = e.site_id left join conversations c on c.id = e.conversation_id
     order by e.workspace_id, e.seq`
    const told = new Map<string, number[]>()
    const tell = (channel: string, seq: number) => told.set(channel, [...(told.get(channel) ?? []), seq])
    for (const { seq, public_seq, org, site, conversation, isNew } of rows) {
      if (public_seq !== null) tell(`private-visitor-${conversation}`, public_seq)
      if (!isNew) continue
      tell(`private-org-${org}`, seq)
      if (site !== null) tell(`private-site-${site}`, seq)
      if (conversation !== null) tell(`private-conv-${conversation}`, seq)
    }
    return told
  }
}
