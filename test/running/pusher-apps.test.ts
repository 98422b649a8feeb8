/** The PUSHER_APPS file: which apps it makes, what it may set of the chat's, and what is said of a mistake in it. */

import { expect, test } from 'vitest'
import { StartError } from '../../schema/errors.ts'
import { readPusherApps } from '../../server/pusher-apps.ts'
import { writeFiles } from '../support/certificate.ts'

const credentials = { id: '1', key: 'chat-key', secret: 'chat-secret' }
const shop = { id: 'shop', key: 'shop-key', secret: 'shop-secret' }

/** Reads a file with this in it; a text is written as it is. */
const read = async (content: unknown) => {
  const path = await writeFiles({ apps: typeof content === 'string' ? content : JSON.stringify(content) })
  return readPusherApps(path('apps'), credentials)
}

test('without a file there is the app of the chat, on whose channels clients may speak', () => {
  expect(readPusherApps(undefined, credentials)).toEqual({
    chat: expect.objectContaining({ ...credentials, enableClientMessages: true, maxEventPayloadInKb: 10 }),
    apps: [],
  })
})

test('an app of the file stands beside that of the chat, and its clients may not speak unless it says so', async () => {
  const { chat, apps } = await read([shop, { ...shop, id: 7, key: 'k', enableClientMessages: true }])
  expect(chat).toMatchObject({ ...credentials, enableClientMessages: true })
  expect(apps).toMatchObject([
    { ...shop, enableClientMessages: false },
    { id: '7', key: 'k', enableClientMessages: true },
  ])
})

test.each([1, '1'])('an entry with the id of the chat’s app (%o) sets its limits and leaves the rest', async (id) => {
  const { chat, apps } = await read([{ ...credentials, id, maxConnections: 5, maxEventPayloadInKb: 100 }, shop])
  expect(chat).toMatchObject({
    ...credentials,
    enableClientMessages: true,
    maxConnections: 5,
    maxEventPayloadInKb: 100,
  })
  expect(apps.map((app) => app.id)).toEqual(['shop'])
})

test('an entry may forbid the clients of the chat to speak', async () => {
  const { chat } = await read([{ ...credentials, enableClientMessages: false }])
  expect(chat.enableClientMessages).toBe(false)
})

test('-1 is no limit', async () => {
  const { apps } = await read([{ ...shop, maxClientEventsPerSecond: -1, maxPresenceMembersPerChannel: 0 }])
  expect(apps).toMatchObject([{ maxClientEventsPerSecond: Number.POSITIVE_INFINITY, maxPresenceMembersPerChannel: 0 }])
})

const hook = { url: 'https://shop.example/hook', event_types: ['channel_occupied'] }

test.each([
  ['no JSON', '[{', 'the file is not JSON'],
  ['no array', { apps: [shop] }, 'must be an array of apps'],
  ['an app that is none', [shop, 'shop'], '1: must be an object'],
  ['an unknown field', [shop, { ...shop, id: '2', maxConection: 1 }], '1.maxConection: is not a field that is known'],
  ['an unknown field of the chat’s app', [{ ...credentials, colour: 'red' }], '0.colour: is not a field that is known'],
  [
    'an unknown field of a webhook',
    [{ ...shop, webhooks: [{ ...hook, urls: [] }] }],
    '0.webhooks.0.urls: is not a field that is known',
  ],
  ['no id', [{ key: 'k', secret: 's' }], '0.id: must be letters, digits, _ or -'],
  ['no key', [{ id: '2', secret: 's' }], '0.key: must be a string'],
  ['an empty secret', [{ ...shop, secret: '' }], '0.secret: must not be empty'],
  ['a flag that is none', [{ ...shop, enabled: 'yes' }], '0.enabled: must be true or false'],
  ['a limit that is none', [{ ...shop, maxConnections: -2 }], '0.maxConnections: must be -1 (no limit) or more'],
  ['a limit with a fraction', [{ ...shop, maxConnections: 1.5 }], '0.maxConnections: must be a whole number'],
  ['origins that are no array', [{ ...shop, allowedOrigins: '*' }], '0.allowedOrigins: must be an array of origins'],
  [
    'a webhook to nowhere',
    [{ ...shop, webhooks: [{ ...hook, url: 'shop' }] }],
    '0.webhooks.0.url: must be an http or https address',
  ],
  [
    'a webhook of an unknown type',
    [{ ...shop, webhooks: [{ ...hook, event_types: ['all'] }] }],
    '0.webhooks.0.event_types.0: is not one of',
  ],
  ['two apps with one id', [shop, { ...shop, key: 'k' }], 'two apps have the id shop'],
  ['two apps with one key', [shop, { ...shop, id: '2' }], 'two apps have the key shop-key'],
  [
    'the chat’s app with another key',
    [{ ...credentials, key: 'k' }],
    "app 1 is the chat's, and needs its key and its secret",
  ],
  [
    'the chat’s app with another secret',
    [{ ...credentials, secret: 's' }],
    "app 1 is the chat's, and needs its key and its secret",
  ],
  ['the key of the chat’s app', [{ ...shop, key: 'chat-key' }], "app shop has the key of the chat's app 1"],
])('%s is one line that says where', async (_, content, line) => {
  const reading = read(content)
  await expect(reading).rejects.toThrow(StartError)
  await expect(reading).rejects.toThrow(`PUSHER_APPS: ${line}`)
  await expect(reading).rejects.not.toThrow(/\n|-secret/)
})

test('a file that cannot be read is one line', () => {
  expect(() => readPusherApps('/no/such/apps.json', credentials)).toThrow(StartError)
  expect(() => readPusherApps('/no/such/apps.json', credentials)).toThrow(
    /^PUSHER_APPS: \/no\/such\/apps\.json cannot be read \(ENOENT\)$/,
  )
})
