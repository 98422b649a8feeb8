/** P3, seen from one hub: who says what it saw last gets what it missed, once, in order, and then what is live. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Since } from '../../schema/recovery.ts'
import { dataOf, type Frame, type RawSocket } from '../support/raw-socket.ts'
import { grantedSubscribe, type Started, startRealtime } from './start-realtime.ts'

let server: Started

beforeEach(async () => {
  server = await startRealtime()
})

afterEach(() => server.stop())

const channels = {
  org: 'private-org-org_1',
  site: 'private-site-web_1',
  conv: 'private-conv-cnv_1',
  visitor: 'private-visitor-cnv_1',
}

/** Subscribes a new socket that saw `since` last; nothing is read from it yet. */
const comeBack = async (channel: string, since?: Since): Promise<RawSocket> => {
  const { socket, id } = await server.connect()
  socket.send(grantedSubscribe(id, channel, { workspace: 'org_1', ...(since === undefined ? {} : { since }) }))
  await socket.waitFor('pusher_internal:subscription_succeeded', channel)
  return socket
}

type Told = { seq: number; recovered?: boolean; from?: number | null; to?: number | null; reason?: string }

const told = (frame: Frame): Told => dataOf(frame) as Told

/** Returns the numbers of the frames before the recovery, and what it says. */
const recovery = async (socket: RawSocket): Promise<{ seqs: number[]; end: Told }> => {
  const seqs: number[] = []
  for (;;) {
    const frame = await socket.next()
    if (frame.event === 'hubbub:recovery') return { seqs, end: told(frame) }
    seqs.push(told(frame).seq)
  }
}

const upTo = (last: number, first = 1): number[] =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, n) => first + n)

/** Keeps the stream followed by a socket that is there all the time. */
const follow = () => comeBack(channels.org)

