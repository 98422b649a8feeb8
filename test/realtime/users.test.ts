import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { plainApp } from '../../schema/pusher-apps.ts'
import { dataOf, type RawSocket } from '../support/raw-socket.ts'
import { error, sdk, signin, subscribe, succeeded } from './pusher-frames.ts'
import { app, type Started, startRealtime } from './start-realtime.ts'

let server: Started

beforeEach(async () => {
  const other = plainApp({ id: '4', key: 'other', secret: 'other-secret' })
  server = await startRealtime({ apps: [{ ...other, enableUserAuthentication: false }] })
})

afterEach(() => server.stop())

/** Opens a socket that has signed in; the frame that says so is still to be read. */
const signedIn = async (user: object): Promise<{ socket: RawSocket; id: string }> => {
  const { socket, id } = await server.connect()
  socket.send(signin(id, user))
  return { socket, id }
}

const watchlist = (...events: { name: string; user_ids: string[] }[]) => ({
  event: 'pusher_internal:watchlist_events',
  data: JSON.stringify({ events }),
})

describe('signing in', () => {
  test('is confirmed with what was signed, in an object', async () => {
    const { socket } = await signedIn({ id: 'ada', user_info: { name: 'Ada' } })
    expect(await socket.next()).toEqual({
      event: 'pusher:signin_success',
      data: { user_data: '{"id":"ada","user_info":{"name":"Ada"}}' },
    })
  })

  test('may be done again as the same user, and closes a socket that wants to be another', async () => {
    const { socket, id } = await signedIn({ id: 'ada' })
    await socket.waitFor('pusher:signin_success')
    socket.send(signin(id, { id: 'ada' }))
    await socket.waitFor('pusher:signin_success')
    socket.send(signin(id, { id: 'grace' }))
    expect(await socket.next()).toEqual(error(expect.stringMatching(/another user/), 4009))
    expect((await socket.closed).code).toBe(4009)
  })

  test.each([
    ['a signature of another socket', () => signin('1.1', { id: 'ada' })],
    ['a signature of another app', (id: string) => signin(id, { id: 'ada' }, { ...app, secret: 'another' })],
    ['another key', (id: string) => signin(id, { id: 'ada' }, { ...app, key: 'another' })],
  ])('with %s closes the socket with 4009', async (_, frame) => {
    const { socket, id } = await server.connect()
    socket.send(frame(id))
    expect(await socket.next()).toMatchObject({ event: 'pusher:error', data: { code: 4009 } })
    expect((await socket.closed).code).toBe(4009)
  })

  test('without a frame that has all of it is an error, and the socket stays open', async () => {
    const { socket } = await server.connect()
    for (const data of [undefined, {}, { auth: 'a' }, { auth: 1, user_data: {} }, 'x']) {
      socket.send({ event: 'pusher:signin', data })
      expect(await socket.next()).toEqual(error(expect.stringMatching(/^Invalid pusher:signin: data/)))
    }
  })

  test('may be switched off for an app', async () => {
    const { socket, id } = await server.connect('other')
    socket.send(signin(id, { id: 'ada' }, { id: '4', key: 'other', secret: 'other-secret' }))
    expect(await socket.next()).toEqual(error('Signing in is not enabled for this app'))
  })
})

