import { afterEach, beforeEach, expect, test } from 'vitest'
import { plainApp } from '../../schema/pusher-apps.ts'
import type { RawSocket } from '../support/raw-socket.ts'
import { error, signed, subscribe } from './pusher-frames.ts'
import { grantedSubscribe, type Started, startRealtime } from './start-realtime.ts'

let server: Started

beforeEach(async () => {
  server = await startRealtime({
    apps: [plainApp({ id: '4', key: 'silent', secret: 'silent-secret' })],
  })
})

afterEach(() => server.stop())

const clientEvent = (channel: string, data: unknown = { n: 1 }, event = 'client-typing') => ({ event, channel, data })

/** Two sockets that are on a channel, each as the user given. */
const pair = async (channel: string, users?: [unknown, unknown]) => {
  const join = async (user_id: unknown): Promise<{ socket: RawSocket; id: string }> => {
    const { socket, id } = await server.connect()
    socket.send(signed(id, channel, user_id === undefined ? undefined : { user_id }))
    await socket.waitFor('pusher_internal:subscription_succeeded')
    return { socket, id }
  }
  const [one, other] = [await join(users?.[0]), await join(users?.[1])]
  await one.socket.settle()
  return { one, other }
}

test('what a socket says reaches the others of a private channel as it was sent, and not itself', async () => {
  const { one, other } = await pair('private-room')
  for (const data of [{ n: 1 }, 'text', '{"json":"in a string"}', null, [1, 'ü 🙂']]) {
    one.socket.send(clientEvent('private-room', data))
    expect(await other.socket.next()).toEqual({ event: 'client-typing', channel: 'private-room', data })
  }
  one.socket.send({ event: 'client-typing', channel: 'private-room' })
  expect(await other.socket.next()).toEqual({ event: 'client-typing', channel: 'private-room' })
  expect(await one.socket.settle()).toEqual([])
})

test('on a presence channel it names who said it, with the type of the id kept', async () => {
  const { one, other } = await pair('presence-room', [7, 'grace'])
  one.socket.send(clientEvent('presence-room'))
  expect(await other.socket.next()).toEqual({ ...clientEvent('presence-room'), user_id: 7 })
  other.socket.send(clientEvent('presence-room'))
  expect(await one.socket.next()).toEqual({ ...clientEvent('presence-room'), user_id: 'grace' })
})

test.each([
  ['on a public channel', 'room', /only supported on private and presence channels/],
  ['on a channel whose name only contains private-', 'my-private-room', /only supported on private/],
  ['on an encrypted channel', 'private-encrypted-room', /not on encrypted ones/],
])('%s it is refused, and the socket stays open', async (_, channel, message) => {
  const { socket, id } = await server.connect()
  const { socket: other, id: otherId } = await server.connect()
  for (const [one, oneId] of [[socket, id] as const, [other, otherId] as const]) {
    one.send(channel.startsWith('private-') ? signed(oneId, channel) : subscribe(channel))
    await one.waitFor('pusher_internal:subscription_succeeded')
  }
  socket.send(clientEvent(channel))
  expect(await socket.next()).toEqual(error(expect.stringMatching(message)))
  expect(await other.settle()).toEqual([])
})

test('who is not on a channel cannot speak there', async () => {
  const { one, other } = await pair('private-room')
  const { socket } = await server.connect()
  socket.send(clientEvent('private-room'))
  expect(await socket.next()).toEqual(
    error('Cannot broadcast client event (connection not subscribed to channel private-room)'),
  )
  expect([...(await one.socket.settle()), ...(await other.socket.settle())]).toEqual([])
})

test('a name that does not begin with client- is none of a client event', async () => {
  const { one, other } = await pair('private-room')
  for (const event of [
    'my-client-event',
    'Client-x',
    'pusher:client-x',
    'message.new',
    'pusher_internal:member_added',
  ]) {
    one.socket.send(clientEvent('private-room', {}, event))
    expect(await one.socket.next()).toMatchObject({ event: 'pusher:error', data: { code: null } })
  }
  expect(await other.socket.settle()).toEqual([])
})

test('no more than 10,240 bytes of data, in UTF-8', async () => {
  const { one, other } = await pair('private-room')
  one.socket.send(clientEvent('private-room', 'x'.repeat(10 * 1024 - 2)))
  expect((await other.socket.next()).data).toHaveLength(10 * 1024 - 2)
  one.socket.send(clientEvent('private-room', 'ü'.repeat(5 * 1024)))
  expect(await one.socket.next()).toEqual(error(expect.stringContaining('10242 bytes, 10240 are allowed')))
})

test('ten a second of each socket; the eleventh is told 4301, and the socket stays open', async () => {
  const { one, other } = await pair('private-room')
  for (let n = 0; n < 11; n += 1) one.socket.send(clientEvent('private-room', n))
  for (let n = 0; n < 10; n += 1) expect((await other.socket.next()).data).toBe(n)
  expect(await one.socket.next()).toEqual(error(expect.stringContaining('10 a second'), 4301))
  other.socket.send(clientEvent('private-room', 'mine'))
  expect((await one.socket.next()).data).toBe('mine')
  await expect
    .poll(async () => {
      one.socket.send(clientEvent('private-room', 'later'))
      return (await other.socket.settle()).map(({ data }) => data)
    })
    .toEqual(['later'])
})

test('an app may have none of them', async () => {
  const { socket } = await server.connect('silent')
  socket.send(clientEvent('private-room'))
  expect(await socket.next()).toEqual(error('Client events are not enabled for this app'))
})

test('in a conversation speaks who may write there, and only listens who may read', async () => {
  const grant = { workspace: 'org_1' }
  const open = async (channel: string, more: object) => {
    const { socket, id } = await server.connect()
    socket.send(grantedSubscribe(id, channel, { ...grant, ...more }))
    await socket.waitFor('pusher_internal:subscription_succeeded')
    return socket
  }
  const [writer, reader] = [await open('private-conv-cnv_1', { write: true }), await open('private-conv-cnv_1', {})]
  writer.send(clientEvent('private-conv-cnv_1'))
  expect(await reader.next()).toEqual(clientEvent('private-conv-cnv_1'))
  reader.send(clientEvent('private-conv-cnv_1'))
  expect(await reader.next()).toEqual(error('Client event rejected - you may only listen on private-conv-cnv_1'))
  for (const channel of ['private-org-org_1', 'private-site-web_1', 'private-visitor-cnv_1']) {
    const socket = await open(channel, { write: true })
    socket.send(clientEvent(channel))
    expect(await socket.next()).toEqual(error(`Client event rejected - you may only listen on ${channel}`))
  }
  expect(await writer.settle()).toEqual([])
})
