/** What no library would send, named one by one; test/soak tries what nobody has thought of. */

import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signChannel } from '../../auth/channel-signature.ts'
import { maskedFrame, opcodes, openBare, upgradeRequest } from '../soak/bare-connection.ts'
import { signed, subscribe } from './pusher-frames.ts'
import { app, type Started, startRealtime } from './start-realtime.ts'

let server: Started

beforeAll(async () => {
  server = await startRealtime()
})

afterAll(() => server.stop())

/** Says that the server still serves, and that no handler has failed. */
const expectServing = async (): Promise<void> => {
  const { socket } = await server.connect()
  socket.send({ event: 'pusher:subscribe', data: { channel: 'alive' } })
  expect((await socket.next()).event).toBe('pusher_internal:subscription_succeeded')
  socket.terminate()
  expect(server.logger.lines.filter(({ level }) => level === 'error')).toEqual([])
}

test('what is nested so deeply that it cannot be written again is refused in words, and is no failure of ours', async () => {
  const { socket, id } = await server.connect()
  const nested = `${'['.repeat(14_000)}${']'.repeat(14_000)}`
  const tooDeep = (what: string) => ({ message: `${what} is nested too deeply`, code: null })

  socket.sendRaw(`{"event":"client-x","channel":"private-a","data":${nested}}`)
  expect((await socket.waitFor('pusher:error')).data).toEqual(tooDeep('Client event rejected - its data'))

  const channel_data = `{"user_id":"1","user_info":${nested}}`
  socket.send(subscribe('presence-a', { channel_data, auth: signChannel(app, id, 'presence-a', channel_data) }))
  expect((await socket.waitFor('pusher:error')).data).toEqual(tooDeep('user_info'))

  const user_data = `{"id":"1","user_info":${nested}}`
  socket.send({ event: 'pusher:signin', data: { user_data, auth: signChannel(app, id, `:user::${user_data}`) } })
  await socket.waitFor('pusher:signin_success')
  socket.send(signed(id, 'presence-a'))
  expect((await socket.waitFor('pusher:error')).data).toEqual(tooDeep('user_info'))

  await expectServing()
})

test('a client that speaks on behind a frame that is no text, while others wait before it, ends its own socket alone', async () => {
  const connection = await openBare(server.port, upgradeRequest(`/app/${app.key}?protocol=7`))
  await connection.until(() => connection.frames.length > 0, 'greeting')
  const pings = Array.from({ length: 1000 }, () => maskedFrame(Buffer.from('x'), opcodes.ping))
  const spoiled = maskedFrame(Buffer.from([0xff, 0xfe]))
  connection.write(Buffer.concat(pings))
  for (let n = 0; n < 20; n += 1) {
    const heard = connection.pongs.length
    await connection.until(() => connection.pongs.length > heard, 'pong')
    connection.write(spoiled)
  }
  await connection.until(() => false, 'end')
  connection.cut()
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
