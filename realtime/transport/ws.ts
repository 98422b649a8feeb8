/** The transport over the `ws` package: for machines on which the addon of uWebSockets.js does not load. */

import { createServer, type IncomingMessage, type ServerOptions } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { Socket as NetSocket } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { defaultMaxBody } from './http-bounds.ts'
import { portRefusal } from './port-refusal.ts'
import { createProxies, type Listening } from './proxies.ts'
import { readTls } from './tls.ts'
import type { Transport, TransportHandlers, TransportOptions } from './transport.ts'
import { serveNodeHttp, upgradeOf } from './ws-http.ts'
import { type Topics, WsWire } from './ws-wire.ts'

/** How often a socket is asked for a sign of life, in ms; one that was silent from one time to the next is cut. */
const lifeTime = 60_000

/** How long a client may be silent in the middle of a request or a TLS handshake, in ms: as long as under uWS. */
const idleTime = 10_000

/** How long a connection may wait for its next request, in ms: longer than the minute for which proxies keep theirs. */
const keepAliveTime = 65_000

/** Makes a transport over ws. */
export const createWsTransport = ({
  maxFrame,
  sendBuffer,
  maxBody = defaultMaxBody,
  tls,
  trustProxy,
  logger,
  idle = idleTime,
}: TransportOptions & { idle?: number }): Transport => {
  const listening: Listening = { isTls: tls !== undefined, proxies: createProxies(trustProxy) }
  const topics: Topics = new Map()
  const wires = new Set<WsWire>()
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: maxFrame,
    // The wire answers, within its bounds: a client that pings and never reads would fill the memory.
    autoPong: false,
    // One frame at a time, as uWS hands them over: what the first one set going gets its turn before the second.
    allowSynchronousEvents: false,
  })
  const limits: ServerOptions = {
    headersTimeout: idle,
    // A body may be long, as long as something of it comes: that is what the time out of the connection is for.
    requestTimeout: 12 * idle,
    keepAliveTimeout: keepAliveTime,
    connectionsCheckingInterval: Math.ceil(idle / 5),
  }
  const server = tls ? createSecureServer({ ...limits, ...readTls(tls), handshakeTimeout: idle }) : createServer(limits)
  server.timeout = idle
  let asking: NodeJS.Timeout | undefined

  const open = <Owner>(
    handlers: TransportHandlers<Owner>,
    socket: WebSocket,
    net: NetSocket,
    incoming: IncomingMessage,
  ): void => {
    let owner: Owner | undefined
    // What escapes from a handler ends the process.
    const guard = (handler: string, act: (owner: Owner) => void): void => {
      if (owner === undefined) return
      try {
        act(owner)
      } catch (error) {
        logger.error({ err: error, handler }, 'a handler failed')
      }
    }
    const wire = new WsWire(socket, net, {
      topics,
      sendBuffer,
      dropped: () => guard('dropped', handlers.dropped),
      closed: (code) => {
        wires.delete(wire)
        guard('close', (to) => handlers.close(to, code))
      },
    })
    wires.add(wire)
    socket.on('message', (message, isBinary) => {
      wire.isLively = true
      if (isBinary) guard('message', handlers.binary)
      else guard('message', (to) => handlers.message(to, String(message)))
    })
    socket.on('ping', (payload) => wire.pong(payload))
    socket.on('pong', () => {
      wire.isLively = true
    })
    net.on('drain', () => {
      wire.drained()
      guard('drain', handlers.drain)
    })
    // What is wrong with a frame or a connection is followed by its close.
    socket.on('error', (error) => logger.debug({ err: error }, 'a socket failed'))
    socket.on('close', (code) => wire.ended(code))
    try {
      owner = handlers.open(wire, upgradeOf(incoming, listening))
    } catch (error) {
      logger.error({ err: error, handler: 'open' }, 'a handler failed')
      wire.close(1011, 'Internal error')
    }
  }

  return {
    publish: (topic, frame, except) => {
      const members = topics.get(topic)
      if (!members) return
      const bytes = Buffer.from(frame)
      for (const wire of members) if (wire !== except) wire.send(bytes)
    },

    listen: async (handlers, { host, port }) => {
      server.on('request', serveNodeHttp(handlers.http, { maxBody, logger }))
      server.on('upgrade', (incoming: IncomingMessage, net: NetSocket, head: Buffer) => {
        net.on('error', () => net.destroy())
        sockets.handleUpgrade(incoming, net, head, (socket) => open(handlers, socket, net, incoming))
      })
      await new Promise<void>((resolve, reject) => {
        server.once('error', (error: NodeJS.ErrnoException) =>
          reject(portRefusal(host, port, error.code ?? error.message)),
        )
        server.listen({ host, port, exclusive: true }, resolve)
      })
      asking = setInterval(() => {
        for (const wire of wires) wire.askForLife()
      }, lifeTime)
      const address = server.address()
      return typeof address === 'object' && address ? address.port : port
    },

    stop: () => {
      server.close()
    },

    close: () => {
      clearInterval(asking)
      for (const wire of wires) wire.cut()
      server.close()
      server.closeAllConnections()
    },
  }
}
