/** P5: a key that is revoked, has expired or is pinned works no longer, for REST and sockets, on every node, within a second. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Api, startApi, testApp } from '../support/api.ts'
import { call } from '../support/http.ts'
import { type Frame, openRawSocket, type RawSocket } from '../support/raw-socket.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
let tenant: Tenant
let conversation: string

beforeAll(async () => {
  api = await startApi({}, { rest: 2, realtime: 2 })
  tenant = await api.makeTenant()
  conversation = (await tenant.thread()).conversation
})
afterAll(() => api.close())

const channels = () => [`private-org-${tenant.workspace.publicId}`, `private-conv-${conversation}`]

const newKey = async (...options: string[]): Promise<{ id: string; key: string }> => {
  const { code, stdout, stderr } = await api.run(
    'key',
    'create',
    '--scopes',
    'read,write',
    '--workspace',
    tenant.workspace.publicId,
    ...options,
  )
  expect([code, stderr]).toEqual([0, ''])
  return JSON.parse(stdout)
}

const signed = async (key: string, socketId: string, channel: string) => {
  const body = { socket_id: socketId, channel_name: channel }
  return await call(api.url, 'POST', '/api/v1/realtime/auth', { key, body })
}

/** Opens a socket at a realtime node and subscribes it to both channels. */
const enter = async (key: string, node: number): Promise<RawSocket & { id: string }> => {
  const port = api.fleet?.realtime[node]?.program.realtimePort
  const socket = await openRawSocket(`ws://127.0.0.1:${port}/app/${testApp.PUSHER_APP_KEY}?protocol=7`)
  const { data } = await socket.waitFor('pusher:connection_established')
  const { socket_id: id } = JSON.parse(String(data))
  for (const channel of channels()) {
    const { status, body } = await signed(key, id, channel)
    expect(status).toBe(200)
    socket.send({ event: 'pusher:subscribe', data: { channel, ...(body as object) } })
    await socket.waitFor('pusher_internal:subscription_succeeded', channel)
  }
  return Object.assign(socket, { id })
}

/** Both REST nodes know the key from before; sockets are open on both realtime nodes, one has an auth in its hand. */
const open = async (key: string) => {
  const nodes = api.fleet?.rest ?? []
  for (const { program } of nodes) {
    for (const _ of [1, 2]) expect((await call(program.api, 'GET', '/api/v1/conversations', { key })).status).toBe(200)
  }
  const sockets = await Promise.all([enter(key, 0), enter(key, 1)])
  const late = await Promise.all(
    [0, 1].map(async (node) => {
      const port = api.fleet?.realtime[node]?.program.realtimePort
      const socket = await openRawSocket(`ws://127.0.0.1:${port}/app/${testApp.PUSHER_APP_KEY}?protocol=7`)
      const { data } = await socket.waitFor('pusher:connection_established')
      const { body } = await signed(key, JSON.parse(String(data)).socket_id, channels()[0] ?? '')
      return { socket, auth: body as object }
    }),
  )
  return { sockets, late }
}

const cutFrames = (channel: string, error: string): Frame[] => [
  { event: 'pusher:subscription_error', channel, data: { type: 'AuthError', error, status: 401 } },
  { event: 'pusher:error', data: { message: error, code: null } },
]

/** Expects everything that a key had opened to end within a second of a moment. */
const expectCut = async ({ sockets, late }: Awaited<ReturnType<typeof open>>, error: string, since: number) => {
  for (const socket of sockets) {
    expect(await socket.closed).toEqual({ code: 4009, reason: error })
    expect(performance.now() - since).toBeLessThan(1000)
    expect(socket.frames).toEqual([
      ...channels().flatMap((channel) => cutFrames(channel, error)),
      { event: 'pusher:error', data: { message: error, code: 4009 } },
    ])
  }
  for (const { socket, auth } of late) {
    const channel = channels()[0] ?? ''
    socket.send({ event: 'pusher:subscribe', data: { channel, ...auth } })
    expect(await socket.settle()).toEqual(cutFrames(channel, error))
    socket.close()
  }
}

const refusals = (key: string) =>
  Promise.all(
    (api.fleet?.rest ?? []).map(
      async ({ program }) => (await call(program.api, 'GET', '/api/v1/conversations', { key })).status,
    ),
  )

it('revoked by the command', async () => {
  const { id, key } = await newKey()
  const opened = await open(key)
  const { code } = await api.run('key', 'revoke', id)
  const revoked = performance.now()
  expect(code).toBe(0)
  await expectCut(opened, 'API key revoked', revoked)
  await expect.poll(() => refusals(key), { timeout: 1000 }).toEqual([401, 401])
})

it('revoked by hand in the database', async () => {
  const { id, key } = await newKey()
  const opened = await open(key)
  await api.database.sql`update api_keys set revoked_at = now() where public_id = ${id}`
  await expectCut(opened, 'API key revoked', performance.now())
  await expect.poll(() => refusals(key), { timeout: 1000 }).toEqual([401, 401])
})

it('removed', async () => {
  const { id, key } = await newKey()
  const opened = await open(key)
  await api.database.sql`delete from api_keys where public_id = ${id}`
  await expectCut(opened, 'API key revoked', performance.now())
  await expect.poll(() => refusals(key), { timeout: 1000 }).toEqual([401, 401])
})

it('expired by the clock', async () => {
  const expires = new Date(Math.ceil(Date.now() / 1000) * 1000 + 4000)
  const { key } = await newKey('--expires', expires.toISOString())
  const opened = await open(key)
  const at = performance.now() + expires.getTime() - Date.now()
  await expectCut(opened, 'API key expired', at)
  await expect.poll(() => refusals(key), { timeout: 1000 }).toEqual([401, 401])
})

it('expired by the command', async () => {
  const { id, key } = await newKey()
  const opened = await open(key)
  expect((await api.run('key', 'expire', id, '--at', new Date().toISOString())).code).toBe(0)
  await expectCut(opened, 'API key expired', performance.now())
  await expect.poll(() => refusals(key), { timeout: 1000 }).toEqual([401, 401])
})

it('pinned: what it had opened ends, and it may only open what is of its site from then on', async () => {
  const { id, key } = await newKey()
  const opened = await open(key)
  expect((await api.run('key', 'pin', id, '--site', tenant.site.id)).code).toBe(0)
  await expectCut(opened, 'API key changed: authorize again', performance.now())
  expect(await refusals(key)).toEqual([200, 200])
  const may = async (channel: string) => (await signed(key, '1.1', channel)).status
  expect(await may(`private-org-${tenant.workspace.publicId}`)).toBe(403)
  expect(await may(`private-site-${tenant.site.id}`)).toBe(200)
  expect(await may(`private-conv-${conversation}`)).toBe(200)
})
