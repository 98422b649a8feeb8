/** The wire of the ws transport: after a frame that was lost nothing is sent until all that waited is gone. */

import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { WsWire } from '../../realtime/transport/ws-wire.ts'

test('a buffer that empties in part, unheard, lets no frame through behind one that was lost', () => {
  const sent: unknown[] = []
  let waiting = 0
  let dropped = 0
  const nothing = () => undefined
  const socket = {
    get bufferedAmount() {
      return waiting
    },
    send: (frame: unknown) => sent.push(frame),
    close: nothing,
    terminate: nothing,
    ping: nothing,
  }
  const ends = { topics: new Map(), sendBuffer: 100, dropped: () => (dropped += 1), closed: () => undefined }
  const wire = new WsWire(socket, new Socket(), ends)
  wire.send('first')
  waiting = 101
  wire.send('lost')
  waiting = 50
  wire.send('behind the lost one')
  expect([sent, dropped]).toEqual([['first'], 2])
  wire.drained()
  wire.send('goodbye')
  expect(sent).toEqual(['first', 'goodbye'])
})
