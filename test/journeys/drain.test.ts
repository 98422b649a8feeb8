/** P9: one of two nodes of each role is told to stop, under load and behind balancers that look who is ready. */

import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { type Api, startApi, testApp } from '../support/api.ts'
import { openBalancer } from '../support/balancer.ts'
import { call } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'
import { type RecoveringSubscriber, recoveringSubscriber } from './recovering.ts'

const subscribers = 120
const drainSeconds = 4

let api: Api
let tenant: Tenant
let conversation: string

beforeAll(async () => {
  api = await startApi({ DRAIN_SECONDS: `${drainSeconds}` }, { rest: 2, realtime: 2 })
  tenant = await api.makeTenant()
  conversation = (await tenant.thread()).conversation
}, 120_000)
afterAll(() => api?.close())

/** Opens a balancer that asks every 200 ms which of these ports are ready, as balancers do. */
const openCarefulBalancer = async (ports: number[]) => {
  let ready = ports
  const look = async (port: number): Promise<boolean> =>
    fetch(`http://127.0.0.1:${port}/ready`, { signal: AbortSignal.timeout(1000) }).then(
      (answer) => answer.status === 200,
      () => false,
    )
  const timer = setInterval(async () => {
    const answers = await Promise.all(ports.map(look))
    ready = ports.filter((_, n) => answers[n])
  }, 200)
  const balancer = await openBalancer(() => ready)
  onTestFinished(async () => {
    clearInterval(timer)
    await balancer.close()
  })
  return balancer.port
}

it('P9: no request fails, no event is lost, and the sockets come back a few at a time', {
  timeout: 90_000,
}, async () => {
  const fleet = api.fleet ?? fail()
  const restPort = await openCarefulBalancer(fleet.rest.map(({ program }) => Number(new URL(program.api).port)))
  const realtimePort = await openCarefulBalancer(fleet.realtime.map(({ program }) => program.realtimePort))
  const reached = { api: `http://127.0.0.1:${restPort}`, realtimePort }

  const opened: number[] = []
  const all: RecoveringSubscriber[] = []
  for (let n = 0; n < subscribers; n += 1) {
    const subscriber = recoveringSubscriber(reached, testApp.PUSHER_APP_KEY, {
      Authorization: `Bearer ${tenant.apiKey}`,
    })
    subscriber.client.connection.bind('connected', () => opened.push(performance.now()))
    onTestFinished(() => subscriber.leave())
    all.push(subscriber)
  }
  const org = `private-org-${tenant.workspace.publicId}`
  await Promise.all(all.map((subscriber) => subscriber.join(org)))
  const before = await headOf()

  const statuses: number[] = []
  let writing = true
  const write = async () => {
    while (writing) {
      const { status } = await call(reached.api, 'POST', `/api/v1/conversations/${conversation}/messages`, {
        key: tenant.apiKey,
        body: { content: 'while one stops' },
      }).catch(() => ({ status: 0 }))
      statuses.push(status)
      await pause(10)
    }
  }
  const writers = [write(), write(), write(), write()]
  await pause(500)

  const asked = performance.now()
  const codes = await Promise.all([fleet.realtime[0]?.program.stop(), fleet.rest[0]?.program.stop()])
  expect(codes).toEqual([0, 0])
  expect(performance.now() - asked).toBeLessThan((drainSeconds + 3) * 1000)
  await pause(500)
  writing = false
  await Promise.all(writers)
  expect([...new Set(statuses)]).toEqual([201])

  const expected = await seqsAfter(before)
  await expect
    .poll(() => all.every(({ seqs }) => (seqs.get(org)?.length ?? 0) >= expected.length), { timeout: 15_000 })
    .toBe(true)
  for (const { seqs, failures } of all) {
    expect(failures).toEqual([])
    expect(seqs.get(org)).toEqual(expected)
  }

  // About half of them were at the node that stopped: a slice is a hundredth of the time.
  const cameBack = opened.filter((time) => time > asked)
  const slice = Math.ceil(subscribers / 2 / (drainSeconds * 10))
  const busiest = Math.max(
    ...cameBack.map((time) => cameBack.filter((other) => other >= time && other < time + 100).length),
  )
  expect(cameBack.length).toBeGreaterThan(subscribers / 4)
  // The browser's clock and ours are not the same: two slices may fall into one tenth of a second.
  expect(busiest).toBeLessThanOrEqual(3 * slice + 2)
})

it('a second signal ends it at once', async () => {
  const program = api.fleet?.realtime[1]?.program ?? fail()
  const started = performance.now()
  program.child.kill('SIGTERM')
  await expect
    .poll(async () => (await fetch(`http://127.0.0.1:${program.realtimePort}/ready`)).status, { interval: 50 })
    .toBe(503)
  await program.stop()
  expect(performance.now() - started).toBeLessThan(2000)
})

const headOf = async (): Promise<number> => {
  const [row] = await api.database.sql<{ seq: number }[]>`
    select coalesce(max(seq), 0) as seq from events where workspace_id = ${tenant.workspace.id}`
  return row?.seq ?? 0
}

const seqsAfter = async (seq: number): Promise<number[]> =>
  (
    await api.database.sql<{ seq: number }[]>`
      select seq from events where workspace_id = ${tenant.workspace.id} and seq > ${seq} order by seq`
  ).map((row) => row.seq)

const fail = (): never => {
  throw new Error('there is none')
}
