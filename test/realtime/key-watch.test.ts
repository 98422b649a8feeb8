/** P5 at one hub: subscriptions end when their key does. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { controlSubject } from '../../realtime/bus/bus.ts'
import type { ChannelGrant } from '../../schema/channel-auth.ts'
import { encodeKeyNotice, type KeyNotice } from '../../schema/key-notice.ts'
import type { RawSocket } from '../support/raw-socket.ts'
import { grantedSubscribe, operatorSubscribe, type Started, startRealtime } from './start-realtime.ts'

let server: Started

beforeEach(async () => {
  server = await startRealtime()
})

afterEach(() => server.stop())

const org = 'private-org-org_1'
const conv = 'private-conv-cnv_1'

const seconds = () => Math.floor(Date.now() / 1000)

const announce = (notice: Partial<KeyNotice> = {}) =>
  server.bus.publish(controlSubject, encodeKeyNotice({ key: 'key_1', version: 2, fate: 'revoked', ...notice }))

/** Subscribes a socket by a key. */
const enter = async (channels: string[], grant: Partial<ChannelGrant> = {}): Promise<RawSocket & { id: string }> => {
  const { socket, id } = await server.connect()
  for (const channel of channels) {
    socket.send(grantedSubscribe(id, channel, { workspace: 'org_1', version: 1, ...grant }))
    await socket.waitFor('pusher_internal:subscription_succeeded', channel)
  }
  return Object.assign(socket, { id })
}

/** What a cut says for each channel. */
const cutFrames = (channel: string, error: string) => [
  { event: 'pusher:subscription_error', channel, data: { type: 'AuthError', error, status: 401 } },
  { event: 'pusher:error', data: { message: error, code: null } },
]

test('a revoked key ends its subscriptions, each told why, and closes a socket that has no other', async () => {
  const socket = await enter([org, conv])
  announce()
  expect(await socket.closed).toEqual({ code: 4009, reason: 'API key revoked' })
  expect(socket.frames).toEqual([
    ...cutFrames(org, 'API key revoked'),
    ...cutFrames(conv, 'API key revoked'),
    { event: 'pusher:error', data: { message: 'API key revoked', code: 4009 } },
  ])
})

test('what another key, the operator or nobody opened stays open', async () => {
  const socket = await enter([org])
  socket.send(grantedSubscribe(socket.id, conv, { workspace: 'org_1', key: 'key_2', version: 1 }))
  await socket.waitFor('pusher_internal:subscription_succeeded', conv)
  const operator = await server.connect()
  operator.socket.send(operatorSubscribe(operator.id, org))
  await operator.socket.waitFor('pusher_internal:subscription_succeeded', org)
  announce()
  expect(await socket.settle()).toEqual(cutFrames(org, 'API key revoked'))
  server.record('org_1')
  expect((await socket.next()).channel).toBe(conv)
  expect((await operator.socket.next()).channel).toBe(org)
  expect(await socket.settle()).toEqual([])
})

test('a public channel does not keep a socket whose key was revoked', async () => {
  const socket = await enter([org])
  socket.send({ event: 'pusher:subscribe', data: { channel: 'news' } })
  await socket.waitFor('pusher_internal:subscription_succeeded', 'news')
  announce()
  expect((await socket.closed).code).toBe(4009)
})

test('a subscription signed just before the key was revoked is refused, one of a newer state of it is not', async () => {
  announce({ fate: 'changed' })
  const { socket, id } = await server.connect()
  socket.send(grantedSubscribe(id, org, { workspace: 'org_1', version: 1 }))
  expect(await socket.settle()).toEqual(cutFrames(org, 'API key changed: authorize again'))
  socket.send(grantedSubscribe(id, org, { workspace: 'org_1', version: 2 }))
  await socket.waitFor('pusher_internal:subscription_succeeded', org)
  announce({ fate: 'changed' })
  expect(await socket.settle()).toEqual([])
})

test('a key that is revoked while its replay is on its way ends it', async () => {
  for (let n = 0; n < 5; n++) server.log.append('org_1')
  let open: () => void = () => undefined
  server.log.gate = new Promise((resolve) => {
    open = resolve
  })
  const { socket, id } = await server.connect()
  socket.send(grantedSubscribe(id, org, { workspace: 'org_1', version: 1, since: 1 }))
  await socket.waitFor('pusher_internal:subscription_succeeded', org)
  announce()
  open()
  expect(await socket.waitFor('pusher:subscription_error', org)).toEqual(cutFrames(org, 'API key revoked')[0])
  server.record('org_1')
  expect((await socket.settle()).filter(({ event }) => event === 'message.new')).toEqual([])
})

test('a key that expires ends its subscriptions at that second', async () => {
  const socket = await enter([org], { exp: seconds() + 2 })
  expect(await socket.closed).toEqual({ code: 4009, reason: 'API key expired' })
  expect(socket.frames.slice(0, 2)).toEqual(cutFrames(org, 'API key expired'))
})

test('a key that expires in years is not taken for one that has expired', async () => {
  const socket = await enter([org], { exp: seconds() + 5 * 365 * 86_400 })
  expect(await socket.settle()).toEqual([])
})

test('a message on the control subject that is no notice is logged and does no harm', async () => {
  const socket = await enter([org])
  server.bus.publish(controlSubject, 'key_1 two revoked')
  server.bus.publish(controlSubject, '')
  expect(await socket.settle()).toEqual([])
  expect(server.logger.lines.filter(({ level }) => level === 'error')).toHaveLength(2)
})

describe('after notices may have been lost', () => {
  test('keys that were revoked, removed, expired or changed meanwhile are found', async () => {
    const standing = { version: 1, refusal: undefined, expires: undefined }
    server.log.keys.set('key_good', standing)
    server.log.keys.set('key_revoked', { ...standing, version: 2, refusal: 'revoked' })
    server.log.keys.set('key_changed', { ...standing, version: 2 })
    const keys = ['key_good', 'key_revoked', 'key_changed', 'key_removed']
    const sockets = await Promise.all(keys.map((key) => enter([org], { key })))
    server.realtime.recheckKeys()
    const [good, ...others] = sockets
    expect(await Promise.all(others.map(async ({ closed }) => (await closed).reason))).toEqual([
      'API key revoked',
      'API key changed: authorize again',
      'API key revoked',
    ])
    expect(await good?.settle()).toEqual([])
  })

  test('a node without a database sends away whom keys let in, so that they authorize again', async () => {
    await server.stop()
    server = await startRealtime({ withLog: false })
    const socket = await enter([org])
    const other = await server.connect()
    server.realtime.busReturned()
    expect((await socket.closed).code).toBe(4200)
    expect(await other.socket.settle()).toEqual([])
  })
})
