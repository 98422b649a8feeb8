/** Agents at their dashboards: who is online, who looks at a conversation, and who types there. */

import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { type Api, startApi, testApp } from '../support/api.ts'
import { connectPusher } from '../support/pusher-js.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
let tenant: Tenant
let conversation: string
beforeAll(async () => {
  api = await startApi({}, { rest: 1, realtime: 2 })
  tenant = await api.makeTenant()
  conversation = (await tenant.thread()).conversation
}, 120_000)
afterAll(() => api?.close())

const run = async (...args: string[]) => {
  const { code, stdout } = await api.run(...args, '--workspace', tenant.workspace.publicId)
  expect(code).toBe(0)
  return JSON.parse(stdout)
}

/** A new agent with a key of these scopes. */
const hire = async (name: string, scopes: string) => {
  const { id } = await run('user', 'create', '--email', `${name}@example.com`, '--name', name)
  const key = await run('key', 'create', '--scopes', scopes, '--user', id)
  return { id, keyId: key.id, key: key.key }
}

/** A dashboard at one of the nodes, on a presence channel. */
const sitDown = async (key: string, node: number, name: string) => {
  const port = api.fleet?.realtime[node]?.program.realtimePort ?? 0
  const client = connectPusher(testApp.PUSHER_APP_KEY, port, {
    endpoint: `${api.url}/api/v1/realtime/auth`,
    headers: { Authorization: `Bearer ${key}` },
  })
  onTestFinished(() => client.disconnect())
  const channel = client.subscribe(name)
  await new Promise<void>((resolve, reject) => {
    channel.bind('pusher:subscription_succeeded', () => resolve())
    channel.bind('pusher:subscription_error', (error) => reject(new Error(JSON.stringify(error))))
  })
  return { client, channel, names: () => Object.values(channel.members?.members ?? {}) }
}

it('see each other by name, once however many tabs, until the last is closed or the key is revoked', async () => {
  const [ada, grace] = [await hire('Ada', 'read,write'), await hire('Grace', 'read')]
  const office = `presence-org-${tenant.workspace.publicId}`
  const desk = await sitDown(ada.key, 0, office)
  expect(desk.names()).toEqual([{ name: 'Ada' }])
  const tabs = [await sitDown(grace.key, 0, office), await sitDown(grace.key, 1, office)]
  await expect.poll(desk.names).toEqual([{ name: 'Ada' }, { name: 'Grace' }])
  expect(desk.channel.members?.members).toHaveProperty(grace.id)
  tabs[0]?.client.disconnect()
  await run('key', 'revoke', grace.keyId)
  await expect.poll(desk.names).toEqual([{ name: 'Ada' }])
  expect(tabs[1]?.client.connection.state).not.toBe('connected')
})

it('see who types in a conversation, if that agent may write', async () => {
  const [alan, eve] = [await hire('Alan', 'read,write'), await hire('Eve', 'read')]
  const room = `presence-conv-${conversation}`
  const [writer, reader] = [await sitDown(alan.key, 0, room), await sitDown(eve.key, 1, room)]
  await expect.poll(() => writer.channel.members?.count).toBe(2)
  const seen: unknown[] = []
  for (const { channel } of [writer, reader]) channel.bind('client-typing', (...told) => seen.push(told))
  reader.channel.trigger('client-typing', { by: 'eve' })
  writer.channel.trigger('client-typing', { by: 'alan' })
  await expect.poll(() => seen).toEqual([[{ by: 'alan' }, { user_id: alan.id }]])
})
