/** Who a client is when proxies stand in front: what trusted ones say counts, what anyone else says does not. */

import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { createProxies } from '../../realtime/transport/proxies.ts'
import { openTransport, transports } from './open-transport.ts'

const addressOf = (trusted: string, own: string, addresses: string) =>
  createProxies(trusted)?.addressOf(own, { addresses, proto: '' })

const isSecure = (trusted: string, own: string, proto: string, isTls: boolean) =>
  createProxies(trusted)?.isSecure(own, { addresses: '', proto }, isTls)

test('nobody is believed where TRUST_PROXY is unset', () => {
  expect(createProxies(undefined)).toBeUndefined()
})

test.each([
  ['the client of a trusted proxy', 'loopback', '127.0.0.1', '203.0.113.9', '203.0.113.9'],
  [
    'the client before two trusted proxies',
    '127.0.0.1, 10.0.0.0/8',
    '127.0.0.1',
    '203.0.113.9, 10.1.2.3',
    '203.0.113.9',
  ],
  [
    'the first that is not trusted, whatever it says itself',
    'loopback',
    '127.0.0.1',
    '198.51.100.1, 203.0.113.9',
    '203.0.113.9',
  ],
  ['the connection of one who is not trusted', '10.0.0.0/8', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
  ['the proxy itself, where it says nothing', 'loopback', '127.0.0.1', '', '127.0.0.1'],
  ['the first of all, where everyone is trusted', 'true', '192.0.2.1', '203.0.113.9, 198.51.100.1', '203.0.113.9'],
  ['the last that is an address', 'true', '192.0.2.1', 'unknown, 198.51.100.1', '198.51.100.1'],
  ['an address without its port', 'loopback', '127.0.0.1', '203.0.113.9:51234', '203.0.113.9'],
  ['an IPv6 address without brackets and port', 'loopback', '127.0.0.1', '[2001:db8::1]:443', '2001:db8::1'],
  ['an IPv4 address that is mapped into IPv6 as itself', 'loopback', '127.0.0.1', '::ffff:203.0.113.9', '203.0.113.9'],
  [
    'the client of a proxy with an IPv6 address',
    '::1, fc00::/7',
    '0000:0000:0000:0000:0000:0000:0000:0001',
    '203.0.113.9',
    '203.0.113.9',
  ],
])('the address is %s', (_, trusted, own, addresses, expected) => {
  expect(addressOf(trusted, own, addresses)).toBe(expected)
})

test.each([
  ['secure where a trusted proxy says so', 'loopback', '127.0.0.1', 'https', false, true],
  ['secure where it says so for WebSockets', 'loopback', '127.0.0.1', 'wss', false, true],
  ['not where someone else says so', '10.0.0.0/8', '203.0.113.9', 'https', false, false],
  ['not where the proxy was reached without TLS', 'loopback', '127.0.0.1', 'http', true, false],
  ['not where only the client says so', 'loopback', '127.0.0.1', 'https, http', false, false],
  ['as its connection is where the proxy says nothing', 'loopback', '127.0.0.1', '', true, true],
])('a client is %s', (_, trusted, own, proto, isTls, expected) => {
  expect(isSecure(trusted, own, proto, isTls)).toBe(expected)
})

/** Opens a socket as a proxy does that forwards for a client. */
const forward = (port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const headers = { 'X-Forwarded-For': '203.0.113.9', 'X-Forwarded-Proto': 'https', Origin: 'https://shop.example' }
    const socket = new WebSocket(`ws://127.0.0.1:${port}/app/key`, { headers })
    socket.on('message', () => {
      socket.terminate()
      resolve()
    })
    socket.on('error', reject)
  })

describe.each(transports)('over %s', (_, create) => {
  const told = { path: '/app/key', origin: 'https://shop.example' }

  test('a socket that comes through a trusted proxy is its client’s', async () => {
    const { port, askers } = await openTransport(create, { trustProxy: 'loopback' })
    await forward(port)
    expect(askers).toEqual([{ ...told, address: '203.0.113.9', isSecure: true }])
  })

  test.each([undefined, '10.0.0.0/8'])(
    'what is said by one who is not trusted (TRUST_PROXY %s) is ignored',
    async (trustProxy) => {
      const { port, askers } = await openTransport(create, { trustProxy })
      await forward(port)
      expect(askers).toEqual([{ ...told, address: '127.0.0.1', isSecure: false }])
    },
  )

  test('a proxy may say it in a line of its own, below what the client has made up', async () => {
    const { port, askers } = await openTransport(create, { trustProxy: 'loopback' })
    const lines = [
      ...['GET /app/key HTTP/1.1', 'Host: x', 'Origin: https://shop.example', 'Upgrade: websocket'],
      ...['Connection: Upgrade', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13'],
      ...['X-Forwarded-For: 192.0.2.66', 'X-Forwarded-Proto: https'],
      ...['X-Forwarded-For: 203.0.113.9', 'X-Forwarded-Proto: http'],
    ]
    await new Promise<void>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(`${lines.join('\r\n')}\r\n\r\n`))
      socket.once('data', () => socket.destroy())
      socket.on('close', () => resolve())
    })
    expect(askers).toEqual([{ ...told, address: '203.0.113.9', isSecure: false }])
  })

  test('the address of a request stays its connection’s: what this machine may read is not for its proxy’s clients', async () => {
    const { port, requests } = await openTransport(create, { trustProxy: 'loopback' })
    await (await fetch(`http://127.0.0.1:${port}/`, { headers: { 'X-Forwarded-For': '203.0.113.9' } })).text()
    expect(requests).toMatchObject([{ address: '127.0.0.1', isForwarded: true }])
  })
})
