/** The wire of the ws transport: what it sends, and what it keeps to itself. */

import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { WsWire } from '../../realtime/transport/ws-wire.ts'

/** Makes a wire over a socket that keeps what it is told to send, and of which as much waits as is said. */
const createWire = () => {
  const sent: unknown[] = []
  const state = { sent, waiting: 0, dropped: 0 }
  const nothing = () => undefined
  const keep = (what: unknown) => sent.push(what)
  const socket = {
    get bufferedAmount() {
      return state.waiting
    },
    send: keep,
    close: nothing,
    terminate: nothing,
    ping: nothing,
    pong: keep,
  }
  const ends = { topics: new Map(), sendBuffer: 100, dropped: () => (state.dropped += 1), closed: nothing }
  return { state, wire: new WsWire(socket, new Socket(), ends) }
}

test('a buffer that empties in part, unheard, lets no frame through behind one that was lost', () => {
  const { state, wire } = createWire()
  wire.send('first')
  state.waiting = 101
  wire.send('lost')
  state.waiting = 50
  wire.send('behind the lost one')
  expect(state).toMatchObject({ sent: ['first'], dropped: 2 })
  wire.drained()
  wire.send('goodbye')
  expect(state.sent).toEqual(['first', 'goodbye'])
})

test('a ping is answered, but not that of a client which reads no answers, nor behind the close', () => {
  const { state, wire } = createWire()
  wire.pong(Buffer.from('read'))
  state.waiting = 101
  wire.pong(Buffer.from('one of many'))
  state.waiting = 0
  wire.close(4200, 'over')
  wire.pong(Buffer.from('late'))
  expect(state.sent).toEqual([Buffer.from('read')])
})
