import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type StartedHttpApi, startHttpApi, told, words } from './start-http-api.ts'

let side: StartedHttpApi

beforeEach(async () => {
  side = await startHttpApi()
})

afterEach(() => side.stop())

/** Asks with the official SDK; returns what it was told. */
const get = async (path: string, params: Record<string, string> = {}): Promise<unknown> =>
  JSON.parse(await (await side.sdk().get({ path, params })).text())

const refused = (path: string, params: Record<string, string> = {}): Promise<unknown> =>
  side
    .sdk()
    .get({ path, params })
    .then(
      () => 'answered',
      ({ status, body }: { status: number; body: string }) => ({ status, body }),
    )

const occupy = async (channel: string, sockets: number, users: (string | number)[] = []): Promise<void> => {
  side.roster.occupy('3', channel, sockets)
  for (const user_id of users) await side.roster.join('3', channel, { user_id }, 100)
}

describe('the channels of an app', () => {
  beforeEach(async () => {
    await occupy('presence-a', 3, [1, 'b'])
    await occupy('presence-b', 1, ['c'])
    await occupy('orders', 2)
    side.roster.occupy('4', 'elsewhere', 1)
  })

  test('are those that have sockets', async () => {
    expect(await get('/channels')).toEqual({ channels: { 'presence-a': {}, 'presence-b': {}, orders: {} } })
    side.roster.occupy('3', 'orders', 0)
    expect(await get('/channels')).toEqual({ channels: { 'presence-a': {}, 'presence-b': {} } })
  })

  test('may be asked for by the beginning of their names', async () => {
    expect(await get('/channels', { filter_by_prefix: 'presence-b' })).toEqual({ channels: { 'presence-b': {} } })
    expect(await get('/channels', { filter_by_prefix: 'x' })).toEqual({ channels: {} })
    for (const prefix of ['*', '[o]', '%23', '#server-to-user-', 'a b']) {
      const params: [string, string][] = [['filter_by_prefix', prefix]]
      expect(await side.send('/apps/3/channels', { params })).toEqual(told({ channels: {} }))
    }
  })

  test('are told with the counts that info asks for', async () => {
    expect(await get('/channels', { filter_by_prefix: 'presence-', info: 'user_count' })).toEqual({
      channels: { 'presence-a': { user_count: 2 }, 'presence-b': { user_count: 1 } },
    })
    expect(await get('/channels', { info: 'subscription_count' })).toEqual({
      channels: {
        'presence-a': { subscription_count: 3 },
        'presence-b': { subscription_count: 1 },
        orders: { subscription_count: 2 },
      },
    })
    expect(await get('/channels', { filter_by_prefix: 'presence-b', info: 'user_count,subscription_count' })).toEqual({
      channels: { 'presence-b': { user_count: 1, subscription_count: 1 } },
    })
  })

  test('have no user_count without a prefix for presence channels, and no attribute that is not known', async () => {
    for (const params of [{}, { filter_by_prefix: 'presence' }, { filter_by_prefix: 'orders' }]) {
      expect(await refused('/channels', { ...params, info: 'user_count' })).toEqual({
        status: 400,
        body: 'info: user_count needs a filter_by_prefix that begins with presence-',
      })
    }
    for (const info of ['cache', 'occupied', 'constructor', '__proto__']) {
      expect(await refused('/channels', { filter_by_prefix: 'presence-', info })).toEqual({
        status: 400,
        body: `info: "${info}" is not one of user_count, subscription_count`,
      })
    }
  })

  test('may be called as a property of every object', async () => {
    await occupy('__proto__', 1)
    await occupy('constructor', 2)
    expect((await side.send('/apps/3/channels', { params: [['filter_by_prefix', '__']] })).body).toBe(
      '{"channels":{"__proto__":{}}}',
    )
    const params: [string, string][] = [
      ['filter_by_prefix', '__'],
      ['info', 'subscription_count'],
    ]
    expect((await side.send('/apps/3/channels', { params })).body).toBe(
      '{"channels":{"__proto__":{"subscription_count":1}}}',
    )
  })
})

