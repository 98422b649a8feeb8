/** One socket of the `ws` package, with the manners of a wire: bounded, silent after its close, and heard of at once. */

import type { Socket as NetSocket } from 'node:net'
import type { WebSocket } from 'ws'
import type { Wire } from './transport.ts'

/** The wires of each topic. */
export type Topics = Map<string, Set<WsWire>>

type Sender = Pick<WebSocket, 'bufferedAmount' | 'send' | 'close' | 'terminate' | 'ping' | 'pong'>

type Ends = {
  topics: Topics
  sendBuffer: number
  dropped: () => void
  closed: (code: number) => void
}

/** A class, since there are thousands. */
export class WsWire implements Wire {
  readonly #socket: Sender
  readonly #net: NetSocket
  readonly #ends: Ends
  readonly #joined = new Set<string>()
  #isClosed = false
  // Part of what waits may go without a word: until all has, nothing may come after a frame that was lost.
  #isFull = false
  /** Whether anything was heard of it since it was last asked for. */
  isLively = true

  constructor(socket: Sender, net: NetSocket, ends: Ends) {
    this.#socket = socket
    this.#net = net
    this.#ends = ends
  }

  send(frame: string | Buffer): void {
    if (this.#isClosed) return
    if (this.#isFull || this.#socket.bufferedAmount > this.#ends.sendBuffer) {
      this.#isFull = true
      this.#ends.dropped()
    } else this.#socket.send(frame, { binary: false })
  }

  /** Says that all that waited is gone: frames may be sent again. */
  drained(): void {
    this.#isFull = false
  }

  batch(send: () => void): void {
    if (this.#isClosed) return
    this.#net.cork()
    send()
    this.#net.uncork()
  }

  buffered(): number {
    return this.#isClosed ? 0 : this.#socket.bufferedAmount
  }

  close(code: number, reason: string): void {
    if (this.#isClosed) return
    this.#socket.close(code, reason)
    this.ended(code)
  }

  cut(): void {
    if (this.#isClosed) return
    this.#socket.terminate()
    this.ended(1006)
  }

  subscribe(topic: string): void {
    if (this.#isClosed) return
    this.#joined.add(topic)
    const members = this.#ends.topics.get(topic)
    if (members) members.add(this)
    else this.#ends.topics.set(topic, new Set([this]))
  }

  unsubscribe(topic: string): void {
    if (!this.#joined.delete(topic)) return
    const members = this.#ends.topics.get(topic)
    members?.delete(this)
    if (members?.size === 0) this.#ends.topics.delete(topic)
  }

  /** Asks for a sign of life; one that gave none since the last time is cut. */
  askForLife(): void {
    if (this.isLively) this.#socket.ping()
    else this.cut()
    this.isLively = false
  }

  /** Answers a ping; not that of one who asks and asks, and reads no answer. */
  pong(payload: Buffer): void {
    if (!this.#isClosed && this.#socket.bufferedAmount <= this.#ends.sendBuffer) this.#socket.pong(payload)
  }

  /** Takes it out of everything and tells that it is closed, once. */
  ended(code: number): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const topic of this.#joined) this.unsubscribe(topic)
    this.#ends.closed(code)
  }
}
