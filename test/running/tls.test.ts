/** TLS on the realtime port: sockets and requests over it, and what is said of files that do not serve. */

import { createPrivateKey } from 'node:crypto'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { z } from 'zod'
import { StartError } from '../../schema/errors.ts'
import { openTransport, transports } from '../realtime/open-transport.ts'
import { makeCertificate, writeFiles } from '../support/certificate.ts'
import { freshDatabase } from '../support/database.ts'
import { muroClient } from '../support/http.ts'
import { makePlace, printedKey, startForTest } from '../support/place.ts'

const { cert, key } = makeCertificate()
const cipher = { cipher: 'aes-256-cbc', passphrase: 'open sesame' }
const locked = String(createPrivateKey(key).export({ type: 'pkcs8', format: 'pem', ...cipher }))

/** Sends a request that trusts the certificate of this test alone. */
const ask = (port: number, method: string, body: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const request = httpsRequest({ host: '127.0.0.1', port, method, path: '/apps/3/events', ca: cert }, (response) => {
      response.setEncoding('utf8')
      let text = ''
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => resolve(`${response.statusCode} ${text}`))
    })
    request.on('error', reject)
    request.end(body)
  })

/** Opens a socket and returns what it hears first and what it hears when it has spoken to it, or why it was not let in. */
const converse = (url: string, said = 'and back'): Promise<string[] | string> =>
  new Promise((resolve) => {
    const heard: string[] = []
    const socket = new WebSocket(url, { ca: cert })
    socket.on('open', () => socket.send(said))
    socket.on('message', (message) => {
      if (heard.push(String(message)) < 2) return
      socket.terminate()
      resolve(heard)
    })
    socket.on('error', (error) => resolve(error.message))
  })

describe.each(transports)('over %s', (name, create) => {
  const openSecure = async (options = {}) => {
    const path = await writeFiles({ cert, key })
    return openTransport(create, { ...options, tls: { certFile: path('cert'), keyFile: path('key') } })
  }

  test('sockets come over wss, and are known to be secure', async () => {
    const { port, askers } = await openSecure()
    expect(await converse(`wss://127.0.0.1:${port}/app/key`)).toEqual(['hello', 'and back'])
    expect(askers).toEqual([{ path: '/app/key', origin: '', address: '127.0.0.1', isSecure: true }])
  })

  test('requests come over https', async () => {
    const { port } = await openSecure()
    expect(await ask(port, 'POST', 'x'.repeat(100_000))).toBe('200 POST 100000')
    expect(await ask(port, 'GET', '')).toBe('200 GET 0')
  })

  test('what does not speak TLS gets nothing, and harms nobody', async () => {
    const { port, askers } = await openSecure()
    expect(await converse(`ws://127.0.0.1:${port}/app/key`)).toMatch(/socket hang up|ECONNRESET/)
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow()
    expect(askers).toEqual([])
    expect(await converse(`wss://127.0.0.1:${port}/app/key`)).toEqual(['hello', 'and back'])
  })

  test('a client that does not go on with its handshake is cut', async () => {
    // What uWS has built in cannot be changed; over ws it is a matter of fractions of a second here.
    const { port } = await openSecure({ idle: 300 })
    const began = Date.now()
    await new Promise<void>((resolve) => {
      // The head of a TLS record, and nothing of what it announces.
      const client = connect(port, '127.0.0.1', () => client.write(Buffer.from([0x16, 3, 1, 2, 0])))
      client.resume()
      client.on('error', () => client.destroy())
      client.on('close', () => resolve())
    })
    expect(Date.now() - began).toBeLessThan(name === 'uws' ? 16_000 : 5_000)
  })

  test('without the files the port speaks no TLS', async () => {
    const { port } = await openTransport(create)
    expect(await converse(`wss://127.0.0.1:${port}/app/key`)).toMatch(/SSL|socket|ECONNRESET|EPROTO/)
    expect(await converse(`ws://127.0.0.1:${port}/app/key`)).toEqual(['hello', 'and back'])
  })

  test.each([
    [
      'a certificate that is not there',
      { certFile: 'none', keyFile: 'key' },
      /^TLS_CERT_FILE: \S+ cannot be read \(ENOENT\)$/,
    ],
    ['a key that is not there', { certFile: 'cert', keyFile: 'none' }, /^TLS_KEY_FILE: \S+ cannot be read \(ENOENT\)$/],
    ['a directory', { certFile: '.', keyFile: 'key' }, /^TLS_CERT_FILE: \S+ cannot be read \(EISDIR\)$/],
    ['a text for a certificate', { certFile: 'text', keyFile: 'key' }, /^TLS_CERT_FILE: \S+ holds no certificate/],
    ['a key for a certificate', { certFile: 'key', keyFile: 'key' }, /^TLS_CERT_FILE: \S+ holds no certificate/],
    ['an empty key', { certFile: 'cert', keyFile: 'empty' }, /^TLS_KEY_FILE: \S+ holds no key/],
    ['a key with a passphrase', { certFile: 'cert', keyFile: 'locked' }, /^TLS_KEY_FILE: \S+ holds no key/],
    ['a certificate for a key', { certFile: 'cert', keyFile: 'cert' }, /^TLS_KEY_FILE: \S+ holds no key/],
    ['the key of another certificate', { certFile: 'cert', keyFile: 'other' }, /^TLS_KEY_FILE: \S+ is not the key of/],
  ])('%s is one line that names the variable', async (_, { certFile, keyFile }, line) => {
    const path = await writeFiles<string>({ cert, key, text: 'hello', empty: '', locked, other: makeCertificate().key })
    const opening = openTransport(create, { tls: { certFile: path(certFile), keyFile: path(keyFile) } })
    await expect(opening).rejects.toThrow(StartError)
    await expect(opening).rejects.toThrow(line)
  })
})

test('the program serves its sockets over TLS alone, and tells agents to come so', async () => {
  const path = await writeFiles({ cert, key })
  const { url } = await freshDatabase({ max: 1 })
  const program = await startForTest({
    DATABASE_URL: url,
    DATA_DIR: await makePlace(),
    TLS_CERT_FILE: path('cert'),
    TLS_KEY_FILE: path('key'),
  })
  const { body } = await muroClient(program.api, printedKey(program) ?? '').get('/realtime')
  const { config } = z
    .object({ config: z.object({ key: z.string(), port: z.int(), forceTLS: z.boolean() }) })
    .parse(body)
  expect(config.forceTLS).toBe(true)
  expect(program.output()).toContain(`wss://127.0.0.1:${config.port}`)
  const address = `127.0.0.1:${config.port}/app/${config.key}?protocol=7`
  expect(await converse(`wss://${address}`, '{"event":"pusher:ping","data":{}}')).toEqual([
    expect.stringContaining('"pusher:connection_established"'),
    expect.stringContaining('"pusher:pong"'),
  ])
  expect(await converse(`ws://${address}`)).toMatch(/socket hang up|ECONNRESET/)
})
