import { connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { app, type Started, startRealtime } from './start-realtime.ts'

let server: Started

beforeAll(async () => {
  server = await startRealtime()
})

afterAll(() => server.stop())

const events = [
  'pusher:subscribe',
  'pusher:unsubscribe',
  'pusher:ping',
  'pusher:pong',
  'pusher:signin',
  'pusher:error',
  'pusher_internal:subscription_succeeded',
  'client-x',
  '__proto__',
]

const channels = ['a', 'private-a', 'presence-a', 'cache-a', 'private-org-org_1', 'private-conv-cnv_1', '#a', '']

const data = fc.oneof(
  fc.jsonValue(),
  fc.string(),
  fc.record(
    {
      channel: fc.oneof(fc.constantFrom(...channels), fc.string(), fc.jsonValue()),
      auth: fc.oneof(fc.string(), fc.constant(`${app.key}:x`), fc.jsonValue()),
      channel_data: fc.oneof(fc.string(), fc.json(), fc.jsonValue()),
    },
    { requiredKeys: [] },
  ),
)

const frame = fc.oneof(
  fc.string(),
  fc.json(),
  fc.uint8Array(),
  fc
    .record(
      { event: fc.oneof(fc.constantFrom(...events), fc.string(), fc.jsonValue()), channel: fc.jsonValue(), data },
      { requiredKeys: ['event'] },
    )
    .map((value) => JSON.stringify(value)),
  fc
    .record({ event: fc.constantFrom(...events), data: data.map((value) => JSON.stringify(value)) })
    .map((value) => JSON.stringify(value)),
)

/** Says that the server still serves, and that no handler has failed. */
const expectServing = async (): Promise<void> => {
  const { socket } = await server.connect()
  socket.send({ event: 'pusher:subscribe', data: { channel: 'alive' } })
  expect((await socket.next()).event).toBe('pusher_internal:subscription_succeeded')
  socket.terminate()
  expect(server.logger.lines.filter(({ level }) => level === 'error')).toEqual([])
}

test('no frame ends the process, the socket, or anyone else', async () => {
  const { socket: bystander } = await server.connect()
  const { socket } = await server.connect()
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { maxLength: 20 }), async (frames) => {
      for (const one of frames) socket.sendRaw(one)
      for (const answer of await socket.settle()) {
        expect(answer.event).toMatch(
          /^pusher:(error|subscription_error|pong)$|^pusher_internal:subscription_succeeded$/,
        )
        if (answer.event !== 'pusher:error') continue
        expect(answer.data).toEqual({ message: expect.stringMatching(/./), code: null })
      }
    }),
    { numRuns: 300 },
  )
  expect(await bystander.settle()).toEqual([])
  await expectServing()
})

test('no path, query or header of an upgrade ends the process', async () => {
  const path = fc.oneof(fc.webPath(), fc.constantFrom('/app', `/app/${app.key}`, '/app/%00', '/app/%E0%A4%A'))
  const query = fc.oneof(fc.webQueryParameters(), fc.constantFrom('protocol', 'protocol=%ff', 'protocol=7&version=%'))
  await fc.assert(
    fc.asyncProperty(path, query, async (path, query) => {
      const socket = await server.dial(`${path.startsWith('/') ? path : `/${path}`}?${query}`)
      expect((await socket.next()).event).toMatch(/^pusher:(error|connection_established)$/)
      socket.terminate()
    }),
    { numRuns: 150 },
  )
  await expectServing()
})

test('no request ends the process, and each gets an answer below 500', async () => {
  const paths = fc.oneof(fc.webPath(), fc.constantFrom('/apps/3/events', '/apps/%/events', '/up', '/ready'))
  await fc.assert(
    fc.asyncProperty(
      paths,
      fc.oneof(fc.webQueryParameters(), fc.constant('auth_key=%&auth_signature=%ff&&=&=x')),
      fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH'),
      fc.uint8Array({ maxLength: 200 }),
      async (path, query, method, body) => {
        const bodyless = method === 'GET' || method === 'HEAD'
        const url = server.url(`${path.startsWith('/') ? path : `/${path}`}?${query}`)
        const response = await fetch(url, { method, ...(!bodyless && { body }) })
        expect(response.status).toBeLessThan(500)
        await response.arrayBuffer()
      },
    ),
    { numRuns: 150 },
  )
  await expectServing()
})

test('a client that speaks no WebSocket, or breaks off in the middle, harms nobody', async () => {
  const upgrade = [
    `GET /app/${app.key}?protocol=7 HTTP/1.1`,
    'Host: x',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
  ].join('\r\n')
  const post = 'POST /apps/3/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf'
  for (const bytes of [
    Buffer.from('nonsense\r\n\r\n'),
    Buffer.from(upgrade),
    Buffer.from(`${upgrade}\r\n\r\n`),
    Buffer.from(post),
    Buffer.concat([Buffer.from(`${upgrade}\r\n\r\n`), Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff])]),
    // A masked text frame that is not UTF-8, an unmasked one, and one that announces 2^40 bytes.
    Buffer.concat([Buffer.from(`${upgrade}\r\n\r\n`), Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28])]),
    Buffer.concat([Buffer.from(`${upgrade}\r\n\r\n`), Buffer.from([0x81, 0x02, 0x7b, 0x7d])]),
    Buffer.concat([Buffer.from(`${upgrade}\r\n\r\n`), Buffer.from([0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4])]),
  ]) {
    await new Promise<void>((resolve) => {
      const socket = connect(server.port, '127.0.0.1', () => {
        socket.write(bytes, () => socket.end())
      })
      socket.on('data', () => socket.destroy())
      socket.on('error', () => socket.destroy())
      socket.on('close', () => resolve())
    })
  }
  await expectServing()
})
