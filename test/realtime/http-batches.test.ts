import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { app, type StartedHttpApi, startHttpApi, words } from './start-http-api.ts'

let side: StartedHttpApi

beforeEach(async () => {
  side = await startHttpApi()
})

afterEach(() => side.stop())

const events = '/apps/3/events'
const batchEvents = '/apps/3/batch_events'
const good = { status: 200, body: '{}', type: 'application/json' }

const bodyOf = async (response: Promise<{ text(): Promise<string> }>): Promise<unknown> =>
  JSON.parse(await (await response).text())

describe('a batch', () => {
  test('is published in its order with the official SDK, and answered with exactly {}', async () => {
    const response = await side.sdk().triggerBatch([
      { name: 'one', channel: 'a', data: { n: 1 } },
      { name: 'two', channel: 'b', data: 'text', socket_id: '1.2' },
      { name: 'three', channel: 'a', data: '' },
    ])
    expect(await response.text()).toBe('{}')
    expect(side.published).toEqual([
      ['a', 'one', '{"n":1}'],
      ['b', 'two', 'text', '1.2'],
      ['a', 'three', ''],
    ])
    expect(side.metrics.published).toBe(3)
  })

  test('is answered event by event if any of them asks for info', async () => {
    side.roster.occupy('3', 'presence-a', 2)
    await side.roster.join('3', 'presence-a', { user_id: '1' }, 100)
    const response = side.sdk().triggerBatch([
      { name: 'e', channel: 'presence-a', data: '', info: 'user_count,subscription_count' },
      { name: 'e', channel: 'b', data: '' },
      { name: 'e', channel: 'b', data: '', info: 'user_count' },
      { name: 'e', channel: 'b', data: '', info: ' subscription_count ,' },
    ])
    expect(await bodyOf(response)).toEqual({
      batch: [{ user_count: 1, subscription_count: 2 }, {}, {}, { subscription_count: 0 }],
    })
    expect(side.published).toHaveLength(4)
    expect(side.side.reads).toBe(1)
  })

  test('is published whole or not at all', async () => {
    const fine = { name: 'e', channel: 'a', data: '' }
    for (const [last, status, text] of [
      [{ ...fine, channel: undefined }, 400, 'batch.1.channel: is required'],
      [{ ...fine, channel: 'a b' }, 400, /^batch\.1\.channel: is not a channel name/],
      [{ ...fine, data: undefined }, 400, 'batch.1.data: is required; it may be empty text'],
      [{ ...fine, info: 'x' }, 400, 'batch.1.info: "x" is not one of user_count, subscription_count'],
      [{ ...fine, data: 'x'.repeat(10241) }, 413, 'batch.1.data: has 10241 bytes, at most 10240 are allowed'],
      ['text', 400, 'batch.1: must be an object with name, channel and data'],
      [null, 400, 'batch.1: must be an object with name, channel and data'],
    ] as const) {
      const expected = typeof text === 'string' ? text : expect.stringMatching(text)
      expect(await side.post(batchEvents, { batch: [fine, last] })).toEqual(words(status, expected))
    }
    side.side.isAway = true
    expect((await side.post(batchEvents, { batch: [fine, { ...fine, info: 'subscription_count' }] })).status).toBe(503)
    expect(side.published).toEqual([])
  })

  test('has ten events at most; one of none does nothing', async () => {
    const batch = (size: number) => ({
      batch: Array.from({ length: size }, () => ({ name: 'e', channel: 'a', data: '' })),
    })
    expect(await side.post(batchEvents, batch(10))).toEqual(good)
    expect(await side.post(batchEvents, batch(11))).toEqual(words(400, 'batch: must have at most 10 events'))
    expect(await side.post(batchEvents, batch(0))).toEqual(good)
    expect(await side.post(batchEvents, {})).toEqual(words(400, 'batch: is required'))
    expect(await side.post(batchEvents, { batch: {} })).toEqual(words(400, 'batch: must be an array of events'))
    expect(await side.post(batchEvents, '[]')).toEqual(words(400, 'The body is not a JSON object'))
    expect(side.published).toHaveLength(10)
  })

  test('may have an encrypted channel for each event', async () => {
    const event = { name: 'e', data: '{}' }
    const batch = ['private-encrypted-a', 'private-encrypted-b'].map((channel) => ({ ...event, channel }))
    expect(await side.post(batchEvents, { batch })).toEqual(good)
    expect(side.published).toHaveLength(2)
  })
})

describe('the limits of an app', () => {
  test('are those of its own: what is within them is taken, what is beyond is refused and told', async () => {
    await side.stop()
    side = await startHttpApi({
      apps: [
        {
          ...app,
          maxEventNameLength: 3,
          maxChannelNameLength: 4,
          maxEventPayloadInKb: 0.01,
          maxEventChannelsAtOnce: 2,
          maxEventBatchSize: 2,
        },
      ],
    })
    const event = { name: 'abc', channels: ['abcd', 'e'], data: '0123456789' }
    expect(await side.post(events, event)).toEqual(good)
    expect(await side.post(events, { ...event, name: 'abcd' })).toMatchObject({
      status: 400,
      body: expect.stringMatching(/at most 3/),
    })
    expect(await side.post(events, { ...event, channels: ['abcde'] })).toMatchObject({
      status: 400,
      body: expect.stringMatching(/1 to 4/),
    })
    expect(await side.post(events, { ...event, channels: ['a', 'b', 'a'] })).toMatchObject({
      status: 400,
      body: expect.stringMatching(/at most 2/),
    })
    expect(await side.post(events, { ...event, data: '0123456789a' })).toMatchObject({
      status: 413,
      body: expect.stringMatching(/at most 10/),
    })
    expect(await side.post(events, { ...event, channels: ['#server-to-user-12345'] })).toEqual(good)
    const one = { name: 'e', channel: 'a', data: '' }
    expect(await side.post(batchEvents, { batch: [one, one] })).toEqual(good)
    expect(await side.post(batchEvents, { batch: [one, one, one] })).toEqual(
      words(400, 'batch: must have at most 2 events'),
    )
  })
})