describe('a channel', () => {
  test('is occupied while it has sockets, and tells nothing more unasked', async () => {
    await occupy('presence-a', 2, [1])
    expect(await get('/channels/presence-a')).toEqual({ occupied: true })
    expect(await get('/channels/presence-b')).toEqual({ occupied: false })
    side.roster.occupy('3', 'presence-a', 0)
    expect(await get('/channels/presence-a')).toEqual({ occupied: false })
  })

  test('tells the counts that info asks for', async () => {
    await occupy('presence-a', 3, [1, 2])
    await occupy('orders', 5)
    expect(await get('/channels/presence-a', { info: 'user_count,subscription_count' })).toEqual({
      occupied: true,
      user_count: 2,
      subscription_count: 3,
    })
    expect(await get('/channels/presence-a', { info: 'user_count' })).toEqual({ occupied: true, user_count: 2 })
    expect(await get('/channels/orders', { info: 'subscription_count' })).toEqual({
      occupied: true,
      subscription_count: 5,
    })
    expect(await get('/channels/presence-b', { info: 'user_count,subscription_count' })).toEqual({
      occupied: false,
      user_count: 0,
      subscription_count: 0,
    })
  })

  test('with a cache tells what is kept and for how long, or null', async () => {
    await occupy('private-cache-a', 1)
    const info = 'subscription_count,cache'
    expect(await get('/channels/private-cache-a', { info })).toEqual({
      occupied: true,
      subscription_count: 1,
      cache: null,
    })
    await side.roster.remember('3', 'private-cache-a', { data: '{"a":1}', frame: '{}' })
    const answer = await get('/channels/private-cache-a', { info: 'cache' })
    expect(answer).toEqual({ occupied: true, cache: { data: '{"a":1}', ttl: expect.any(Number) } })
    expect(answer).toMatchObject({ cache: { ttl: expect.toSatisfy((ttl: number) => ttl > 1790 && ttl <= 1800) } })
  })

  test('has no attribute of another kind of channel, and none that is not known', async () => {
    expect(await refused('/channels/private-a', { info: 'user_count' })).toEqual({
      status: 400,
      body: 'info: private-a has no user_count: only presence channels have one',
    })
    expect(await refused('/channels/presence-a', { info: 'user_count,cache' })).toEqual({
      status: 400,
      body: 'info: presence-a has no cache: only cache channels have one',
    })
    expect(await refused('/channels/a-cache-b', { info: 'cache' })).toMatchObject({ status: 400 })
    for (const info of ['users', 'constructor', '__proto__']) {
      expect(await refused('/channels/a', { info })).toEqual({
        status: 400,
        body: `info: "${info}" is not one of user_count, subscription_count, cache`,
      })
    }
  })

  test('has a name that is unescaped; what is no name is refused with 400', async () => {
    await occupy('a,b;c=d@e', 1)
    expect(await side.send('/apps/3/channels/a%2Cb%3Bc%3dd%40e')).toEqual(told({ occupied: true }))
    expect(await get('/channels/a,b;c=d@e')).toEqual({ occupied: true })
    for (const name of ['%23server-to-user-1', '%zz', '%', '%ff', 'a%20b', 'a%2Fb', 'a%00', 'c'.repeat(165)]) {
      const reply = await side.send(`/apps/3/channels/${name}`)
      expect([name, reply]).toEqual([
        name,
        words(400, 'The path names no channel: 1 to 164 letters, digits and _ - = @ , . ; are allowed'),
      ])
    }
    expect(side.lines).toEqual([])
  })

  test('that is called as a property of every object is a channel as any other', async () => {
    expect(await get('/channels/__proto__', { info: 'subscription_count' })).toEqual({
      occupied: false,
      subscription_count: 0,
    })
  })
})

describe('the users of a channel', () => {
  test('are told by their ids, as text, each once', async () => {
    await occupy('presence-a', 3, [1, '2', 'ü'])
    const users = [{ id: '1' }, { id: '2' }, { id: 'ü' }]
    expect(await get('/channels/presence-a/users')).toEqual({ users })
    expect(await get('/channels/presence-b/users')).toEqual({ users: [] })
  })

  test('are those of a presence channel', async () => {
    for (const name of ['private-a', 'orders', 'a-presence-b']) {
      expect(await refused(`/channels/${name}/users`)).toEqual({
        status: 400,
        body: `${name} has no users: only presence channels have them`,
      })
    }
    expect(await refused('/channels/%23server-to-user-1/users')).toMatchObject({ status: 400 })
  })
})

test('the stats of 2012 say whether a channel is occupied, and how many users are on a presence channel', async () => {
  await occupy('presence-a', 3, [1, 2])
  await occupy('orders', 5)
  expect(await get('/channels/presence-a/stats')).toEqual({ occupied: true, user_count: 2 })
  expect(await get('/channels/orders/stats')).toEqual({ occupied: true })
  expect(await get('/channels/nobody/stats')).toEqual({ occupied: false })
  expect(await refused('/channels/a%20b/stats')).toMatchObject({ status: 400 })
})

test('a question that the other nodes cannot answer now is refused with 503, and answered when they can', async () => {
  await occupy('presence-cache-a', 1, [1])
  side.side.isAway = true
  for (const path of ['', '/presence-cache-a', '/presence-cache-a/users', '/presence-cache-a/stats']) {
    const response = await fetch(side.url(`/apps/3/channels${path}?${side.query(`/apps/3/channels${path}`)}`))
    expect([path, response.status, response.headers.get('retry-after'), await response.text()]).toEqual([
      path,
      503,
      '1',
      'What is known of the channels cannot be read now; try again',
    ])
  }
  expect(side.refusals).toEqual(['503', '503', '503', '503'])
  side.side.isAway = false
  expect(await get('/channels/presence-cache-a')).toEqual({ occupied: true })
  expect(side.lines).toEqual([])
})
