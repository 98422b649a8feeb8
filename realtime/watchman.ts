/** How long sockets may say nothing, and how long they may stay without showing who they are. */

import { pingFrame } from '../schema/frames.ts'
import { type PusherCode, pusherCodes } from '../schema/pusher-codes.ts'
import type { Hub } from './hub.ts'
import type { Socket } from './socket.ts'

/** Times in ms; `authorization` 0: for ever. */
export type Patience = {
  /** After how much silence a socket is asked for a sign of life, and how long it may take to give one. */
  silence: number
  answer: number
  /** After how much silence a socket is closed whose protocol has no pings. */
  idle: number
  authorization: number
  /** How often it is looked. */
  look: number
}

/** After how many seconds of silence a client sends a ping by itself. */
export const activityTimeout = 120

/** What Pusher documents, and a little more than clients take to ping. */
export const usualPatience: Omit<Patience, 'authorization'> = {
  silence: (activityTimeout + 30) * 1000,
  answer: 30_000,
  idle: 24 * 60 * 60 * 1000,
  look: 5000,
}

export type Watchman = {
  /** Says that a socket was opened, that something was heard of it, that it has shown who it is, or that it is gone. */
  opened(socket: Socket): void
  heard(socket: Socket): void
  authorized(socket: Socket): void
  forget(socket: Socket): void
  close(): void
}

/** Makes the watch over the sockets of an app; `closing` is told of each that it closes. */
export const createWatchman = ({
  hub,
  patience,
  closing,
  now = Date.now,
}: {
  hub: Pick<Hub, 'sockets'>
  patience: Patience
  closing: (code: PusherCode) => void
  now?: () => number
}): Watchman => {
  // By when each has to have shown who it is; the oldest come first.
  const strangers = new Map<Socket, number>()
  let timers: NodeJS.Timeout[] = []

  const refuse = (socket: Socket, code: PusherCode, message: string): void => {
    closing(code)
    socket.refuse(code, message)
  }

  const lookAtStrangers = (): void => {
    for (const [socket, until] of strangers) {
      if (until > now()) return
      strangers.delete(socket)
      refuse(socket, pusherCodes.unauthorized, 'Connection not authorized within timeout')
    }
  }

  const look = (): void => {
    const time = now()
    for (const socket of hub.sockets()) {
      const silent = time - socket.heardAt
      if (!socket.pings) {
        if (silent > patience.idle) refuse(socket, pusherCodes.inactive, 'Closed after inactivity')
      } else if (silent > patience.silence) judge(socket, silent)
    }
  }

  const judge = (socket: Socket, silent: number): void => {
    if (silent > patience.silence + patience.answer && socket.isAsked) {
      refuse(socket, pusherCodes.pongTimeout, 'Pong reply not received')
    } else if (!socket.isAsked) {
      // Counted from now on: the process itself may have slept.
      socket.heardAt = now() - patience.silence
      socket.isAsked = true
      socket.send(pingFrame)
    }
  }

  return {
    opened: (socket) => {
      socket.heardAt = now()
      if (patience.authorization > 0) strangers.set(socket, now() + patience.authorization)
      if (timers.length === 0) timers = [setInterval(look, patience.look), setInterval(lookAtStrangers, 250)]
    },
    heard: (socket) => {
      socket.heardAt = now()
      socket.isAsked = false
    },
    authorized: (socket) => {
      if (strangers.size > 0) strangers.delete(socket)
    },
    forget: (socket) => {
      if (strangers.size > 0) strangers.delete(socket)
    },
    close: () => {
      for (const timer of timers) clearInterval(timer)
    },
  }
}
