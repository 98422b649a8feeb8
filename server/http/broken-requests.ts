/** Answers what arrives and is no HTTP request; it reaches no route, so it is answered on the socket itself. */

import type { Socket } from 'node:net'
import { randomToken } from '../../auth/random.ts'
import { HubbubError } from '../../schema/errors.ts'

/** Makes Fastify's `clientErrorHandler`: an error in the usual shape, with an id, and the end of the connection. */
export const answerBrokenRequest =
  (render: ((error: HubbubError) => unknown) | undefined) =>
  (error: Error & { code?: string }, socket: Socket): void => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    const [status, message] = answers[error.code ?? ''] ?? ['400 Bad Request', 'This is not a valid HTTP request.']
    const body = JSON.stringify(render?.(new HubbubError('invalid', message)))
    const headers = [
      `X-Request-Id: req_${randomToken()}`,
      'Access-Control-Allow-Origin: *',
      'Cache-Control: no-store',
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
    ]
    socket.end(`HTTP/1.1 ${status}\r\n${headers.join('\r\n')}\r\n\r\n${body}`)
  }

const answers: Record<string, readonly [status: string, message: string]> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'The headers are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'The request took too long to arrive.'],
}
