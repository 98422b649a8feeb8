/** P7 on the REST port: what is no HTTP request, or half of one, gets a clear error and ends nothing. */

import { connect } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { muroClient, muroError } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
let tenant: Tenant
beforeAll(async () => {
  api = await startApi()
  tenant = await api.makeTenant()
})
afterAll(() => api.close())

/** Sends bytes and returns all that comes back until the connection ends. */
const send = (text: string | Buffer): Promise<string> =>
  new Promise((done, fail) => {
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1', () => socket.write(text))
    let got = ''
    socket.on('data', (chunk) => {
      got += chunk
    })
    socket.on('error', fail)
    socket.on('close', () => done(got))
  })

const head = () => `Host: x\r\nAuthorization: Bearer ${tenant.apiKey}\r\nContent-Type: application/json\r\n`

it.each([
  ['garbage', () => 'garbage\r\n\r\n', 400],
  ['bytes that are no text', () => Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0xff]), 400],
  ['a method that is none', () => `BREW /api/v1/contacts HTTP/1.1\r\n${head()}\r\n`, 400],
  ['headers without an end', () => `GET /up HTTP/1.1\r\n${head()}X-Pad: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ['a broken chunk', () => `POST /api/v1/contacts HTTP/1.1\r\n${head()}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 400],
  ['no host', () => `GET /api/v1/contacts HTTP/1.1\r\nConnection: close\r\n\r\n`, 400],
  [
    'two lengths at once',
    () =>
      `POST /api/v1/contacts HTTP/1.1\r\n${head()}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
    400,
  ],
])('%s is refused in the usual shape', async (_what, text, status) => {
  const before = await api.rowsOf(tenant)
  const answer = await send(text())
  const [headers = '', body = ''] = answer.split('\r\n\r\n')
  expect(headers).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(headers).toMatch(/\r\nX-Request-Id: req_[A-Za-z0-9]{22}\r\n/i)
  expect(JSON.parse(body)).toEqual(muroError('invalid_request_error', 'invalid'))
  expect(await api.rowsOf(tenant)).toEqual(before)
})

it('a client that goes away in the middle of a body changes nothing', async () => {
  const before = await api.rowsOf(tenant)
  for (let turn = 0; turn < 20; turn += 1) {
    await new Promise<void>((done) => {
      const socket = connect(Number(new URL(api.url).port), '127.0.0.1', () => {
        socket.write(`POST /api/v1/contacts HTTP/1.1\r\n${head()}Content-Length: 100\r\n\r\n{"name":`, () => {
          socket.resetAndDestroy()
          done()
        })
      })
    })
  }
  expect((await muroClient(api.url, tenant.apiKey).get('/contacts')).status).toBe(200)
  expect(await api.rowsOf(tenant)).toEqual(before)
})

it('a client that expects what nobody knows is answered as any other', async () => {
  const answer = await send(`GET /api/v1/contacts HTTP/1.1\r\n${head()}Expect: a-miracle\r\nConnection: close\r\n\r\n`)
  expect(answer).toMatch(/^HTTP\/1.1 200 /)
  expect(answer).toMatch(/\r\nX-Request-Id: req_[A-Za-z0-9]{22}\r\n/i)
})

it('TRACE is not echoed', async () => {
  const answer = await send(`TRACE /api/v1/contacts HTTP/1.1\r\n${head()}Connection: close\r\n\r\n`)
  expect(answer).toMatch(/^HTTP\/1.1 405 /)
  expect(answer).not.toContain(tenant.apiKey)
})
