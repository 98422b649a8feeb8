import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type StartedHttpApi, startHttpApi, words } from './start-http-api.ts'

let side: StartedHttpApi

beforeEach(async () => {
  side = await startHttpApi()
})

afterEach(() => side.stop())

const good = { status: 200, body: '{}', type: 'application/json' }

describe('an event triggered as in 2012', () => {
  const path = '/apps/3/channels/private-a%2Cb/events'

  test('has its channel in the path, its name in the query and its data as the body; the answer is an empty 202', async () => {
    const params: [string, string][] = [
      ['name', 'e'],
      ['socket_id', '1.2'],
    ]
    const accepted = { status: 202, body: '', type: null }
    expect(await side.send(path, { method: 'POST', body: '{"ü": 1}', params })).toEqual(accepted)
    expect(await side.send(path, { method: 'POST', params: [['name', 'empty']] })).toEqual(accepted)
    expect(
      await side.send('/apps/3/channels/%23server-to-user-7/events', { method: 'POST', body: '', params }),
    ).toEqual(accepted)
    expect(side.published).toEqual([
      ['private-a,b', 'e', '{"ü": 1}', '1.2'],
      ['private-a,b', 'empty', ''],
      ['#server-to-user-7', 'e', '', '1.2'],
    ])
    expect(side.metrics.published).toBe(3)
  })

  test('is refused with 400 and 413 as any other is', async () => {
    const send = (change: Parameters<StartedHttpApi['send']>[1], to = path) =>
      side.send(to, { method: 'POST', params: [['name', 'e']], ...change })
    expect(await send({ params: [], body: 'x' })).toEqual(words(400, 'name: is required'))
    expect(await send({ body: Buffer.from([0xff]) })).toEqual(words(400, 'The body is not UTF-8'))
    expect((await send({ body: 'x'.repeat(10241) })).status).toBe(413)
    expect((await send({}, '/apps/3/channels/a%20b/events')).status).toBe(400)
    expect((await send({}, '/apps/3/channels/a%zz/events')).status).toBe(400)
    expect(side.published).toEqual([])
  })
})

describe('the sockets of a user', () => {
  test.each(['1', 'ada@example.com', 'auth0|7', 'ü b', 'a?b#c'])('are closed with the official SDK: %s', async (id) => {
    // The SDK puts the id into the path as it is, so that what would end the path has to be escaped.
    const response = await side.sdk().terminateUserConnections(id.replace('?', '%3F').replace('#', '%23'))
    expect([response.status, await response.text()]).toEqual([200, '{}'])
    expect(side.terminated).toEqual([id])
  })

  test('are closed by hand, with any body or none', async () => {
    const path = '/apps/3/users/a%2Fb%20%25/terminate_connections'
    expect(await side.send(path, { method: 'POST' })).toEqual(good)
    expect(await side.post(path, {})).toEqual(good)
    expect(side.terminated).toEqual(['a/b %', 'a/b %'])
  })

  test('are not closed for what is no id', async () => {
    for (const id of ['%zz', '%', '%ff', '%0A', '1'.repeat(201)]) {
      const path = `/apps/3/users/${id}/terminate_connections`
      expect([id, (await side.send(path, { method: 'POST' })).status]).toEqual([id, 400])
    }
    expect((await side.send('/apps/3/users//terminate_connections', { method: 'POST' })).status).toBe(404)
    expect(side.terminated).toEqual([])
  })
})
