/** Connections of a hostile client: requests for a WebSocket that are not as they should be, and bytes that are nothing. */

import fc from 'fast-check'
import { usualLines } from './bare-connection.ts'
import { hostileText } from './hostile-words.ts'
import { attackers, victim } from './neighbours.ts'

const header = fc.oneof(
  fc.constantFrom(...usualLines, ...usualLines),
  fc.constantFrom(
    'Sec-WebSocket-Protocol: a, b',
    'Sec-WebSocket-Protocol: ,',
    'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=x',
    'Sec-WebSocket-Extensions: x;;y',
    'Sec-WebSocket-Version: 99',
    'Sec-WebSocket-Key: short',
    'Sec-WebSocket-Key: ________________________',
    'Origin: null',
    'Origin: http://__proto__',
    'X-Forwarded-For: ,,%,::1',
    'X-Forwarded-Proto: __proto__',
    'constructor: x',
    'Connection: close',
  ),
)

/** A request for a WebSocket. */
export const handshake = fc.record({
  path: fc.oneof(
    fc.constantFrom(
      '/app',
      '/app/',
      '/app/%00',
      '/app/%E0%A4%A',
      '/app/__proto__',
      '/app/constructor',
      '//app/x',
      '/app/x/y',
      '*',
    ),
    fc.constantFrom(...[...attackers, victim].map(({ key }) => `/app/${key}`)),
    fc.webPath().map((path) => `/${path}`),
  ),
  query: fc.oneof(
    fc.constantFrom(
      '',
      '?',
      '?protocol=7',
      '?protocol=%ff',
      '?protocol=7&version=%',
      '?protocol=7&protocol=4',
      '?__proto__=7',
    ),
    fc.tuple(hostileText, hostileText).map(([protocol, version]) => `?${query({ protocol, version })}`),
  ),
  lines: fc.oneof(
    { weight: 3, arbitrary: fc.array(header, { maxLength: 3 }).map((more) => [...usualLines, ...more]) },
    { weight: 1, arbitrary: fc.array(header, { maxLength: 6 }) },
  ),
})

const query = (params: Record<string, string>): string =>
  Object.entries(params)
    .map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed()).slice(0, 500)}`)
    .join('&')

/** Bytes on a connection on which something was said already; `upgrade`: on an open socket. */
export const noise = fc.record({
  before: fc.constantFrom(
    '',
    'GET /up HTTP/1.1\r\n',
    'POST /apps/66/events HTTP/1.1\r\nHost: x\r\n',
    'upgrade',
    'upgrade',
  ),
  bytes: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 60 }),
    // The beginning of a frame with any opcode and reserved bits, and any length.
    fc
      .tuple(fc.nat(255), fc.nat(255), fc.uint8Array({ maxLength: 20 }))
      .map(([a, b, rest]) => Uint8Array.of(a, b, ...rest)),
    fc
      .constantFrom(
        'Content-Length: -1\r\n\r\n',
        'Content-Length: 99999999999999999999\r\n\r\nx',
        'Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx',
        'Transfer-Encoding: chunked\r\n\r\nzz\r\n',
        'Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx',
        'Transfer-Encoding: chunked, x\r\nContent-Length: 3\r\n\r\nabc',
        ': x\r\n\r\n',
        '__proto__: x\r\n\r\n',
        `X: ${'x'.repeat(20_000)}\r\n\r\n`,
        'GET / HTTP/9.9\r\n\r\n',
        '\r\n\r\n\r\n\r\n',
      )
      .map((text) => Buffer.from(text)),
  ),
})
