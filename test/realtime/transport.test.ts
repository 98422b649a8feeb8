import { expect, test } from 'vitest'
import { chooseTransport } from '../../realtime/transport/choose.ts'
import { createUwsTransport, loadUws } from '../../realtime/transport/uws.ts'
import { addressText } from '../../realtime/transport/uws-http.ts'
import { createWsTransport } from '../../realtime/transport/ws.ts'
import { StartError } from '../../schema/errors.ts'
import { createTestLogger } from './start-realtime.ts'

const address = (text: string): string => addressText(new TextEncoder().encode(text).buffer)

test('an IPv4 address that arrives mapped into IPv6 is told as itself', () => {
  expect(address('0000:0000:0000:0000:0000:ffff:7f00:0001')).toBe('127.0.0.1')
  expect(address('0000:0000:0000:0000:0000:ffff:c0a8:0aff')).toBe('192.168.10.255')
})

test('any other address is told as it is', () => {
  expect(address('127.0.0.1')).toBe('127.0.0.1')
  expect(address('2001:0db8:0000:0000:0000:0000:0000:0001')).toBe('2001:0db8:0000:0000:0000:0000:0000:0001')
})

test('a machine without a build of the addon is told so in one line', () => {
  const load = () => {
    throw new Error('This version supports only ...\n\nError: Cannot find module')
  }
  expect(() => loadUws(load)).toThrow(StartError)
  expect(() => loadUws(load)).toThrow(/^uWebSockets.js does not load here \(Node v\d[^\n]+\)\.$/)
})

test('the transport is uWebSockets.js where it loads; elsewhere it is ws, and one line says so', () => {
  const logger = createTestLogger()
  expect(chooseTransport(logger)).toBe(createUwsTransport)
  expect(logger.lines).toEqual([])
  const failing = () => {
    throw new StartError('uWebSockets.js does not load here.')
  }
  expect(chooseTransport(logger, failing)).toBe(createWsTransport)
  expect(logger.lines.map(({ level, message }) => `${level}: ${message}`)).toEqual([
    'warn: uWebSockets.js does not load here. Sockets are served over ws, which costs more for each of them.',
  ])
})
