import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RawSocket } from '../support/raw-socket.ts'
import { added, present, refused, removed, sdk, signed, signin, subscribe, unsubscribe } from './pusher-frames.ts'
import { type Started, startRealtime } from './start-realtime.ts'

let server: Started

beforeEach(async () => {
  server = await startRealtime({ settings: { maxPresenceMembersPerChannel: 3 } })
})

afterEach(() => server.stop())

const room = 'presence-room'

/** Opens a socket that has joined as a user; its confirmation is left to be read. */
const join = async (user_id: string | number, user_info?: unknown, channel = room): Promise<RawSocket> => {
  const { socket, id } = await server.connect()
  socket.send(signed(id, channel, user_info === undefined ? { user_id } : { user_id, user_info }))
  return socket
}

describe('a roster', () => {
  test('names whoever joins to itself first, and never tells it as a change', async () => {
    const ada = await join('ada', { name: 'Ada' })
    expect(await ada.next()).toEqual(present(room, { ada: { name: 'Ada' } }))
    expect(await ada.settle()).toEqual([])
  })

  test('grows and shrinks for the others by user, however many sockets a user has', async () => {
    const ada = await join('ada')
    await ada.next()
    const grace = await join('grace', { name: 'Grace' })
    expect(await grace.next()).toEqual(present(room, { ada: {}, grace: { name: 'Grace' } }))
    expect(await ada.next()).toEqual(added(room, { user_id: 'grace', user_info: { name: 'Grace' } }))

    const second = await join('grace', { name: 'Grace again' })
    expect(await second.next()).toEqual(present(room, { ada: {}, grace: { name: 'Grace' } }))
    grace.close()
    await grace.closed
    expect(await ada.settle()).toEqual([])
    second.send(unsubscribe(room))
    expect(await ada.next()).toEqual(removed(room, 'grace'))
    expect(await second.settle()).toEqual([])
  })

  test('keeps the type of an id, and takes 1 and "1" for one user', async () => {
    const one = await join(1)
    expect(await one.next()).toEqual(present(room, { '1': {} }, [1]))
    const same = await join('1')
    expect(await same.next()).toEqual(present(room, { '1': {} }, [1]))
    expect(await one.settle()).toEqual([])
    const two = await join(2)
    await two.next()
    expect(await one.next()).toEqual(added(room, { user_id: 2 }))
    two.close()
    expect(await one.next()).toEqual(removed(room, 2))
  })

  test('may name a user __proto__', async () => {
    const odd = await join('__proto__', { admin: true })
    const { data } = await odd.next()
    expect(data).toBe('{"presence":{"ids":["__proto__"],"hash":{"__proto__":{"admin":true}},"count":1}}')
  })

  test('is told again to a socket that subscribes twice, which counts once', async () => {
    const { socket, id } = await server.connect()
    socket.send(signed(id, room, { user_id: 'ada' }))
    socket.send(signed(id, room, { user_id: 'ada' }))
    await socket.next()
    const grace = await join('grace')
    await socket.waitFor('pusher_internal:member_added')
    socket.send(signed(id, room, { user_id: 'ada' }))
    expect(await socket.next()).toEqual(present(room, { ada: {}, grace: {} }))
    socket.send(unsubscribe(room))
    await grace.waitFor('pusher_internal:member_removed')
    expect(await sdkUsers()).toEqual(['grace'])
  })

  test('is of one channel: the same users elsewhere are others', async () => {
    const ada = await join('ada')
    await ada.next()
    const elsewhere = await join('grace', undefined, 'presence-other')
    expect(await elsewhere.next()).toEqual(present('presence-other', { grace: {} }))
    expect(await ada.settle()).toEqual([])
  })

  test('loses whoever closes while joining', async () => {
    const ada = await join('ada')
    await ada.next()
    const { socket, id } = await server.connect()
    socket.send(signed(id, room, { user_id: 'ghost' }))
    socket.terminate()
    await socket.closed
    await expect.poll(sdkUsers).toEqual(['ada'])
    const told = (await ada.settle()).map(({ event }) => event)
    expect([[], ['pusher_internal:member_added', 'pusher_internal:member_removed']]).toContainEqual(told)
  })
})

