/** One subscriber's socket: its id, its channels, its user, and a send that is safe at any time. */

import { randomFillSync } from 'node:crypto'
import { errorFrame } from '../schema/frames.ts'
import type { PusherCode } from '../schema/pusher-codes.ts'
import type { UserData } from '../schema/users.ts'
import type { Wire } from './transport/transport.ts'

/** What an app does with the sockets that were opened for it. */
export type SocketHandlers = {
  message(socket: Socket, text: string): void
  binary(socket: Socket): void
  drain(socket: Socket): void
  dropped(socket: Socket): void
  close(socket: Socket): void
}

/** A class, since there are thousands. `channels` are those it has joined; only the hub changes them. */
export class Socket {
  readonly id = newSocketId()
  readonly channels = new Map<string, Membership | undefined>()
  readonly wire: Wire
  readonly app: SocketHandlers
  /** Whether its protocol (5 and later) has pings. */
  readonly pings: boolean
  closed = false
  /** Who has signed in on it. */
  user: UserData | undefined
  /** When something was heard of it, in ms; since then it may have been asked for a sign of life. */
  heardAt = 0
  isAsked = false

  constructor(wire: Wire, app: SocketHandlers, { pings = true }: { pings?: boolean } = {}) {
    this.wire = wire
    this.app = app
    this.pings = pings
  }

  /** Sends a frame; nothing once the socket is closed. */
  send(frame: string): void {
    if (!this.closed) this.wire.send(frame)
  }

  /** Sends an error after which the socket stays open. */
  sendError(message: string, code: PusherCode | null = null): void {
    this.send(errorFrame(message, code))
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

/**
 * How a socket is on a channel, where there is more to say than that it is: by which key, as which member, and whether
 * it may not speak there although it listens.
 */
export type Membership = { key?: KeyHold | undefined; user?: string | number | undefined; isMute?: boolean }

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
