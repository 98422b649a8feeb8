/** HTTP over uWebSockets.js: reads a request whole, within bounds, and writes its answer. */

import type { HttpRequest as UwsRequest, HttpResponse as UwsResponse } from 'uWebSockets.js'
import { STATUS_CODES } from 'node:http'
import type { Logger } from '../logger.ts'
import { internalError, tooLarge } from './http-bounds.ts'
import type { HttpReply, HttpRequest } from './transport.ts'

type Answer = (request: HttpRequest) => HttpReply | Promise<HttpReply>

/** Returns the uWS handler that asks `answer` for every request. `maxBody` is in bytes. */
export const serveHttp = (answer: Answer, { maxBody, logger }: { maxBody: number; logger: Logger }) => {
  const afterReading = createTurnEnd()
  return (res: UwsResponse, req: UwsRequest): void => {
    let aborted = false
    res.onAborted(() => {
      aborted = true
    })
    // The request is gone after this turn: all of it is read now.
    const method = req.getCaseSensitiveMethod().toUpperCase()
    const path = req.getUrl()
    const query = rawQuery(req)
    // Who publishes is told by the signature: what asks the addon four times more is for questions only.
    const asker = method === 'POST' ? unasked : readAsker(res, req)

    const reply = (answered: HttpReply): void => {
      if (!aborted) write(res, method, answered)
    }
    const failed = (error: unknown): void => {
      logger.error({ err: error, method, path }, 'an HTTP request failed')
      reply(internalError)
    }
    const take = (body: Uint8Array | undefined): void => {
      try {
        const answered = body ? answer({ method, path, query, body, ...asker }) : tooLarge(maxBody)
        if (answered instanceof Promise) answered.then(reply).catch(failed)
        else reply(answered)
      } catch (error) {
        failed(error)
      }
    }
    readBody(res, maxBody, (body) => afterReading(() => take(body)))
  }
}

// uWS corks one connection at a time, and while it reads a request that is the request's: what is published then goes
// out with one system call for each frame once a topic has more than 32 in a turn, and here with one for each socket.
const createTurnEnd = () => {
  const waiting: (() => void)[] = []
  return (act: () => void): void => {
    if (waiting.push(act) > 1) return
    setImmediate(() => {
      for (const act of waiting.splice(0)) act()
    })
  }
}

type Asker = Pick<HttpRequest, 'address' | 'authorization' | 'isForwarded'>

const unasked: Asker = { address: '', authorization: '', isForwarded: true }

const readAsker = (res: UwsResponse, req: UwsRequest): Asker => ({
  address: addressText(res.getRemoteAddressAsText()),
  authorization: req.getHeader('authorization'),
  isForwarded: req.getHeader('x-forwarded-for') !== '' || req.getHeader('forwarded') !== '',
})

/** Returns an address as text, an IPv4 one that is mapped into IPv6 as itself. */
export const addressText = (text: ArrayBuffer): string => {
  const address = Buffer.from(text).toString()
  const mapped = /^(?:0000:){5}ffff:([0-9a-f]{2})([0-9a-f]{2}):([0-9a-f]{2})([0-9a-f]{2})$/.exec(address)
  if (!mapped) return address
  return mapped
    .slice(1)
    .map((byte) => Number.parseInt(byte, 16))
    .join('.')
}

/** Returns what is behind the question mark, or nothing; uWS gives undefined for that, against its types. */
export const rawQuery = (req: UwsRequest): string => req.getQuery() ?? ''

/** Hands over the body; undefined if it is too large. */
const readBody = (res: UwsResponse, maxBody: number, done: (body: Uint8Array | undefined) => void): void => {
  const chunks: Buffer[] = []
  let size = 0
  res.onData((chunk, isLast) => {
    size += chunk.byteLength
    const fits = size <= maxBody
    // uWS takes the chunk's memory back when this returns.
    if (fits && chunk.byteLength > 0) chunks.push(Buffer.from(Buffer.from(chunk)))
    const [only] = chunks
    if (isLast) done(fits ? (only && chunks.length === 1 ? only : Buffer.concat(chunks)) : undefined)
    // Too large a body is read to its end unseen, for a client that is cut while it writes never reads the 413.
    else if (size > 16 * maxBody) res.close()
  })
}

const write = (res: UwsResponse, method: string, { status, headers, body }: HttpReply): void => {
  res.cork(() => {
    // The status comes first: the first header would fix it at 200.
    if (status !== 200) res.writeStatus(`${status} ${STATUS_CODES[status] ?? ''}`)
    for (const [name, value] of Object.entries(headers)) res.writeHeader(name, value)
    if (method === 'HEAD') res.endWithoutBody(Buffer.byteLength(body))
    else res.end(body)
  })
}