describe('the channel of a user', () => {
  test('is for sockets that are signed in as that user, and for no other', async () => {
    const { socket } = await signedIn({ id: 'ada' })
    await socket.waitFor('pusher:signin_success')
    socket.send(subscribe('#server-to-user-ada', { auth: '' }))
    expect(await socket.next()).toEqual(succeeded('#server-to-user-ada'))
    for (const channel of ['#server-to-user-grace', '#server-to-user-', '#server-to-user-ad']) {
      socket.send(subscribe(channel))
      expect(await socket.next()).toMatchObject({ event: 'pusher:subscription_error', channel })
      await socket.next()
    }
    const stranger = await server.connect()
    stranger.socket.send(subscribe('#server-to-user-ada'))
    expect(await stranger.socket.next()).toMatchObject({
      event: 'pusher:subscription_error',
      data: { status: 403 },
    })
    await stranger.socket.next()

    await sdk(server.port).sendToUser('ada', 'hello', { n: 1 })
    expect(await socket.next()).toEqual({ event: 'hello', channel: '#server-to-user-ada', data: '{"n":1}' })
    expect(await stranger.socket.settle()).toEqual([])
  })

  test('cannot be spoken on by clients', async () => {
    const { socket } = await signedIn({ id: 'ada' })
    await socket.waitFor('pusher:signin_success')
    socket.send(subscribe('#server-to-user-ada'))
    await socket.next()
    socket.send({ event: 'client-x', channel: '#server-to-user-ada', data: {} })
    expect(await socket.next()).toMatchObject({ event: 'pusher:error', data: { code: null } })
  })
})

test('all sockets of a user can be closed at once, and no others', async () => {
  const [one, two, other] = [
    await signedIn({ id: 'ada' }),
    await signedIn({ id: 'ada' }),
    await signedIn({ id: 'bob' }),
  ]
  for (const { socket } of [one, two, other]) await socket.waitFor('pusher:signin_success')
  await sdk(server.port).terminateUserConnections('ada')
  for (const { socket } of [one, two]) {
    expect(await socket.next()).toEqual(error('You got disconnected by the app.', 4009))
    expect((await socket.closed).code).toBe(4009)
  }
  expect(await other.socket.settle()).toEqual([])
})

describe('a watchlist', () => {
  test('tells who is online and who is not, and then whoever comes and goes', async () => {
    const grace = await signedIn({ id: 'grace' })
    await grace.socket.next()
    const { socket } = await signedIn({ id: 'ada', watchlist: ['grace', 'bob'] })
    await socket.waitFor('pusher:signin_success')
    expect(await socket.next()).toEqual(
      watchlist({ name: 'online', user_ids: ['grace'] }, { name: 'offline', user_ids: ['bob'] }),
    )
    const again = await signedIn({ id: 'grace' })
    await again.socket.next()
    const bob = await signedIn({ id: 'bob' })
    expect(await socket.next()).toEqual(watchlist({ name: 'online', user_ids: ['bob'] }))
    grace.socket.close()
    await grace.socket.closed
    bob.socket.terminate()
    expect(await socket.next()).toEqual(watchlist({ name: 'offline', user_ids: ['bob'] }))
    again.socket.close()
    expect(await socket.next()).toEqual(watchlist({ name: 'offline', user_ids: ['grace'] }))
  })

  test('of many sockets is told to each, and to none that has left', async () => {
    const [ada, eve] = [
      await signedIn({ id: 'ada', watchlist: ['bob'] }),
      await signedIn({ id: 'eve', watchlist: ['bob'] }),
    ]
    for (const { socket } of [ada, eve]) await socket.waitFor('pusher_internal:watchlist_events')
    eve.socket.close()
    await eve.socket.closed
    await signedIn({ id: 'bob' })
    expect(await ada.socket.next()).toEqual(watchlist({ name: 'online', user_ids: ['bob'] }))
  })

  test('of more than 100 users is told 4302, and the first 100 are watched', async () => {
    const users = Array.from({ length: 101 }, (_, n) => `user-${n}`)
    const { socket } = await signedIn({ id: 'ada', watchlist: users })
    await socket.waitFor('pusher:signin_success')
    expect(await socket.waitFor('pusher:error')).toEqual(error(expect.stringContaining('the first 100'), 4302))
    const { data } = await socket.waitFor('pusher_internal:watchlist_events').then((frame) => ({ data: dataOf(frame) }))
    expect(data).toEqual({ events: [{ name: 'offline', user_ids: users.slice(0, 100) }] })
    await signedIn({ id: 'user-100' })
    await signedIn({ id: 'user-99' })
    expect(await socket.next()).toEqual(watchlist({ name: 'online', user_ids: ['user-99'] }))
  })
})