describe.each(Object.entries(channels))('a subscriber of the %s channel', (audience, channel) => {
  test('gets what it missed out of memory, then the recovery, then what is live', async () => {
    await follow()
    for (let n = 0; n < 10; n++) server.record('org_1')
    const socket = await comeBack(channel, 4)
    expect(await recovery(socket)).toEqual({
      seqs: upTo(10, 5),
      end: { recovered: true, from: 4, to: 10, sync: expect.stringMatching(/^\/api\/v1\//) },
    })
    server.record('org_1')
    expect(told(await socket.next()).seq).toBe(11)
    expect(server.log.missedReads).toBe(0)
  })

  test('gets it out of the log where this hub did not hear it', async () => {
    for (let n = 0; n < 10; n++) server.log.append('org_1')
    const socket = await comeBack(channel, 4)
    expect(await recovery(socket)).toMatchObject({ seqs: upTo(10, 5), end: { recovered: true, to: 10 } })
    server.record('org_1')
    expect(told(await socket.next()).seq).toBe(11)
    expect(server.log.missedReads).toBe(1)
  })

  test('misses nothing of what is said while the log is read', async () => {
    await follow()
    for (let n = 0; n < 3; n++) server.log.append('org_1')
    let open: () => void = () => undefined
    server.log.gate = new Promise((resolve) => {
      open = resolve
    })
    const replaying = await comeBack(channel, 0)
    for (let n = 0; n < 5; n++) server.record('org_1')
    open()
    const { seqs, end } = await recovery(replaying)
    expect(seqs).toEqual(upTo(end.to ?? 0))
    const rest: number[] = []
    for (let seq = end.to ?? 0; seq < 8; seq += 1) rest.push(told(await replaying.next()).seq)
    expect([...seqs, ...rest]).toEqual(upTo(8))
    expect(await replaying.settle()).toEqual([])
  })

  test('that missed nothing is told so', async () => {
    for (let n = 0; n < 3; n++) server.log.append('org_1')
    const socket = await comeBack(channel, 3)
    expect(await recovery(socket)).toMatchObject({ seqs: [], end: { recovered: true, from: 3, to: 3 } })
  })

  test('without since is not told of any recovery, and hears what is live', async () => {
    for (let n = 0; n < 3; n++) server.log.append('org_1')
    const socket = await comeBack(channel)
    server.record('org_1')
    expect(told(await socket.next()).seq).toBe(4)
    expect(await socket.settle()).toEqual([])
  })

  test.each([
    ['invalid', 'invalid' as const, null],
    ['beyond the head', 4, 4],
  ])('whose since is %s is told that it must read anew, and hears what is live', async (_, since, from) => {
    for (let n = 0; n < 3; n++) server.log.append('org_1')
    const socket = await comeBack(channel, since)
    const { seqs, end } = await recovery(socket)
    expect({ seqs, ...end }).toMatchObject({ seqs: [], recovered: false, reason: 'invalid', from })
    server.record('org_1')
    expect(told(await socket.next()).seq).toBe(4)
  })

  test('whose since was pruned, is too far back, or cannot be looked up, is told why', async () => {
    for (let n = 0; n < 1003; n++) server.log.append('org_1')
    server.log.pruned = 2
    expect(await recovery(await comeBack(channel, 1))).toMatchObject({ seqs: [], end: { reason: 'expired' } })
    expect(await recovery(await comeBack(channel, 2))).toMatchObject({ seqs: [], end: { reason: 'too_many' } })
    expect(await recovery(await comeBack(channel, 3))).toMatchObject({ seqs: upTo(1003, 4), end: { recovered: true } })
    server.log.failures = 1
    expect(await recovery(await comeBack(channel, 3))).toMatchObject({ seqs: [], end: { reason: 'unavailable' } })
    expect(await recovery(await comeBack(channel, 3))).toMatchObject({ seqs: upTo(1003, 4), end: { recovered: true } })
    expect(audience).toBeTruthy()
  })
})

test('events of other conversations, of other sites and of no conversation are not replayed to whom they do not concern', async () => {
  await follow()
  server.record('org_1')
  server.record('org_1', { conversation: 'cnv_2', site: 'web_2' })
  server.record('org_1', {
    type: 'contact.update',
    conversation: null,
    conversation_seq: null,
    public_seq: null,
    payload: { id: 'vis_1' },
  })
  server.record('org_1', { public_seq: null })
  expect((await recovery(await comeBack(channels.org, 0))).seqs).toEqual([1, 2, 3, 4])
  expect((await recovery(await comeBack(channels.site, 0))).seqs).toEqual([1, 3, 4])
  expect((await recovery(await comeBack(channels.conv, 0))).seqs).toEqual([1, 4])
  expect((await recovery(await comeBack(channels.visitor, 0))).seqs).toEqual([1])
})

test('a visitor counts in numbers of the conversation, whatever else is said in the workspace', async () => {
  await follow()
  for (let n = 1; n <= 6; n++) {
    server.record('org_1', { conversation: 'cnv_2', public_seq: n })
    server.record('org_1', { public_seq: null })
    server.record('org_1', { public_seq: n })
  }
  expect(await recovery(await comeBack(channels.visitor, 2))).toMatchObject({ seqs: [3, 4, 5, 6], end: { to: 6 } })
})

test('a subscriber that leaves in the middle of its replay hears no more of it, and may come again', async () => {
  for (let n = 0; n < 5; n++) server.log.append('org_1')
  let open: () => void = () => undefined
  server.log.gate = new Promise((resolve) => {
    open = resolve
  })
  const { socket, id } = await server.connect()
  const frame = grantedSubscribe(id, channels.conv, { workspace: 'org_1', since: 2 })
  socket.send(frame)
  await socket.waitFor('pusher_internal:subscription_succeeded')
  socket.send({ event: 'pusher:unsubscribe', data: { channel: channels.conv } })
  socket.send(frame)
  await socket.waitFor('pusher_internal:subscription_succeeded')
  open()
  expect(await recovery(socket)).toMatchObject({ seqs: [3, 4, 5], end: { recovered: true } })
  expect(await socket.settle()).toEqual([])
})

test('subscribing twice while the first is on its way is one replay', async () => {
  for (let n = 0; n < 5; n++) server.log.append('org_1')
  const { socket, id } = await server.connect()
  const frame = grantedSubscribe(id, channels.conv, { workspace: 'org_1', since: 2 })
  socket.send(frame)
  socket.send(frame)
  expect(await recovery(socket)).toMatchObject({ end: { recovered: true } })
  expect((await socket.settle()).filter(({ event }) => event !== 'pusher_internal:subscription_succeeded')).toEqual([])
})

test('a replay pauses while its reader does not read, holds little for it meanwhile, and goes on', async () => {
  const big = { payload: { ...server.log.append('org_1').payload, content: 'x'.repeat(20_000) } }
  for (let n = 0; n < 45; n++) server.log.append('org_1', big)
  const { socket, id } = await server.connect()
  socket.pause()
  for (const channel of [channels.org, channels.conv, channels.site]) {
    socket.send(grantedSubscribe(id, channel, { workspace: 'org_1', since: 0 }))
  }
  // Meanwhile others are served.
  expect((await recovery(await comeBack(channels.org, 40))).seqs).toEqual(upTo(46, 41))
  socket.resume()
  const seqs = new Map<string | undefined, number[]>()
  for (let ended = 0; ended < 3; ) {
    const frame = await socket.next()
    if (frame.event === 'hubbub:recovery') ended += 1
    if (frame.event === 'message.new') seqs.set(frame.channel, [...(seqs.get(frame.channel) ?? []), told(frame).seq])
  }
  expect([...seqs.values()]).toEqual([upTo(46), upTo(46), upTo(46)])
})

test('at most eight read the log at once, and a workspace with many does not keep another waiting', async () => {
  for (const workspace of ['org_1', 'org_2']) for (let n = 0; n < 3; n++) server.log.append(workspace)
  let open: () => void = () => undefined
  server.log.gate = new Promise((resolve) => {
    open = resolve
  })
  const crowd = await Promise.all(Array.from({ length: 20 }, () => comeBack(channels.org, 1)))
  const { socket, id } = await server.connect()
  socket.send(grantedSubscribe(id, 'private-org-org_2', { workspace: 'org_2', since: 1 }))
  await socket.waitFor('pusher_internal:subscription_succeeded')
  expect(server.log.missedReads).toBe(8)
  const order: string[] = []
  const all = [...crowd.map((one) => ['org_1', one] as const), ['org_2', socket] as const].map(async ([name, one]) => {
    expect((await recovery(one)).seqs).toEqual([2, 3])
    order.push(name)
  })
  open()
  await Promise.all(all)
  expect(order.indexOf('org_2')).toBeLessThan(18)
})

test('without a database events are told as they arrive, and every since is answered that it must read anew', async () => {
  await server.stop()
  server = await startRealtime({ withLog: false })
  const socket = await comeBack(channels.org, 3)
  expect(await recovery(socket)).toEqual({
    seqs: [],
    end: { recovered: false, from: 3, to: null, reason: 'unavailable', sync: '/api/v1/snapshot' },
  })
  server.log.append('org_1')
  server.record('org_1')
  expect(told(await socket.next()).seq).toBe(2)
})

test('the confirmation tells from where on a channel is heard, for who is cut before it has heard anything', async () => {
  for (let n = 0; n < 3; n++) server.log.append('org_1')
  const { socket, id } = await server.connect()
  socket.send(grantedSubscribe(id, channels.conv, { workspace: 'org_1' }))
  expect(dataOf(await socket.waitFor('pusher_internal:subscription_succeeded'))).toEqual({ seq: 3 })
})
