/** The one post: what it sends, what it makes of answers, and what hostile receivers cannot do to it. */

import { createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type PostResult, privateHosts } from '../../schema/outbound.ts'
import type { Lookup } from '../../server/outbound/guard.ts'
import { createPost } from '../../server/outbound/post.ts'
import { type Receiver, startReceiver } from '../support/receiver.ts'

let receiver: Receiver
const opened: ReturnType<typeof createPost>[] = []

const open = (list: string, lookup?: Lookup) => {
  const out = createPost({ allowPrivate: privateHosts.parse(list), ...(lookup ? { lookup } : {}) })
  opened.push(out)
  return out
}

const request = { headers: {}, body: '{}', timeout: 5000 }

const send = (url = receiver.url, more: Partial<typeof request> = {}): Promise<PostResult> =>
  open('127.0.0.1').post(url, { ...request, ...more })

beforeEach(async () => {
  receiver = await startReceiver()
})

afterEach(async () => {
  await Promise.all(opened.splice(0).map((out) => out.close()))
  await receiver.stop()
})

describe('a post', () => {
  test('carries its headers and the bytes of its body, to its path and query', async () => {
    const headers = { 'Content-Type': 'application/json', 'X-Own': 'a b' }
    await send(`${receiver.url}/a%20b?c=d&e#f`, { headers, body: '{"grüße":"🙂"}' })
    const [received] = receiver.requests
    expect(received).toMatchObject({ method: 'POST', path: '/a%20b?c=d&e', body: '{"grüße":"🙂"}' })
    expect(received?.headers).toMatchObject({
      host: `127.0.0.1:${receiver.port}`,
      'content-type': 'application/json',
      'content-length': '18',
      'user-agent': 'Hubbub',
      'x-own': 'a b',
    })
  })

  test('says what it is unless it is told to say something else', async () => {
    await send(receiver.url, { headers: { 'USER-AGENT': 'Shop' } })
    expect(receiver.requests[0]?.headers['user-agent']).toBe('Shop')
  })

  test('uses connections again', async () => {
    const out = open('127.0.0.1')
    for (let n = 0; n < 10; n++) await out.post(receiver.url, request)
    // The second may come before the first connection is known to be free.
    expect(receiver.connections()).toBeLessThanOrEqual(2)
  })

  test('does not wait for another one', async () => {
    const out = open('127.0.0.1')
    receiver.answer(({ path }) => (path === '/slow' ? 'hang' : 200))
    const slow = out.post(`${receiver.url}/slow`, request)
    await receiver.received(1)
    expect(await out.post(`${receiver.url}/quick`, request)).toMatchObject({ ok: true })
    await out.close()
    expect(await slow).toMatchObject({ failure: 'closed' })
  })

  test.each([200, 201, 204, 299])('that is answered %i is good', async (status) => {
    receiver.answer(status)
    expect(await send()).toEqual({ ok: true, status, body: '' })
  })

  test.each([300, 400, 404, 410, 429, 500, 503])('that is answered %i is not', async (status) => {
    receiver.answer({ status, body: 'no' })
    expect(await send()).toEqual({ ok: false, status, body: 'no' })
  })

  test.each([301, 302, 303, 307, 308])('that is redirected by a %i goes nowhere else', async (status) => {
    receiver.answer({ status, headers: { Location: `${receiver.url}/elsewhere` } })
    expect(await send()).toEqual({ ok: false, status, body: '' })
    expect(receiver.requests.map(({ path }) => path)).toEqual(['/'])
  })
})

describe('an answer', () => {
  test('is kept up to 4,096 bytes, without half a character, and connections are used again', async () => {
    receiver.answer({ status: 200, body: `x${'é'.repeat(5000)}` })
    const out = open('127.0.0.1')
    expect(await out.post(receiver.url, request)).toEqual({ ok: true, status: 200, body: `x${'é'.repeat(2047)}` })
    for (let n = 0; n < 10; n++) await out.post(receiver.url, request)
    expect(receiver.connections()).toBeLessThanOrEqual(2)
  })

  test('without an end is cut', async () => {
    receiver.answer('endless')
    expect(await send()).toEqual({ ok: true, status: 200, body: 'x'.repeat(4096) })
    await receiver.settled()
    // What the system keeps of a connection on both sides is in it.
    expect(receiver.written()).toBeLessThan(20_000_000)
  })

  test('that never comes ends in time, and so does its connection', async () => {
    receiver.answer('hang')
    expect(await send(receiver.url, { timeout: 200 })).toEqual({
      ok: false,
      failure: 'timeout',
      message: `127.0.0.1:${receiver.port} did not answer within 200 ms`,
    })
    await receiver.settled()
  })

  test('that trickles ends in time, and so does its connection', async () => {
    receiver.answer('trickle')
    expect(await send(receiver.url, { timeout: 300 })).toMatchObject({ failure: 'timeout' })
    await receiver.settled()
  })

  test('that is cut in the middle is none', async () => {
    receiver.answer('cut')
    expect(await send()).toMatchObject({ ok: false, failure: 'broken_answer' })
  })

  test.each([
    'hello\r\n\r\n',
    'HTTP/1.1 000 \r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n',
  ])('that is not HTTP, or not one to this request, is none: %j', async (raw) => {
    receiver.answer({ raw })
    expect(await send()).toMatchObject({ ok: false, failure: 'broken_answer' })
  })

  test('with more headers than anybody needs is none', async () => {
    receiver.answer({ status: 200, headers: { 'X-Large': 'x'.repeat(40_000) } })
    expect(await send()).toMatchObject({ ok: false, failure: 'broken_answer' })
  })
})

