import { createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { channelSubject } from '../../realtime/bus/bus.ts'
import { createMemoryBus } from '../../realtime/bus/memory.ts'
import { createMetrics } from '../../realtime/metrics.ts'
import { createRealtime, policyOf } from '../../realtime/realtime.ts'
import { createMemoryRoster } from '../../realtime/roster/memory.ts'
import { StartError } from '../../schema/errors.ts'
import { eventFrame } from '../../schema/frames.ts'
import { chatApp } from '../../schema/pusher-apps.ts'
import {
  app,
  createFakeLog,
  createTestLogger,
  createTransport,
  freePort,
  operatorSubscribe,
  type Started,
  startRealtime,
} from './start-realtime.ts'

let server: Started

beforeEach(async () => {
  server = await startRealtime()
})

afterEach(() => server.stop())

const another = () =>
  createRealtime({
    chat: chatApp(app),
    roster: createMemoryRoster({ policyOf: policyOf([]), listener: server.realtime.roster }),
    post: async () => ({ ok: true, status: 200, body: '' }),
    bus: createMemoryBus({ receive: () => undefined }),
    log: createFakeLog(),
    operations: { health: async () => ({ isReady: true, bus: 'up' }), metrics: async () => '' },
    metrics: createMetrics(),
    logger: createTestLogger(),
    createTransport,
  })

describe('the port', () => {
  test('is this process alone: a second start on it is told in one line', async () => {
    const second = another()
    const refused = second.listen({ host: '127.0.0.1', port: server.port })
    await expect(refused).rejects.toThrow(StartError)
    await expect(refused).rejects.toThrow(`REALTIME_PORT ${server.port} is already in use on 127.0.0.1`)
    await second.close()
    expect((await fetch(server.url('/up'))).status).toBe(200)
  })

  test('of another program is not taken either', async () => {
    const other = createServer()
    const port = await new Promise<number>((resolve) => {
      other.listen(0, '127.0.0.1', () => {
        const address = other.address()
        resolve(typeof address === 'object' && address ? address.port : 0)
      })
    })
    const second = another()
    await expect(second.listen({ host: '127.0.0.1', port })).rejects.toThrow('is already in use')
    await second.close()
    await new Promise((resolve) => other.close(resolve))
  })

  test('of an address that is not ours is told as it is', async () => {
    const second = another()
    await expect(second.listen({ host: '192.0.2.1', port: 6001 })).rejects.toThrow(
      'REALTIME_PORT 6001 cannot be opened on 192.0.2.1: EADDRNOTAVAIL',
    )
    await second.close()
  })
})

describe('closing', () => {
  test('sends every socket away with a code on which it comes back at once, and opens the port to another', async () => {
    await server.stop()
    server = await startRealtime({ port: await freePort() })
    const sockets = await Promise.all([server.connect(), server.connect(), server.connect()])
    await server.realtime.close()
    for (const { socket } of sockets) {
      expect(await socket.closed).toEqual({ code: 4200, reason: 'The server restarts' })
    }
    await expect(fetch(server.url('/up'))).rejects.toThrow()
    const second = another()
    expect(await second.listen({ host: '127.0.0.1', port: server.port })).toEqual({ port: server.port })
    await second.close()
  })

  test('may be asked for twice, and the bus may still speak', async () => {
    await server.realtime.close()
    await server.realtime.close()
    server.realtime.receive('stream:org_1', 'x')
    server.realtime.receive('channel:3:a', '\n{}')
    server.realtime.receive('nonsense', '')
  })
})

describe('a slow socket', () => {
  test('is told to come back when a megabyte waits for it and it reads again, and nobody else misses a frame', async () => {
    const slow = await server.connect()
    const quick = await server.connect()
    for (const { socket, id } of [slow, quick]) {
      socket.send(operatorSubscribe(id, 'private-a'))
      await socket.waitFor('pusher_internal:subscription_succeeded')
    }
    slow.socket.pause()
    for (let n = 0; n < 400; n++) {
      const frame = eventFrame('private-a', 'big', JSON.stringify({ n, filling: 'x'.repeat(100_000) }))
      server.bus.publish(channelSubject(app.id, 'private-a'), `\n${frame}`)
      expect((await quick.socket.next()).data).toMatch(`{"n":${n},`)
    }
    const heard = slow.socket.frames.length
    slow.socket.resume()
    const { code, reason } = await slow.socket.closed
    expect({ code, reason }).toEqual({ code: 4100, reason: 'This socket does not keep up: reconnect and recover' })
    expect(await quick.socket.settle()).toEqual([])
    // What it did hear has no hole: it can come back and say what it saw last.
    const frames = slow.socket.frames.slice(heard)
    const numbers = frames.filter(({ event }) => event === 'big').map((frame) => JSON.parse(String(frame.data)).n)
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, n) => (numbers[0] ?? 0) + n))
    expect(numbers.length).toBeLessThan(100)
    expect(frames.at(-1)).toMatchObject({ event: 'pusher:error', data: { code: 4100 } })
    expect(await server.metrics.text()).toMatch(/^hubbub_slow_sockets_total 1$/m)
  })
})
