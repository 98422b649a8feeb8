/** One subscriber's socket: its id, its channels, and a send that is safe at any time. */

import { randomFillSync } from 'node:crypto'
import { errorFrame } from '../schema/frames.ts'
import type { PusherCode } from '../schema/pusher-codes.ts'
import type { Wire } from './transport/transport.ts'

/** A class, since there are thousands. `channels` are those it has joined, by which key; only the hub changes them. */
export class Socket {
  readonly id = newSocketId()
  readonly channels = new Map<string, KeyHold | undefined>()
  readonly wire: Wire
  closed = false

  constructor(wire: Wire) {
    this.wire = wire
  }

  /** Sends a frame; nothing once the socket is closed. */
  send(frame: string): void {
    if (!this.closed) this.wire.send(frame)
  }

  /** Sends an error after which the socket stays open. */
  sendError(message: string): void {
    this.send(errorFrame(message, null))
  }

  /** Closes the socket with one of Pusher's codes, said in a frame first for clients that do not read close codes. */
  refuse(code: PusherCode, message: string): void {
    this.send(errorFrame(message, code))
    this.close(code, message)
  }

  close(code: PusherCode, message: string): void {
    if (this.closed) return
    this.closed = true
    this.wire.close(code, message)
  }
}

/** A key as it stood when subscriptions were signed with it, and who holds some of these: how many each. */
export type KeyHold = { key: string; version: number; holders: Map<Socket, number>; expiry: NodeJS.Timeout | undefined }

// Unguessable, since a signature is bound to it. SDKs insist on digits, a dot, digits.
const newSocketId = (): string => {
  if (drawn === random.length) {
    randomFillSync(random)
    drawn = 0
  }
  drawn += 12
  return `${random.readUIntLE(drawn - 12, 6)}.${random.readUIntLE(drawn - 6, 6)}`
}

// Drawn for many sockets at a time.
const random = Buffer.alloc(12 * 256)
let drawn = random.length
