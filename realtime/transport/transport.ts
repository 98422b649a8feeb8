/** The seam under the sockets: what a WebSocket and HTTP server has to do for the realtime side. */

import type { Logger } from '../logger.ts'

/** What asked for a WebSocket. `path` and `query` are raw; `address` is an IP without a mapping prefix. */
export type UpgradeRequest = { path: string; query: string; origin: string; address: string }

/** A whole HTTP request. `method` is in upper case; `path` and `query` are raw, `body` is bounded by the transport. */
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

/** Makes a transport. `maxFrame` bounds what a client may send, `sendBuffer` what may wait for a slow one, in bytes. */
export type CreateTransport = (options: { maxFrame: number; sendBuffer: number; logger: Logger }) => Transport

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