test('a connection of which nobody says how long it lasts is let go before receivers hang up by themselves', async () => {
  let open = 0
  const server = createServer((socket) => {
    open += 1
    socket.on('close', () => (open -= 1)).on('error', () => undefined)
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/`
  expect([await send(url), open]).toEqual([{ ok: true, status: 200, body: '' }, 1])
  // Left alone, undici keeps it for four seconds.
  await expect.poll(() => open, { timeout: 3500 }).toBe(0)
  await new Promise((resolve) => server.close(resolve))
})

describe('what cannot be sent', () => {
  test.each([
    ['not a URL', 'hooks'],
    ['not a URL', 'http://'],
    ['another protocol', 'ftp://127.0.0.1/'],
    ['another protocol', 'file:///etc/hosts'],
    ['a name in it', 'http://me@127.0.0.1/'],
    ['a password in it', 'http://me:hunter2@127.0.0.1/'],
    ['a password alone', 'http://:hunter2@127.0.0.1/'],
  ])('is an address with %s, and the address is not told', async (_what, url) => {
    const result = await send(url)
    expect(result).toMatchObject({ ok: false, failure: 'invalid_url' })
    expect(JSON.stringify(result)).not.toMatch(/hunter2|me@|hosts/)
  })

  test('is a header that would be two', async () => {
    const result = await send(receiver.url, { headers: { 'X-Own': 'secret\r\nX-Other: b' } })
    expect(result).toEqual({ ok: false, failure: 'invalid_request', message: 'a header of the request cannot be sent' })
    expect(receiver.requests).toEqual([])
  })

  test('goes to nobody where nobody listens, and the path is not told', async () => {
    await receiver.stop()
    const result = await send(`${receiver.url}/token-in-the-path`)
    expect(result).toEqual({
      ok: false,
      failure: 'unreachable',
      message: `127.0.0.1:${receiver.port} cannot be reached (ECONNREFUSED)`,
    })
    receiver = await startReceiver()
  })

  test('is TLS to a receiver that speaks none', async () => {
    expect(await send(`https://127.0.0.1:${receiver.port}`)).toMatchObject({ ok: false, failure: 'tls' })
  })

  test('goes nowhere after the end', async () => {
    const out = open('127.0.0.1')
    await out.close()
    expect(await out.post(receiver.url, request)).toMatchObject({ ok: false, failure: 'closed' })
  })
})

describe('a name', () => {
  test('that resolves to a private address is refused, and nothing is dialled', async () => {
    const out = open('', async () => ['127.0.0.1'])
    const result = await out.post(`http://hooks.example:${receiver.port}/`, request)
    expect(result).toEqual({
      ok: false,
      failure: 'refused_address',
      message: 'hooks.example is not a public address',
    })
    expect(receiver.connections()).toBe(0)
  })

  test('of this machine is refused', async () => {
    expect(await open('').post(`http://localhost:${receiver.port}/`, request)).toMatchObject({
      failure: 'refused_address',
    })
    expect(receiver.connections()).toBe(0)
  })

  test('of this machine is reached where the operator allows it', async () => {
    expect(await open('localhost').post(`http://localhost:${receiver.port}/`, request)).toMatchObject({ ok: true })
  })

  test('that nobody knows is told to be unknown', async () => {
    const out = open('', async () => {
      throw new Error('ENOTFOUND')
    })
    expect(await out.post('http://hooks.example/', request)).toMatchObject({ failure: 'unknown_host' })
  })

  test('that is resolved to another address later is dialled at the one that was checked', async () => {
    const answers = [['127.0.0.1'], ['127.0.0.2'], ['127.0.0.1']]
    let asked = 0
    const out = open('127.0.0.1', async () => answers[asked++] ?? [])
    const url = `http://hooks.example:${receiver.port}/`
    // Each post needs a connection of its own, for which the name is resolved and checked anew.
    receiver.answer({ status: 200, headers: { Connection: 'close' } })
    expect(await out.post(url, request)).toMatchObject({ ok: true })
    expect(asked).toBe(1)
    expect(receiver.requests[0]?.headers.host).toBe(`hooks.example:${receiver.port}`)
    expect(await out.post(url, request)).toMatchObject({ failure: 'refused_address' })
    expect(await out.post(url, request)).toMatchObject({ ok: true })
    expect(asked).toBe(3)
  })

  test('that does not resolve in time ends in time', async () => {
    let asked = 0
    const out = open('', () => {
      asked += 1
      return new Promise(() => undefined)
    })
    expect(await out.post('http://hooks.example/', { ...request, timeout: 100 })).toMatchObject({ failure: 'timeout' })
    expect(asked).toBe(1)
  })

  test('that the operator allows at one port is refused at another', async () => {
    const lookup: Lookup = async () => ['127.0.0.1']
    const url = `http://hooks.example:${receiver.port}/`
    expect(await open(`hooks.example:${receiver.port}`, lookup).post(url, request)).toMatchObject({ ok: true })
    expect(await open(`hooks.example:${receiver.port + 1}`, lookup).post(url, request)).toMatchObject({
      failure: 'refused_address',
    })
  })
})