const sdkUsers = async (): Promise<string[]> => {
  const answer = await sdk(server.port).get({ path: `/channels/${room}/users` })
  const body: unknown = await answer.json()
  return (body as { users: { id: string }[] }).users.map(({ id }) => id)
}

describe('a member', () => {
  test('is the signed-in user where channel_data names none', async () => {
    const { socket, id } = await server.connect()
    socket.send(signin(id, { id: 'ada', user_info: { name: 'Ada' } }))
    await socket.waitFor('pusher:signin_success')
    socket.send(signed(id, room))
    expect(await socket.next()).toEqual(present(room, { ada: { name: 'Ada' } }))
  })

  test('is needed: nobody joins without', async () => {
    const { socket, id } = await server.connect()
    socket.send(signed(id, room))
    const [first, second] = refused(room, 401, expect.stringMatching(/needs a user/))
    expect(await socket.next()).toEqual(first)
    expect(await socket.next()).toEqual(second)
    socket.send(subscribe(room, { channel_data: '{"user_id":"ada"}' }))
    expect(await socket.next()).toMatchObject({ data: { status: 401 } })
  })

  test.each([
    ['an id that is a boolean', { user_id: true }, 400],
    ['an empty id', { user_id: '' }, 400],
    ['an id of 129 characters', { user_id: 'a'.repeat(129) }, 400],
    ['data that is no object', ['ada'], 400],
    ['more than 1,024 bytes of user_info', { user_id: 'ada', user_info: 'x'.repeat(1023) }, 413],
  ])('with %s is refused', async (_, data, status) => {
    const { socket, id } = await server.connect()
    socket.send(signed(id, room, data))
    expect(await socket.next()).toMatchObject({ event: 'pusher:subscription_error', channel: room, data: { status } })
  })

  test('may have an id of 128 characters and 1,024 bytes of user_info', async () => {
    const info = 'x'.repeat(1022)
    const socket = await join('a'.repeat(128), info)
    expect(await socket.next()).toEqual(present(room, { ['a'.repeat(128)]: info }))
  })
})

test('a channel takes as many members as it may have, and not one more, until one leaves', async () => {
  const sockets = await Promise.all(['a', 'b', 'c'].map((user) => join(user)))
  await Promise.all(sockets.map((socket) => socket.waitFor('pusher_internal:subscription_succeeded')))
  const again = await join('a')
  expect((await again.next()).event).toBe('pusher_internal:subscription_succeeded')
  const late = await join('d')
  expect(await late.next()).toMatchObject({ event: 'pusher:subscription_error', data: { status: 413 } })
  sockets[1]?.close()
  await again.waitFor('pusher_internal:member_removed')
  const next = await join('d')
  expect((await next.next()).event).toBe('pusher_internal:subscription_succeeded')
})

test('channel data is signed with any channel, and what it says of a user does not make one', async () => {
  const { socket, id } = await server.connect()
  socket.send(signed(id, 'private-room', { user_id: 'ada' }))
  expect((await socket.next()).event).toBe('pusher_internal:subscription_succeeded')
  const { auth } = sdk(server.port).authorizeChannel(id, 'private-other', { user_id: 'ada' })
  socket.send(subscribe('private-other', { auth }))
  expect(await socket.next()).toMatchObject({ data: { status: 401 } })
})

test('the chat lets its agents see each other, by the name of their key', async () => {
  const { socket, id } = await server.connect()
  const grant = { workspace: 'org_1', key: 'key_1', write: true, iat: Math.floor(Date.now() / 1000) }
  const data = { hubbub: grant, user_id: 'usr_1', user_info: { name: 'Ada' } }
  socket.send(signed(id, 'presence-org-org_1', data))
  expect(await socket.next()).toEqual(present('presence-org-org_1', { usr_1: { name: 'Ada' } }))
  socket.send(signed(id, 'presence-org-org_2', data))
  expect(await socket.next()).toMatchObject({ data: { status: 403 } })
})
