/** A Laravel front end: laravel-echo over pusher-js, as its documentation sets it up. */

import Echo from 'laravel-echo'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { Pusher } from '../support/pusher-js.ts'
import { type PusherNodes, shop, startPusherNodes } from '../support/pusher-nodes.ts'
import { optionsFor, type Visitor } from './clients.ts'

let nodes: PusherNodes

beforeAll(async () => {
  nodes = await startPusherNodes({ nodes: 2, transport: 'uws' })
}, 120_000)
afterAll(() => nodes?.stop())

/** An Echo at a node, for the rest of the test. */
const openEcho = (node: number, visitor?: Visitor) => {
  const echo = new Echo({
    broadcaster: 'pusher',
    client: new Pusher(shop.key, optionsFor(nodes, node, visitor)),
    withoutInterceptors: true,
  })
  onTestFinished(() => echo.disconnect())
  return echo
}

/** What a listener was told. */
const told = () => {
  const all: unknown[] = []
  return { all, take: (data: unknown) => void all.push(data) }
}

const subscribed = (channel: { subscribed(done: () => void): unknown }) =>
  new Promise<void>((resolve) => channel.subscribed(() => resolve()))

test('listens on public, private and encrypted channels, by the names of Laravel events', async () => {
  const echo = openEcho(0)
  const [shipped, paid, sealed] = [told(), told(), told()]
  const channels = [
    echo.channel('orders').listen('OrderShipped', shipped.take),
    echo.private('orders.7').listen('.paid', paid.take),
    echo.encryptedPrivate('orders.7').listen('OrderSealed', sealed.take),
  ]
  await Promise.all(channels.map(subscribed))
  await nodes.serverAt(1).trigger('orders', 'App\\Events\\OrderShipped', { id: 7 })
  await nodes.serverAt(1).trigger('private-orders.7', 'paid', { id: 7 })
  await nodes.serverAt(1).trigger('private-encrypted-orders.7', 'App\\Events\\OrderSealed', { id: 7 })
  await expect.poll(() => [shipped.all, paid.all, sealed.all]).toEqual([[{ id: 7 }], [{ id: 7 }], [{ id: 7 }]])
})

test('toOthers() spares the tab that caused an event, on another node too', async () => {
  const [cause, other] = [openEcho(0), openEcho(1)]
  const [mine, theirs] = [told(), told()]
  await Promise.all([
    subscribed(cause.private('chat.1').listen('.said', mine.take)),
    subscribed(other.private('chat.1').listen('.said', theirs.take)),
  ])
  const server = nodes.serverAt(1)
  await server.trigger('private-chat.1', 'said', { text: 'hi' }, { socket_id: cause.socketId() ?? '' })
  await server.trigger('private-chat.1', 'said', { text: 'bye' })
  await expect.poll(() => theirs.all).toEqual([{ text: 'hi' }, { text: 'bye' }])
  await expect.poll(() => mine.all).toEqual([{ text: 'bye' }])
})

test('a presence channel says who is here, who joins and who leaves, and carries whispers', async () => {
  const [here, joining, leaving, whispers] = [told(), told(), told(), told()]
  const ada = openEcho(0, { id: '1', user_info: { name: 'Ada' } })
  const room = ada.join('room.1').here(here.take).joining(joining.take).leaving(leaving.take)
  room.listenForWhisper('typing', whispers.take)
  await expect.poll(() => here.all).toEqual([[{ name: 'Ada' }]])

  const grace = openEcho(1, { id: '2', user_info: { name: 'Grace' } })
  const theirs = told()
  const same = grace.join('room.1').here(theirs.take)
  await expect.poll(() => theirs.all.flat()).toEqual(expect.arrayContaining([{ name: 'Ada' }, { name: 'Grace' }]))
  await expect.poll(() => joining.all).toEqual([{ name: 'Grace' }])
  same.whisper('typing', { at: 1 })
  await expect.poll(() => whispers.all).toEqual([{ at: 1 }])
  grace.leave('room.1')
  await expect.poll(() => leaving.all).toEqual([{ name: 'Grace' }])
})

test('a channel that the back end refuses is told as an error', async () => {
  const echo = new Echo({
    broadcaster: 'pusher',
    withoutInterceptors: true,
    client: new Pusher(shop.key, {
      ...optionsFor(nodes, 0),
      channelAuthorization: { customHandler: (_, done) => done(null, { auth: `${shop.key}:wrong` }) },
    }),
  })
  onTestFinished(() => echo.disconnect())
  const errors = told()
  echo.private('orders.7').error(errors.take)
  await expect.poll(() => errors.all).toEqual([expect.objectContaining({ type: 'AuthError', status: 401 })])
})
