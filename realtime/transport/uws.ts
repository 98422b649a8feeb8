/** The transport over uWebSockets.js: all that is known of it is known here. */

import type uWS from 'uWebSockets.js'
import type { us_listen_socket, WebSocket, WebSocketBehavior } from 'uWebSockets.js'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { StartError } from '../../schema/errors.ts'
import type { Logger } from '../logger.ts'
import { defaultMaxBody } from './http-bounds.ts'
import { portRefusal } from './port-refusal.ts'
import { createProxies, type Listening } from './proxies.ts'
import { readTls } from './tls.ts'
import type { CreateTransport, TransportHandlers, Wire } from './transport.ts'
import { addressText, serveHttp } from './uws-http.ts'
import { UwsUpgrade } from './uws-upgrade.ts'

declare module 'uWebSockets.js' {
  // Present in the addon, absent from its types.
  interface TemplatedApp {
    listen(host: string, port: number, options: number, done: (token: us_listen_socket | false) => void): TemplatedApp
  }
}

/** Loads the native addon; a StartError where there is none for this machine. Cheap when it is loaded already. */
export const loadUws = (load: (name: string) => typeof uWS = createRequire(import.meta.url)): typeof uWS => {
  try {
    return load('uWebSockets.js')
  } catch (error) {
    const { platform, arch, version } = process
    throw new StartError(
      `uWebSockets.js does not load here (Node ${version}, ${platform} ${arch}; README, "The native package").`,
      { cause: error },
    )
  }
}

/** Makes a transport over uWebSockets.js. */
export const createUwsTransport: CreateTransport = ({
  maxFrame,
  sendBuffer,
  maxBody = defaultMaxBody,
  tls,
  trustProxy,
  logger,
}) => {
  const uws = loadUws()
  const listening: Listening = { isTls: tls !== undefined, proxies: createProxies(trustProxy) }
  if (tls) readTls(tls)
  const app = tls ? uws.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile }) : uws.App()
  let token: us_listen_socket | undefined

  return {
    publish: (topic, frame, except) => {
      // A socket outside the topic cannot publish to it, and then has nothing to be spared either.
      if (except instanceof UwsWire && except.publish(topic, frame)) return
      app.publish(topic, frame)
    },

    listen: async (handlers, { host, port }) => {
      app.ws('/*', behavior(handlers, { maxFrame, sendBuffer, listening, logger }))
      app.any('/*', serveHttp(handlers.http, { maxBody, logger }))
      token = await new Promise<us_listen_socket | undefined>((resolve) => {
        app.listen(host, port, exclusively, (opened) => resolve(opened || undefined))
      })
      if (token === undefined) throw await refusedPort(host, port)
      return uws.us_socket_local_port(token)
    },

    stop: () => {
      if (token !== undefined) uws.us_listen_socket_close(token)
      token = undefined
    },

    close: () => {
      token = undefined
      app.close()
    },
  }
}

// Without it a second process would open the same port and silently take half of the sockets.
const exclusively = 1

/** What uWS keeps for a socket. The owner is unset until `open` has returned. */
type Kept<Owner> = { request: UwsUpgrade | undefined; wire: UwsWire | undefined; owner: Owner | undefined }

/** One for each socket; guards the native one, which throws on any use after its close. */
class UwsWire implements Wire {
  readonly #socket: WebSocket<unknown>
  closed = false

  constructor(socket: WebSocket<unknown>) {
    this.#socket = socket
  }

  send(frame: string): void {
    if (!this.closed) this.#socket.send(frame)
  }

  batch(send: () => void): void {
    if (!this.closed) this.#socket.cork(send)
  }

  buffered(): number {
    return this.closed ? 0 : this.#socket.getBufferedAmount()
  }

  close(code: number, reason: string): void {
    if (!this.closed) this.#socket.end(code, reason)
  }

  cut(): void {
    if (!this.closed) this.#socket.close()
  }

  /** Returns where the connection comes from. */
  address(): string {
    return this.closed ? '' : addressText(this.#socket.getRemoteAddressAsText())
  }

  subscribe(topic: string): void {
    if (!this.closed) this.#socket.subscribe(topic)
  }

  unsubscribe(topic: string): void {
    if (!this.closed) this.#socket.unsubscribe(topic)
  }

  /** Sends to all of the topic but this one; returns false if it is not of the topic. */
  publish(topic: string, frame: string): boolean {
    if (this.closed || !this.#socket.isSubscribed(topic)) return false
    this.#socket.publish(topic, frame)
    return true
  }
}

const behavior = <Owner>(
  handlers: TransportHandlers<Owner>,
  {
    maxFrame,
    sendBuffer,
    listening,
    logger,
  }: { maxFrame: number; sendBuffer: number; listening: Listening; logger: Logger },
): WebSocketBehavior<Kept<Owner>> => {
  // What escapes from a handler ends the process.
  const failed = (handler: string, error: unknown): void => logger.error({ err: error, handler }, 'a handler failed')

  return {
    maxPayloadLength: maxFrame,
    maxBackpressure: sendBuffer,
    closeOnBackpressureLimit: 0,
    idleTimeout: 120,
    sendPingsAutomatically: true,
    compression: loadUws().DISABLED,

    upgrade: (res, req, context) => {
      res.onAborted(() => logger.debug({}, 'an upgrade was aborted'))
      const kept: Kept<Owner> = { request: new UwsUpgrade(req, listening), wire: undefined, owner: undefined }
      res.upgrade(
        kept,
        req.getHeader('sec-websocket-key'),
        req.getHeader('sec-websocket-protocol'),
        // The one extension there is, compression, is off.
        '',
        context,
      )
    },

    open: (socket) => {
      const kept = socket.getUserData()
      const { request } = kept
      if (request === undefined) return
      kept.request = undefined
      kept.wire = new UwsWire(socket)
      request.wire = kept.wire
      try {
        kept.owner = handlers.open(kept.wire, request)
      } catch (error) {
        failed('open', error)
        kept.wire.close(1011, 'Internal error')
      }
    },

    message: (socket, message, isBinary) => {
      const { owner } = socket.getUserData()
      if (owner === undefined) return
      try {
        if (isBinary) handlers.binary(owner)
        else handlers.message(owner, Buffer.from(message).toString())
      } catch (error) {
        failed('message', error)
      }
    },

    drain: (socket) => {
      const { owner } = socket.getUserData()
      if (owner === undefined) return
      try {
        handlers.drain(owner)
      } catch (error) {
        failed('drain', error)
      }
    },

    dropped: (socket) => {
      const { owner } = socket.getUserData()
      if (owner === undefined) return
      try {
        handlers.dropped(owner)
      } catch (error) {
        failed('dropped', error)
      }
    },

    close: (socket, code) => {
      const { owner, wire } = socket.getUserData()
      if (wire) wire.closed = true
      if (owner === undefined) return
      try {
        handlers.close(owner, code)
      } catch (error) {
        failed('close', error)
      }
    },
  }
}

/** Returns why a port could not be opened; uWS does not say, so a second try asks Node. */
const refusedPort = async (host: string, port: number): Promise<StartError> => {
  const code = await new Promise<string>((resolve) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve('EADDRINUSE')))
  })
  return portRefusal(host, port, code)
}
