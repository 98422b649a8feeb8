/** A backend that publishes over HTTP: keep-alive connections, each with one request under way. */

import { createHash, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** The Pusher app of a benchmark. */
export type BenchApp = { id: string; key: string; secret: string }

export type Publisher = {
  /** Sends requests, as many at a time as there are connections; rejects unless each is answered 200 or 201. */
  send(requests: Iterable<Buffer>): Promise<void>
  close(): void
}

/** Writes a request to publish an event on a channel; signed as SDKs sign it if an app with a secret is given. */
export const publishRequest = (
  path: string,
  event: { name: string; channel: string; data: string },
  app?: BenchApp,
): Buffer => {
  const body = JSON.stringify({ name: event.name, data: event.data, channels: [event.channel] })
  return postRequest(app ? `${path}?${signedQuery(path, body, app)}` : path, body)
}

/** Writes a request to post JSON; further headers end their lines. */
export const postRequest = (path: string, body: string, headers = ''): Buffer =>
  Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${headers}Content-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )

/** Opens the connections to a port. */
export const openPublisher = async (port: number, connections: number): Promise<Publisher> => {
  const sockets = Array.from({ length: connections }, () => connect({ port, host: '127.0.0.1', noDelay: true }))
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  return {
    send: async (requests) => {
      const waiting = requests[Symbol.iterator]()
      await Promise.all(sockets.map((socket) => exchange(socket, waiting)))
    },
    close: () => {
      for (const socket of sockets) socket.resetAndDestroy()
    },
  }
}

/** Sends what is waiting over one connection, each after the answer to the one before. */
const exchange = (socket: Socket, waiting: Iterator<Buffer>): Promise<void> =>
  new Promise((resolve, reject) => {
    let answer = ''
    const next = () => {
      const { done, value } = waiting.next()
      answer = ''
      if (done) settle()
      else socket.write(value)
    }
    const take = (chunk: Buffer) => {
      answer += chunk.toString('latin1')
      const head = answer.indexOf('\r\n\r\n')
      if (head === -1) return
      const length = Number(/content-length: *(\d+)/i.exec(answer)?.[1] ?? 0)
      if (answer.length < head + 4 + length) return
      if (/^HTTP\/1\.1 20[01] /.test(answer)) next()
      else settle(new Error(`a publish was answered ${answer}`))
    }
    const settle = (error?: Error) => {
      socket.off('data', take).off('error', settle).off('close', cut).setTimeout(0).off('timeout', slow)
      if (error) reject(error)
      else resolve()
    }
    const cut = () => settle(new Error('a connection was closed while a publish was under way'))
    const slow = () => settle(new Error('a publish was not answered within 10 s'))
    socket.on('data', take).on('error', settle).on('close', cut).setTimeout(10_000).on('timeout', slow)
    next()
  })

const signedQuery = (path: string, body: string, { key, secret }: BenchApp): string => {
  const digest = createHash('md5').update(body).digest('hex')
  const query = `auth_key=${key}&auth_timestamp=${Math.floor(Date.now() / 1000)}&auth_version=1.0&body_md5=${digest}`
  return `${query}&auth_signature=${createHmac('sha256', secret).update(`POST\n${path}\n${query}`).digest('hex')}`
}
