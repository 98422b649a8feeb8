import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type StartedHttpApi, startHttpApi, told, words } from './start-http-api.ts'

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

describe('an event triggered with the official SDK', () => {
  test('is published once on each of its channels, and answered with exactly {}', async () => {
    const response = await side
      .sdk()
      .trigger(['a', 'private-b', 'presence-c', 'a'], 'order.new', { text: 'ü "quoted"' })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json'])
    expect(await response.text()).toBe('{}')
    const data = '{"text":"ü \\"quoted\\""}'
    expect(side.published).toEqual([
      ['a', 'order.new', data],
      ['private-b', 'order.new', data],
      ['presence-c', 'order.new', data],
    ])
    expect(side.metrics.published).toBe(3)
  })

  test('spares the socket that is named, on every channel', async () => {
    await side.sdk().trigger(['a', 'b'], 'e', 'text', { socket_id: '12.34' })
    expect(side.published).toEqual([
      ['a', 'e', 'text', '12.34'],
      ['b', 'e', 'text', '12.34'],
    ])
  })

  test('is answered with the counts that info asks for, of each channel those that it has', async () => {
    side.roster.occupy('3', 'presence-a', 3)
    await side.roster.join('3', 'presence-a', { user_id: 1 }, 100)
    side.roster.occupy('3', 'b', 2)
    const trigger = (info: string) => bodyOf(side.sdk().trigger(['presence-a', 'b', 'nobody', 'b'], 'e', '', { info }))
    expect(await trigger('user_count,subscription_count')).toEqual({
      channels: {
        'presence-a': { user_count: 1, subscription_count: 3 },
        b: { subscription_count: 2 },
        nobody: { subscription_count: 0 },
      },
    })
    expect(await trigger('user_count')).toEqual({ channels: { 'presence-a': { user_count: 1 }, b: {}, nobody: {} } })
    expect(await trigger('')).toEqual({})
    expect(side.published).toHaveLength(9)
  })

  test('reaches a user by any id; a user is counted by nobody', async () => {
    const response = await side.sdk().sendToUser('auth0|ü 7/x', 'e', { a: 1 })
    expect(await response.text()).toBe('{}')
    expect(side.published).toEqual([['#server-to-user-auth0|ü 7/x', 'e', '{"a":1}']])
    expect(
      await side.post(events, { name: 'e', data: '', channel: '#server-to-user-1', info: 'subscription_count' }),
    ).toEqual(told({ channels: { '#server-to-user-1': {} } }))
  })

  test('is published encrypted as it comes on one encrypted channel, and refused on more', async () => {
    const encryptionMasterKeyBase64 = randomBytes(32).toString('base64')
    await side.sdk({ encryptionMasterKeyBase64 }).trigger('private-encrypted-a', 'e', 'secret')
    expect(side.published).toEqual([
      ['private-encrypted-a', 'e', expect.stringMatching(/^\{"nonce":".+","ciphertext":/)],
    ])
    const twice = ['private-encrypted-a', 'private-encrypted-a']
    expect(await side.post(events, { name: 'e', data: '{}', channels: twice })).toEqual(good)
    for (const other of ['b', 'private-encrypted-b']) {
      expect(await side.post(events, { name: 'e', data: '{}', channels: ['private-encrypted-a', other] })).toEqual(
        words(400, 'channels: an encrypted channel must be the only one, since each has its own key'),
      )
    }
    expect(side.published).toHaveLength(2)
  })

  test('is answered on a cache channel when it is kept, and with 503 when it could not be', async () => {
    let kept = () => undefined as undefined
    const keeping = new Promise<void>((resolve) => {
      kept = () => void resolve()
    })
    side.cache.keep = () => keeping
    let isAnswered = false
    const answered = side
      .sdk()
      .trigger(['cache-a', 'b'], 'e', 'text')
      .finally(() => {
        isAnswered = true
      })
    await side.sdk().trigger('b', 'e', 'later')
    expect(isAnswered).toBe(false)
    kept()
    expect(await (await answered).text()).toBe('{}')

    side.cache.keep = () => Promise.reject(new Error('the roster is away'))
    const response = await side
      .sdk()
      .trigger('cache-a', 'e', '')
      .catch((error) => error)
    expect(response).toMatchObject({ status: 503, body: expect.stringMatching(/could not be kept.*try again$/) })
  })
})

describe('an event posted by hand', () => {
  test.each([
    ['empty text', '', ''],
    ['text that is JSON', '{"a": 1}', '{"a": 1}'],
    ['text that is no JSON', 'ü\n', 'ü\n'],
    ['an object', { a: 1 }, '{"a":1}'],
    ['a number', 0, '0'],
    ['null', null, 'null'],
    ['an object with the field __proto__', JSON.parse('{"__proto__":{"a":1}}'), '{"__proto__":{"a":1}}'],
  ])('has its data verbatim where it is text, else as JSON once: %s', async (_, data, heard) => {
    expect(await side.post(events, { name: 'e', channel: 'a', data })).toEqual(good)
    expect(side.published).toEqual([['a', 'e', heard]])
  })

  test('may have its params in the query; those of the body come first', async () => {
    const params: [string, string][] = [
      ['channels[]', 'b'],
      ['channels[]', 'a'],
      ['data', '{"a": "ü+&="}'],
      ['info', 'subscription_count'],
      ['name', 'e f'],
      ['socket_id', '1.2'],
    ]
    expect(await side.send(events, { method: 'POST', params })).toEqual(
      told({ channels: { b: { subscription_count: 0 }, a: { subscription_count: 0 } } }),
    )
    expect(await side.post(events, { name: 'body', channel: 'c', data: 'd' }, { params: [['name', 'query']] })).toEqual(
      good,
    )
    expect(side.published).toEqual([
      ['b', 'e f', '{"a": "ü+&="}', '1.2'],
      ['a', 'e f', '{"a": "ü+&="}', '1.2'],
      ['c', 'body', 'd'],
    ])
  })

  test('may say null for what it does not say', async () => {
    expect(
      await side.post(events, { name: 'e', data: 'd', channel: 'a', channels: null, socket_id: null, info: null }),
    ).toEqual(good)
    expect(
      await side.post(events, { name: 'e', data: 'd', channels: ['b'], channel: null, socket_id: undefined }),
    ).toEqual(good)
    expect(side.published).toEqual([
      ['a', 'e', 'd'],
      ['b', 'e', 'd'],
    ])
  })

  const grammar =
    'is not a channel name: 1 to 164 letters, digits and _ - = @ , . ; are allowed, ' +
    'or #server-to-user- and an id of 1 to 200 characters, none of them a control character'

  test.each([
    ['a body that is not JSON', 'not JSON', 'The body is not a JSON object'],
    ['a list', '[]', 'The body is not a JSON object'],
    ['null', 'null', 'The body is not a JSON object'],
    ['no name', '{"channel":"a","data":""}', 'name: is required'],
    ['a name that is no text', '{"name":7,"channel":"a","data":""}', 'name: must be a string'],
    ['an empty name', '{"name":"","channel":"a","data":""}', 'name: must not be empty'],
    [
      'a name that is too long',
      JSON.stringify({ name: 'e'.repeat(201), channel: 'a', data: '' }),
      'name: must have at most 200 characters',
    ],
    ['no data', '{"name":"e","channel":"a"}', 'data: is required; it may be empty text'],
    [
      'a field __proto__ instead',
      '{"__proto__":{"data":""},"name":"e","channel":"a"}',
      'data: is required; it may be empty text',
    ],
    ['no channel', '{"name":"e","data":""}', 'channels: is required, an array of at least one channel'],
    [
      'an empty list of channels',
      '{"name":"e","data":"","channels":[]}',
      'channels: is required, an array of at least one channel',
    ],
    [
      'channels that are no list',
      '{"name":"e","data":"","channels":"a"}',
      'channels: must be an array of channel names',
    ],
    ['a channel with a space', '{"name":"e","data":"","channels":["a","a b"]}', `channels.1: ${grammar}`],
    ['a channel that is no text', '{"name":"e","data":"","channel":7}', 'channel: must be a string'],
    [
      'a channel that is too long',
      JSON.stringify({ name: 'e', data: '', channel: 'c'.repeat(165) }),
      `channel: ${grammar}`,
    ],
    ['another channel with a #', '{"name":"e","data":"","channel":"#private"}', `channel: ${grammar}`],
    ['a user without an id', '{"name":"e","data":"","channel":"#server-to-user-"}', `channel: ${grammar}`],
    ['a user with a line break', '{"name":"e","data":"","channel":"#server-to-user-1\\n2"}', `channel: ${grammar}`],
    [
      'a user with too long an id',
      JSON.stringify({ name: 'e', data: '', channel: `#server-to-user-${'1'.repeat(201)}` }),
      `channel: ${grammar}`,
    ],
    [
      'a socket that is none',
      '{"name":"e","data":"","channel":"a","socket_id":"me"}',
      'socket_id: must look like 123.456',
    ],
    [
      'a socket with more behind',
      '{"name":"e","data":"","channel":"a","socket_id":"1.2\\n"}',
      'socket_id: must look like 123.456',
    ],
    [
      'an attribute that is not known',
      '{"name":"e","data":"","channel":"a","info":"user_count,constructor"}',
      'info: "constructor" is not one of user_count, subscription_count',
    ],
    [
      'the cache, which is only read',
      '{"name":"e","data":"","channel":"cache-a","info":"cache"}',
      'info: "cache" is not one of user_count, subscription_count',
    ],
    [
      'too many channels',
      JSON.stringify({ name: 'e', data: '', channels: Array.from({ length: 101 }, (_, n) => `c${n}`) }),
      'channels: must have at most 100 channels',
    ],
  ])('is refused with 400 and a text that names the field: %s', async (_, body, text) => {
    expect(await side.post(events, body)).toEqual(words(400, text))
    expect(side.published).toEqual([])
    expect(side.metrics.published).toBe(0)
    expect(side.refusals).toEqual(['400'])
  })

  test('is refused with 400 if its data is nested too deeply to be written, and the next is taken', async () => {
    const deep = '['.repeat(400_000) + ']'.repeat(400_000)
    expect(await side.post(events, `{"name":"e","channel":"a","data":${deep}}`)).toEqual(
      words(400, 'data: is nested too deeply'),
    )
    expect(side.lines).toEqual([])
    expect(await side.post(events, { name: 'e', channel: 'a', data: '' })).toEqual(good)
  })

  test('is refused with 400 if it is not UTF-8', async () => {
    const body = Buffer.concat([
      Buffer.from('{"name":"e","channel":"a","data":"'),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ])
    expect(await side.send(events, { method: 'POST', body })).toEqual(words(400, 'The body is not UTF-8'))
  })

  test('cannot speak for the server: names with pusher: and pusher_internal: are reserved, as Pusher has them', async () => {
    const text = 'name: must not begin with pusher: or pusher_internal:, which are reserved'
    const event = { channel: 'presence-a', data: '{}' }
    for (const name of ['pusher:error', 'pusher_internal:subscription_succeeded', 'pusher_internal:']) {
      expect(await side.post(events, { ...event, name })).toEqual(words(400, text))
      expect(await side.post(batchEvents, { batch: [{ ...event, name }] })).toEqual(words(400, `batch.0.${text}`))
      expect(
        await side.send('/apps/3/channels/presence-a/events', { method: 'POST', body: '{}', params: [['name', name]] }),
      ).toEqual(words(400, text))
    }
    expect(side.published).toEqual([])
    for (const name of ['pusher-notification', 'my-pusher:x', 'client-x']) {
      expect(await side.post(events, { ...event, name })).toEqual(good)
    }
  })

  test('has at most 10 kB of data, counted in bytes; more is refused with 413', async () => {
    const post = (data: unknown) => side.post(events, { name: 'e', channel: 'a', data })
    expect(await post('x'.repeat(10240))).toEqual(good)
    expect(await post('ü'.repeat(5120))).toEqual(good)
    expect(await post('x'.repeat(10241))).toEqual(words(413, 'data: has 10241 bytes, at most 10240 are allowed'))
    expect(await post('ü'.repeat(5121))).toEqual(words(413, 'data: has 10242 bytes, at most 10240 are allowed'))
    expect(await post(['x'.repeat(10237)])).toEqual(words(413, 'data: has 10241 bytes, at most 10240 are allowed'))
    expect(side.published).toHaveLength(2)
    expect(side.refusals).toEqual(['413', '413', '413'])
  })

  test('has a body of at most 1 MiB', async () => {
    const body = (size: number) => ({ method: 'POST', body: 'x'.repeat(size) })
    expect(await side.send(events, body(1024 * 1024 + 1))).toEqual(words(413, 'The body is larger than 1048576 bytes'))
    expect((await side.send(events, body(4 * 1024 * 1024))).status).toBe(413)
    expect((await side.send(events, body(1024 * 1024))).status).toBe(400)
  })

  test('is not published, and refused with 503, if its counts cannot be had', async () => {
    side.side.isAway = true
    expect(await side.post(events, { name: 'e', data: '', channel: 'a', info: 'subscription_count' })).toEqual(
      words(503, 'The counts that info asks for cannot be had now, and nothing was published; try again'),
    )
    expect(side.published).toEqual([])
    expect(await side.post(events, { name: 'e', data: '', channel: 'a', info: 'user_count' })).toEqual(
      told({ channels: { a: {} } }),
    )
    expect(await side.post(events, { name: 'e', data: '', channel: 'a' })).toEqual(good)
  })

  test('may be on a channel that is called __proto__', async () => {
    const event = { name: '__proto__', data: '', channels: ['__proto__', 'constructor'], info: 'subscription_count' }
    expect(await side.post(events, event)).toMatchObject({
      status: 200,
      body: '{"channels":{"__proto__":{"subscription_count":0},"constructor":{"subscription_count":0}}}',
    })
  })
})
