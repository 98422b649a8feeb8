/** P7: a subscriber that stops reading costs its node little, harms no other, is sent away, and recovers. */

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Api, startApi, testApp } from '../support/api.ts'
import { call } from '../support/http.ts'
import { dataOf, type Frame, openRawSocket, type RawSocket } from '../support/raw-socket.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
let tenant: Tenant
let conversation: string

beforeAll(async () => {
  api = await startApi({}, { rest: 1, realtime: 1 })
  tenant = await api.makeTenant()
  conversation = (await tenant.thread()).conversation
})
afterAll(() => api.close())

const enter = async (since?: number): Promise<RawSocket> => {
  const socket = await openRawSocket(`ws://127.0.0.1:${node().realtimePort}/app/${testApp.PUSHER_APP_KEY}?protocol=7`)
  const { data } = await socket.waitFor('pusher:connection_established')
  const channel = `private-org-${tenant.workspace.publicId}`
  const { body } = await call(api.url, 'POST', '/api/v1/realtime/auth', {
    key: tenant.apiKey,
    body: { socket_id: JSON.parse(String(data)).socket_id, channel_name: channel, since },
  })
  socket.send({ event: 'pusher:subscribe', data: { channel, ...(body as object) } })
  await socket.waitFor('pusher_internal:subscription_succeeded')
  return socket
}

const node = () => {
  const program = api.fleet?.realtime[0]?.program
  if (!program) throw new Error('there is no node')
  return program
}

/** The memory of the node, in MB. */
const memory = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${node().child.pid}/status`, 'utf8'))?.[1]) / 1024

const slowSockets = async (): Promise<number> => {
  const metrics = await (await fetch(`http://127.0.0.1:${node().realtimePort}/metrics`)).text()
  return Number(/^hubbub_slow_sockets_total (\d+)$/m.exec(metrics)?.[1])
}

const numberOf = (frame: Frame): number => {
  const data = dataOf(frame)
  return typeof data === 'object' && data !== null && 'seq' in data ? Number(data.seq) : 0
}

it('P7: it is sent away with a code that brings it back, and has everything in the end', async () => {
  const [slow, quick] = await Promise.all([enter(), enter()])
  const before = memory()
  slow.pause()
  const content = 'x'.repeat(9000)
  let written = 0
  while ((await slowSockets()) === 0) {
    expect(written).toBeLessThan(4000)
    await Promise.all(
      Array.from({ length: 20 }, () =>
        call(api.url, 'POST', `/api/v1/conversations/${conversation}/messages`, {
          key: tenant.apiKey,
          body: { content },
        }),
      ),
    )
    written += 20
  }
  const [head] = await api.database.sql<{ seq: number }[]>`
    select seq from workspace_heads where workspace_id = ${tenant.workspace.id}`
  const newest = head?.seq ?? 0
  const first = newest - written + 1
  const all = Array.from({ length: written }, (_, n) => first + n)

  const heardByQuick: number[] = []
  while (heardByQuick.length < written) heardByQuick.push(numberOf(await quick.next()))
  expect(heardByQuick).toEqual(all)
  // What waits is bounded; the rest is what a busy process collects later.
  expect(memory() - before).toBeLessThan(150)

  slow.resume()
  expect(await slow.closed).toMatchObject({ code: 4100 })
  const heard = slow.frames.filter(({ event }) => event === 'message.new').map(numberOf)
  expect(heard.length).toBeLessThan(written)
  const back = await enter(heard.at(-1))
  for (let frame = await back.next(); frame.event !== 'hubbub:recovery'; frame = await back.next()) {
    heard.push(numberOf(frame))
  }
  expect(heard).toEqual(all)
})
