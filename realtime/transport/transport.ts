/** The seam under the sockets: what a WebSocket and HTTP server has to do for the realtime side. */

import type { Logger } from '../logger.ts'
import type { TlsFiles } from './tls.ts'

/**
 * What asked for a WebSocket. `path` and `query` are raw. The last two are worked out when they are read, which `open`
 * does if anyone has to know: do not copy the whole.
 */
export type UpgradeRequest = {
  readonly path: string
  readonly query: string
  readonly origin: string
  /** The client's IP without a mapping prefix: what trusted proxies say it is, else where the connection comes from. */
  readonly address: string
  /** Whether the client came over TLS: to a trusted proxy that says so, else to this port. */
  readonly isSecure: boolean
}

/**
 * A whole HTTP request. `method` is in upper case; `path` and `query` are raw, `body` is bounded by the transport.
 * `address` is where the connection comes from, whatever proxies say.
 */
export type HttpRequest = {
  method: string
  path: string
  query: string
  body: Uint8Array
  address: string
  authorization: string
  /** Whether a proxy says that it forwards the request for someone else. */
  isForwarded: boolean
}

/** The answer to an HTTP request. */
export type HttpReply = { status: number; headers: Record<string, string>; body: string }

/** The transport's end of one socket. Everything is ignored once it is closed. */
export type Wire = {
  send(frame: string): void
  /** Runs what sends many frames, so that they leave together. */
  batch(send: () => void): void
  /** Returns how many bytes wait for a reader that is slower than the writer. */
  buffered(): number
  /** Closes with a code and a reason of at most 123 bytes; the close handler is called before this returns. */
  close(code: number, reason: string): void
  /** Ends it without a goodbye. */
  cut(): void
  subscribe(topic: string): void
  unsubscribe(topic: string): void
}

/** What the transport tells. `Owner` is what `open` returns for a socket; it comes back with each of its events. */
export type TransportHandlers<Owner> = {
  open(wire: Wire, request: UpgradeRequest): Owner
  message(owner: Owner, frame: string): void
  /** A binary frame came, which Pusher does not have. */
  binary(owner: Owner): void
  /** A socket whose buffer was full has room again. */
  drain(owner: Owner): void
  /** A frame did not fit into a socket's buffer and is lost to it. */
  dropped(owner: Owner): void
  close(owner: Owner, code: number): void
  http(request: HttpRequest): HttpReply | Promise<HttpReply>
}

/** What a transport is made of. Sizes are in bytes. */
export type TransportOptions = {
  /** Bounds what a client may send at once over its socket. */
  maxFrame: number
  /** Bounds what may wait for a slow socket. */
  sendBuffer: number
  /** Bounds the body of an HTTP request; 1 MiB if unset. */
  maxBody?: number
  /** Files of the certificate to serve TLS with; unset: no TLS. */
  tls?: TlsFiles | undefined
  /** Whose X-Forwarded-For and X-Forwarded-Proto count, as in TRUST_PROXY; unset: nobody's. */
  trustProxy?: string | undefined
  logger: Logger
}

/** Makes a transport; throws a StartError where the certificate cannot be used. */
export type CreateTransport = (options: TransportOptions) => Transport

export type Transport = {
  /** Sends a frame to every socket of a topic, except to one. */
  publish(topic: string, frame: string, except?: Wire): void
  /** Opens the port, for this process alone, and returns it; rejects with a StartError. Port 0 takes a free one. */
  listen<Owner>(handlers: TransportHandlers<Owner>, address: { host: string; port: number }): Promise<number>
  /** Accepts nothing more; open sockets go on. */
  stop(): void
  /** Cuts what is still open. */
  close(): void
}
