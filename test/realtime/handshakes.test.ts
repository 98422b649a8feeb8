/** What is slow, broken or too large before there is a socket: it is answered or closed, and nobody else notices. */

import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { createWsTransport } from '../../realtime/transport/ws.ts'
import { openTransport, transports } from './open-transport.ts'

/** Sends bytes and returns all that is answered until the connection is closed, and after how many ms that was. */
const say = (port: number, bytes: string): Promise<{ answer: string; after: number }> =>
  new Promise((resolve) => {
    const began = Date.now()
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.on('data', (chunk) => {
      answer += chunk
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => resolve({ answer, after: Date.now() - began }))
  })

/** Sends bytes and returns the first that is answered; nothing where the connection is closed instead. */
const answerTo = (port: number, bytes: string): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.on('data', (chunk) => {
      socket.destroy()
      resolve(String(chunk))
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => resolve(''))
  })

/** Opens a socket and returns the first that it hears. */
const greeting = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/app/key`)
    socket.on('message', (message) => {
      socket.terminate()
      resolve(String(message))
    })
    socket.on('error', reject)
  })

const upgrade = (change: Record<string, string> = {}, method = 'GET') => {
  const headers = {
    Host: 'x',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
    ...change,
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} /app/key HTTP/1.1\r\n${lines.join('')}\r\n`
}

const parts = {
  nothing: '',
  'a request line': 'GET /app/key HTTP/1.1\r\n',
  'half of its headers': upgrade().slice(0, -30),
  'a NUL in a header': upgrade({ 'Sec-WebSocket-Key': '\0'.repeat(24) }),
  'half of a body': 'POST /apps/3/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf',
}

describe.each(transports)('over %s', (name, create) => {
  // What uWS has built in cannot be changed; over ws it is a matter of fractions of a second here.
  const idle = 300
  const limit = name === 'uws' ? 16_000 : 5_000

  test('a client that says no more than part of a request is cut', async () => {
    const { port } = await openTransport(create, { idle })
    const ends = await Promise.all(Object.values(parts).map((bytes) => say(port, bytes)))
    for (const { answer, after } of ends) {
      expect(answer).toMatch(/^$|^HTTP\/1.1 40[08] /)
      expect(after).toBeLessThan(limit)
    }
    expect(await greeting(port)).toBe('hello')
  })

  test.each([
    ['a key that is too short', upgrade({ 'Sec-WebSocket-Key': 'short' })],
    ['an empty key', upgrade({ 'Sec-WebSocket-Key': '' })],
    ['a key of other characters', upgrade({ 'Sec-WebSocket-Key': '!"§$%&/()=?`*+#-_.:,;<>|^' })],
    ['another version', upgrade({ 'Sec-WebSocket-Version': '12' })],
    ['another protocol to change to', upgrade({ Upgrade: 'h2c' })],
    ['a POST', upgrade({ 'Content-Length': '0' }, 'POST')],
    ['a CONNECT', upgrade({}, 'CONNECT')],
    ['a method of nobody', upgrade({}, 'BREW')],
    ['a header of 1 MiB', upgrade({ 'X-Large': 'x'.repeat(1024 * 1024) })],
    ['2,000 headers', upgrade(Object.fromEntries(Array.from({ length: 2000 }, (_, n) => [`X-${n}`, 'x'])))],
    ['a path of 100,000 characters', upgrade().replace('/app/key', `/app/${'k'.repeat(100_000)}`)],
    ['two lengths of one body', upgrade({ 'Content-Length': '5', 'Transfer-Encoding': 'chunked' })],
  ])('an upgrade with %s is answered or closed', async (_, bytes) => {
    const { port, logger } = await openTransport(create, { idle })
    expect(await answerTo(port, bytes)).toMatch(/^$|^HTTP\/1.1 [1-5]\d\d /)
    expect(await greeting(port)).toBe('hello')
    expect(logger.lines.filter(({ level }) => level === 'error')).toEqual([])
  })

  test('a socket may be silent for longer than a request', async () => {
    const { port } = await openTransport(createWsTransport, { idle: 50 })
    const socket = new WebSocket(`ws://127.0.0.1:${port}/app/key`)
    await new Promise((resolve) => socket.once('open', resolve))
    // A connection that is cut for its silence shows that the time is over.
    await say(port, 'GET')
    const echo = new Promise((resolve) => socket.on('message', (message) => resolve(String(message))))
    socket.send('still here')
    expect(await echo).toBe('still here')
    socket.terminate()
  })

  test.each([
    ['1 MiB where nothing is said', {}, 1024 * 1024],
    ['more where more is allowed', { maxBody: 3 * 1024 * 1024 }, 3 * 1024 * 1024],
    ['less where less is', { maxBody: 1000 }, 1000],
  ])('a body may have %s, and not one byte more', async (_, options, size) => {
    const { port } = await openTransport(create, options)
    const post = (length: number) => fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: Buffer.alloc(length) })
    const [fits, exceeds] = [await post(size), await post(size + 1)]
    expect([fits.status, await fits.text()]).toEqual([200, `POST ${size}`])
    expect([exceeds.status, await exceeds.text()]).toEqual([413, `The body is larger than ${size} bytes`])
  })
})
