/** The one fake receiver of webhooks: an HTTP server that keeps what it gets and answers as it is told. */

import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'

/** A request as it came: header names in lower case, the body as it was on the wire. */
export type Received = { method: string; path: string; headers: IncomingHttpHeaders; body: string; at: number }

/**
 * How to answer: with a status, a status with more; `raw`: with these bytes and an end; `hang`: never; `cut`: the
 * connection ends in the middle of the answer; `trickle`: a byte now and then, without an end; `endless`: as many bytes
 * as are taken.
 */
export type Reply =
  | number
  | { status: number; headers?: Record<string, string>; body?: string | Uint8Array }
  | { raw: string }
  | 'hang'
  | 'cut'
  | 'trickle'
  | 'endless'

export type Receiver = Awaited<ReturnType<typeof startReceiver>>

/** Starts a receiver on a free port of 127.0.0.1; it answers 200 until it is told otherwise. */
export const startReceiver = async () => {
  const requests: Received[] = []
  const open = new Set<ServerResponse>()
  let reply: (request: Received) => Reply | Promise<Reply> = () => 200
  let waiting: (() => void)[] = []
  let connections = 0
  let written = 0

  const wake = () => {
    const woken = waiting
    waiting = []
    for (const resolve of woken) resolve()
  }

  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await new Promise<void>((resolve) => waiting.push(resolve))
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    open.add(response)
    response.on('close', () => {
      open.delete(response)
      wake()
    })
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', async () => {
      const { method = '', url: path = '', headers } = request
      const received = { method, path, headers, body: Buffer.concat(chunks).toString(), at: Date.now() }
      requests.push(received)
      wake()
      answer(response, await reply(received), (bytes) => {
        written += bytes
      })
    })
  })
  server.on('connection', () => {
    connections += 1
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the receiver has no port')

  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}`,
    /** What came, in order. */
    requests,
    /** How many connections were made to it, and how many bytes it poured without an end. */
    connections: () => connections,
    written: () => written,
    /** Says how to answer from now on. */
    answer: (how: Reply | ((request: Received) => Reply | Promise<Reply>)) => {
      reply = typeof how === 'function' ? how : () => how
    },
    /** Resolves when as many requests have come. */
    received: async (count: number): Promise<Received[]> => {
      await until(() => requests.length >= count)
      return requests
    },
    /** Resolves when no request waits any more: each was answered, or given up by who sent it. */
    settled: () => until(() => open.size === 0),
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

const answer = (response: ServerResponse, reply: Reply, count: (bytes: number) => void): void => {
  if (reply === 'hang' || response.destroyed) return
  if (typeof reply === 'number') {
    response.writeHead(reply).end()
  } else if (typeof reply === 'object' && 'raw' in reply) {
    response.socket?.end(reply.raw)
  } else if (typeof reply === 'object') {
    response.writeHead(reply.status, reply.headers).end(reply.body)
  } else if (reply === 'cut') {
    response.writeHead(200, { 'Content-Length': '100' })
    response.write('half', () => response.destroy())
  } else if (reply === 'trickle') {
    response.writeHead(200)
    const timer = setInterval(() => response.write('.'), 20)
    response.on('close', () => clearInterval(timer))
  } else {
    response.writeHead(200)
    pour(response, count)
  }
}

const pour = (response: ServerResponse, count: (bytes: number) => void): void => {
  const chunk = Buffer.alloc(16_384, 'x')
  const more = () => {
    if (response.destroyed) return
    count(chunk.length)
    response.write(chunk, more)
  }
  more()
}
