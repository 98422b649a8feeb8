/** A bus that loses, delays, repeats and reorders messages: subscribers hear everything once and in order all the same. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { streamSubject } from '../../realtime/bus/bus.ts'
import { encodeStreamEvent, toStreamEvent } from '../../schema/events.ts'
import { dataOf, type RawSocket } from '../support/raw-socket.ts'
import { grantedSubscribe, type Started, startRealtime } from './start-realtime.ts'

let server: Started

beforeEach(async () => {
  server = await startRealtime()
})

afterEach(() => server.stop())

/** Numbers from 0 to 1 that a seed decides. */
const random = (seed: number) => {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

const count = 2000
const seeds = [1, 2, 3, Math.floor(Date.now() % 1_000_000)]

test.each(seeds)('seed %i', async (seed) => {
  const next = random(seed)
  const subject = streamSubject('org_1')
  const channels = ['private-org-org_1', 'private-site-web_1', 'private-conv-cnv_1', 'private-visitor-cnv_1']
  const sockets: [string, RawSocket][] = await Promise.all(
    channels.map(async (channel) => {
      const { socket, id } = await server.connect()
      socket.send(grantedSubscribe(id, channel, { workspace: 'org_1' }))
      await socket.waitFor('pusher_internal:subscription_succeeded')
      return [channel, socket]
    }),
  )
  for (let n = 0; n < count; n++) {
    const message = encodeStreamEvent(toStreamEvent(server.log.append('org_1')))
    const publish = () => server.bus.publish(subject, message)
    const fate = next()
    if (fate < 0.5) publish()
    else if (fate < 0.7) setTimeout(publish, next() * 30)
    else if (fate < 0.75) {
      publish()
      setTimeout(publish, next() * 30)
    }
    if (next() < 0.05) await new Promise((resolve) => setTimeout(resolve, next() * 10))
  }
  // A last one that arrives closes the last hole at once.
  server.record('org_1')
  for (const [channel, socket] of sockets) {
    const seqs: unknown[] = []
    while (seqs.length < count + 1) {
      const frame = await socket.next()
      expect(frame.channel).toBe(channel)
      const data = dataOf(frame)
      seqs.push(typeof data === 'object' && data && 'seq' in data ? data.seq : undefined)
    }
    expect(seqs).toEqual(Array.from({ length: count + 1 }, (_, n) => n + 1))
    expect(await socket.settle()).toEqual([])
  }
  expect(await server.metrics.text()).not.toMatch(/^hubbub_stream_holes_total 0$/m)
})
