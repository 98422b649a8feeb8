/** HTTP over node:http for the transport over `ws`: reads a request whole, within bounds, and writes its answer. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from '../logger.ts'
import { internalError, tooLarge } from './http-bounds.ts'
import type { Listening } from './proxies.ts'
import type { HttpReply, HttpRequest, UpgradeRequest } from './transport.ts'

/** Returns the handler that asks `answer` for every request. `maxBody` is in bytes. */
export const serveNodeHttp =
  (
    answer: (request: HttpRequest) => HttpReply | Promise<HttpReply>,
    { maxBody, logger }: { maxBody: number; logger: Logger },
  ) =>
  async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = 'GET', headers } = incoming
    const { path, query } = splitUrl(incoming.url)
    try {
      const body = await readBody(incoming, maxBody)
      const request = {
        method: method.toUpperCase(),
        path,
        query,
        address: addressOf(incoming),
        authorization: headers.authorization ?? '',
        isForwarded: headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined,
      }
      write(response, method, body ? await answer({ ...request, body }) : tooLarge(maxBody))
    } catch (error) {
      if (incoming.destroyed && !incoming.complete) return
      logger.error({ err: error, method, path }, 'an HTTP request failed')
      write(response, method, internalError)
    }
  }

/** Returns who asks for a socket. */
export const upgradeOf = (incoming: IncomingMessage, { isTls, proxies }: Listening): UpgradeRequest => {
  const { headers } = incoming
  const said = (name: string): string => String(headers[name] ?? '')
  const forwarded = { addresses: said('x-forwarded-for'), proto: said('x-forwarded-proto') }
  return {
    ...splitUrl(incoming.url),
    origin: headers.origin ?? '',
    get address() {
      const own = addressOf(incoming)
      return proxies ? proxies.addressOf(own, forwarded) : own
    },
    get isSecure() {
      return proxies ? proxies.isSecure(addressOf(incoming), forwarded, isTls) : isTls
    },
  }
}

/** Returns what is before and behind the question mark. */
const splitUrl = (url = '/'): { path: string; query: string } => {
  const mark = url.indexOf('?')
  return mark === -1 ? { path: url, query: '' } : { path: url.slice(0, mark), query: url.slice(mark + 1) }
}

/** Returns the address that a request comes from, an IPv4 one that is mapped into IPv6 as itself. */
const addressOf = ({ socket }: IncomingMessage): string => (socket.remoteAddress ?? '').replace(/^::ffff:/, '')

/** Reads the body; undefined if it is too large. */
const readBody = async (incoming: IncomingMessage, maxBody: number): Promise<Uint8Array | undefined> => {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming) {
    size += chunk.length
    // Too large a body is read to its end unseen, for a client that is cut while it writes never reads the 413.
    if (size <= maxBody) chunks.push(chunk)
    else if (size > 16 * maxBody) incoming.destroy()
  }
  return size <= maxBody ? Buffer.concat(chunks) : undefined
}

const write = (response: ServerResponse, method: string, { status, headers, body }: HttpReply): void => {
  response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body) })
  response.end(method.toUpperCase() === 'HEAD' ? undefined : body)
}
