/** P3: mirrors that begin in the middle, are cut at random and lose their nodes hold the inbox in the end, all of it. */

import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { apply, follow, type Mirror, type Told } from '../../examples/mirror.mjs'
import { type Api, startApi } from '../support/api.ts'
import { call, idOf, muroClient } from '../support/http.ts'
import { type EventStream, joined, openStream, takeSnapshot } from '../support/sync.ts'
import type { Tenant } from '../support/tenant.ts'

const seconds = 12

let api: Api
let tenant: Tenant
beforeAll(async () => {
  api = await startApi({}, { rest: 2, realtime: 0 })
  tenant = await api.makeTenant()
})
afterAll(() => api.close())

const emptyMirror = (): Mirror => ({ conversations: new Map(), contacts: new Map() })

/** Follows the stream of sync and comes back with the last cursor whenever it is cut. */
const followStream = async (mirror: Mirror, told: Told[], current: { stream?: EventStream }, signal: AbortSignal) => {
  let connections = 0
  const read = async (path: string) => {
    const answer = await muroClient(api.url, tenant.apiKey).get(path)
    if (answer.status === 404) return undefined
    if (answer.status !== 200) throw new Error(answer.text)
    return answer.body
  }
  let cursor = await takeSnapshot(api.url, tenant.apiKey, mirror)
  while (!signal.aborted) {
    const stream = await openStream(api.url, tenant.apiKey, { lastEventId: cursor }).catch(() => undefined)
    if (!stream) continue
    expect(stream.status).toBe(200)
    connections += 1
    current.stream = stream
    let hasEnded = false
    void stream.ended.then(() => {
      hasEnded = true
    })
    try {
      for (let at = 0; !signal.aborted && !(hasEnded && at === stream.blocks.length); ) {
        const block = stream.blocks[at]
        if (!block) {
          await pause(5)
          continue
        }
        const event = block.data === undefined ? undefined : stream.eventOf(block)
        if (event) await apply(mirror, event, read)
        if (event) told.push(event)
        cursor = block.id ?? cursor
        at += 1
      }
    } catch {
      // A node was killed while something was read of it: the event is told again.
    }
    stream.cut()
  }
  return connections
}

/** Writes through both nodes for a while; what a killed node did not answer may have been done or not. */
const write = async (writing: () => boolean) => {
  const muro = muroClient(api.url, tenant.apiKey)
  const site = { 'X-Api-Key': tenant.site.site_key }
  const conversations: string[] = []
  const contacts: string[] = []
  let begun = 0
  let done = 0
  const remove = (path: string) => call(api.url, 'DELETE', `/api/v1${path}`, { key: tenant.apiKey })
  const pick = (from: string[]) => from[Math.floor(Math.random() * from.length)] ?? 'none'
  const acts: (() => Promise<unknown>)[] = [
    async () => {
      const contact = idOf(await muro.post('/contacts', { name: `C${done}` }))
      contacts.push(contact)
      conversations.push(idOf(await muro.post('/conversations', { visitor_id: contact, content: 'Hi' })))
    },
    () => muro.post(`/conversations/${pick(conversations)}/messages`, { content: `agent ${done}` }),
    () => muro.post(`/conversations/${pick(conversations)}/messages`, { content: `note ${done}`, kind: 'note' }),
    () => muro.patch(`/conversations/${pick(conversations)}`, { status: done % 2 ? 'closed' : 'open' }),
    () => muro.patch(`/conversations/${pick(conversations)}`, { tags: [`t${done % 7}`], mark_read: true }),
    () => muro.patch(`/contacts/${pick(contacts)}`, { name: `N${done}`, metadata: { done } }),
    () => {
      begun += 1
      const body = {
        name: 'V',
        email: `v${begun % 20}@example.com`,
        message: 'Hello',
        visitor_token: `visitor-${begun}`,
      }
      return call(api.url, 'POST', '/api/v1/chat/conversations', { headers: site, body })
    },
    () =>
      call(api.url, 'POST', `/api/v1/chat/conversations/visitor-${1 + Math.floor(Math.random() * begun)}/messages`, {
        headers: site,
        body: { message: `visitor ${done}` },
      }),
    () => remove(`/conversations/${pick(conversations)}`),
    () => muro.post(`/contacts/${pick(contacts)}/merge`, { from: pick(contacts) }),
    () => (done % 4 === 0 ? remove(`/contacts/${pick(contacts)}`) : muro.get('/contacts')),
  ]
  await acts[0]?.()
  await Promise.all(
    Array.from({ length: 8 }, async (_, writer) => {
      for (let turn = writer; writing(); turn += 1) {
        const isDone = await acts[turn % acts.length]?.().then(
          () => true,
          () => false,
        )
        if (isDone) done += 1
      }
    }),
  )
  return done
}

it('P3: a mirror by stream and one by long polls equal the database, and hear each event once', async () => {
  let writing = true
  const written = write(() => writing)
  await pause(1000)

  const ending = new AbortController()
  const current: { stream?: EventStream } = {}
  const byStream = { mirror: emptyMirror(), told: [] as Told[] }
  const byPolls = { mirror: emptyMirror(), told: [] as Told[] }
  const following = followStream(byStream.mirror, byStream.told, current, ending.signal)
  const { mirror } = byPolls
  const tell = (event: Told) => byPolls.told.push(event)
  const polling = follow({ api: api.url, key: tenant.apiKey, mirror, signal: ending.signal, tell })

  const nodes = api.fleet?.rest ?? []
  const begun = performance.now()
  const waits = (ms: number) => pause(Math.max(0, begun + ms - performance.now()))
  const killing = (async () => {
    for (const [index, node] of nodes.entries()) {
      await waits((0.2 + index * 0.35) * seconds * 1000)
      await node.kill()
      await pause(500)
      await node.restart()
    }
  })()
  while (performance.now() - begun < seconds * 1000) {
    await pause(100 + Math.random() * 500)
    current.stream?.cut()
  }
  await killing
  writing = false
  expect(await written).toBeGreaterThan(50)

  const log = (await api.eventsOf(tenant)).map(({ seq }) => seq)
  const head = log.at(-1)
  for (const { told } of [byStream, byPolls]) {
    await expect.poll(() => told.at(-1)?.seq, { timeout: 20_000 }).toBe(head)
    const seqs = told.map(({ seq }) => seq)
    expect(seqs).toEqual(log.slice(log.length - seqs.length))
  }
  ending.abort()
  const [connections] = await Promise.all([following, polling])
  expect(connections).toBeGreaterThan(10)

  const shown = emptyMirror()
  await takeSnapshot(api.url, tenant.apiKey, shown)
  expect(shown.conversations.size).toBeGreaterThan(20)
  for (const one of [byStream.mirror, byPolls.mirror]) expect(joined(one)).toEqual(joined(shown))
}, 120_000)
