import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { streamSubject } from '../../realtime/bus/bus.ts'
import { encodeStreamEvent, toStreamEvent, typingEvent } from '../../schema/events.ts'
import { dataOf, type RawSocket } from '../support/raw-socket.ts'
import { grantedSubscribe, type Started, startRealtime } from './start-realtime.ts'

let server: Started

beforeEach(async () => {
  server = await startRealtime()
})

afterEach(() => server.stop())

/** Opens a socket that is on these channels of a workspace. */
const listener = async (workspace: string, ...channels: string[]): Promise<RawSocket> => {
  const { socket, id } = await server.connect()
  for (const channel of channels) {
    socket.send(grantedSubscribe(id, channel, { workspace }))
    await socket.waitFor('pusher_internal:subscription_succeeded', channel)
  }
  return socket
}

const seqOf = (frame: Parameters<typeof dataOf>[0]): unknown => {
  const data = dataOf(frame)
  return typeof data === 'object' && data && 'seq' in data ? data.seq : undefined
}

/** Takes this many frames and returns their seqs. */
const seqs = async (socket: RawSocket, count: number): Promise<unknown[]> => {
  const taken: unknown[] = []
  for (let n = 0; n < count; n++) taken.push(seqOf(await socket.next()))
  return taken
}

describe('who hears an event', () => {
  test('staff hear it on the workspace and on its conversation, in this order, with the same text', async () => {
    const agent = await listener('org_1', 'private-conv-cnv_1', 'private-org-org_1')
    server.record('org_1')
    const data =
      '{"id":"msg_1","conversation_id":"cnv_1","sender_type":"agent","sender_id":"usr_1","author":"Ada",' +
      '"content":"text 1","attachments":[],"created_at":"2026-01-01T00:00:00.000Z","event_id":"evt_1","seq":1,' +
      '"conversation_seq":1}'
    expect(await agent.next()).toEqual({ event: 'message.new', channel: 'private-org-org_1', data })
    expect(await agent.next()).toEqual({ event: 'message.new', channel: 'private-conv-cnv_1', data })
    expect(await agent.settle()).toEqual([])
  })

  test('a visitor hears the visible part of it, with its own numbers and without staff data', async () => {
    const visitor = await listener('org_1', 'private-visitor-cnv_1')
    server.record('org_1', { public_seq: 7 })
    expect(await visitor.next()).toEqual({
      event: 'message.new',
      channel: 'private-visitor-cnv_1',
      data:
        '{"id":"msg_1","conversation_id":"cnv_1","sender_type":"agent","author":"Ada","content":"text 1",' +
        '"attachments":[],"created_at":"2026-01-01T00:00:00.000Z","seq":7}',
    })
  })

  test('a visitor does not hear a note, nor an event of no conversation', async () => {
    const visitor = await listener('org_1', 'private-visitor-cnv_1')
    const agent = await listener('org_1', 'private-org-org_1')
    server.record('org_1', { public_seq: null })
    server.record('org_1', { type: 'contact.update', conversation: null, conversation_seq: null, public_seq: null })
    expect(await seqs(agent, 2)).toEqual([1, 2])
    expect(await visitor.settle()).toEqual([])
  })

  test('nobody hears another workspace or another conversation', async () => {
    const other = await listener('org_2', 'private-org-org_2', 'private-conv-cnv_2', 'private-visitor-cnv_2')
    const agent = await listener('org_1', 'private-org-org_1')
    server.record('org_1')
    server.record('org_1', { conversation: 'cnv_9' })
    expect(await seqs(agent, 2)).toEqual([1, 2])
    expect(await other.settle()).toEqual([])
  })

  test('typing is heard at once, and by the visitor only where it is public', async () => {
    const agent = await listener('org_1', 'private-conv-cnv_1')
    const visitor = await listener('org_1', 'private-visitor-cnv_1')
    const user = { id: 'usr_1', name: 'Ada' }
    for (const isPrivate of [true, false]) {
      const event = typingEvent({ workspace: 'org_1', site: 'web_1', conversation: 'cnv_1', user, isPrivate })
      server.bus.publish(streamSubject('org_1'), encodeStreamEvent(event))
    }
    expect((await agent.next()).data).toMatch('"is_private":true')
    expect((await agent.next()).data).toMatch('"is_private":false')
    expect(await visitor.settle()).toEqual([
      {
        event: 'agent.typing',
        channel: 'private-visitor-cnv_1',
        data: '{"conversation_id":"cnv_1","expires_in_ms":6000}',
      },
    ])
  })
})

describe('what a listener can rely on', () => {
  test('nothing from before the subscription, everything from after it', async () => {
    server.record('org_1')
    server.record('org_1')
    const agent = await listener('org_1', 'private-org-org_1')
    server.record('org_1')
    expect(await seqs(agent, 1)).toEqual([3])
  })

  test('no event between the confirmation and the join is lost, and none comes before it', async () => {
    const talking = setInterval(() => server.record('org_1'), 0)
    try {
      for (let n = 0; n < 50; n++) {
        const { socket, id } = await server.connect()
        socket.send(grantedSubscribe(id, 'private-org-org_1', { workspace: 'org_1' }))
        expect((await socket.next()).event).toBe('pusher_internal:subscription_succeeded')
        const first = Number(seqOf(await socket.next()))
        expect(await seqs(socket, 3)).toEqual([first + 1, first + 2, first + 3])
        socket.terminate()
      }
    } finally {
      clearInterval(talking)
    }
  })

  test('events that overtake each other on the bus, come twice or get lost are heard once and in order', async () => {
    const agent = await listener('org_1', 'private-org-org_1')
    const events = Array.from({ length: 100 }, () => toStreamEvent(server.log.append('org_1')))
    const shuffled = events.filter((_, n) => n % 7 !== 3).sort((a, b) => ((a.seq ?? 0) % 10) - ((b.seq ?? 0) % 10))
    for (const event of [...shuffled, ...shuffled.slice(20, 50)]) {
      server.bus.publish(streamSubject('org_1'), encodeStreamEvent(event))
    }
    expect(await seqs(agent, 100)).toEqual(events.map(({ seq }) => seq))
    expect(await agent.settle()).toEqual([])
  })

  test('a burst of thousands of events is heard whole', async () => {
    const agent = await listener('org_1', 'private-org-org_1')
    for (let n = 0; n < 2000; n++) server.record('org_1')
    expect(await seqs(agent, 2000)).toEqual(Array.from({ length: 2000 }, (_, n) => n + 1))
    expect(server.log.reads).toBe(0)
  })

  test('an event that the bus never carried is heard within two seconds', async () => {
    const agent = await listener('org_1', 'private-org-org_1')
    const written = performance.now()
    server.log.append('org_1')
    expect(await seqs(agent, 1)).toEqual([1])
    expect(performance.now() - written).toBeLessThan(2000)
  })

  test('the heads of all workspaces are looked at in one query, and in none while nobody listens', async () => {
    await server.connect()
    const first = await listener('org_1', 'private-org-org_1')
    const second = await listener('org_2', 'private-org-org_2')
    const before = server.log.headReads
    expect(before).toBe(2)
    server.log.append('org_1')
    server.log.append('org_2')
    await Promise.all([first.next(), second.next()])
    expect(server.log.headReads).toBe(before + 1)
  })

  test('nonsense on the bus is not heard, and what comes after it is', async () => {
    const agent = await listener('org_1', 'private-org-org_1')
    const foreign = encodeStreamEvent(toStreamEvent(server.log.append('org_2')))
    for (const message of ['', 'x', '\n\n', 'org_1 x message.new -\n{}\n', 'org_1 1e400 a -\n{}\n', foreign]) {
      server.bus.publish(streamSubject('org_1'), message)
    }
    server.record('org_1')
    const [frame, ...more] = [await agent.next(), ...(await agent.settle())]
    expect(seqOf(frame)).toBe(1)
    expect(more).toEqual([])
  })
})
