/** Roles apart: which combinations can work, what the others are told, and what each process shows of itself. */

import { describe, expect, inject, it } from 'vitest'
import { testApp } from '../support/api.ts'
import { freshDatabase } from '../support/database.ts'
import { makePlace, startForTest } from '../support/place.ts'
import { bringBack, emptyDatabase, takeAway } from '../support/postgres.ts'
import { type Program, runProgram } from '../support/program.ts'
import { startRedis } from '../support/redis.ts'

const redis = { REDIS_URL: 'redis://127.0.0.1:1' }
const database = { DATABASE_URL: 'postgres://127.0.0.1:1/hubbub' }

describe('what cannot work is one line and exit 1', () => {
  const apart = ['rest', 'realtime', 'worker', 'rest,realtime', 'rest,worker', 'realtime,worker']
  const withoutDatabase = apart.filter((roles) => roles !== 'realtime')
  it.each([
    ...apart.map((ROLES) => ['REDIS_URL', { ROLES, ...database, ...testApp }] as const),
    ...apart.map((ROLES) => ['PUSHER_APP_ID', { ROLES, ...database, ...redis }] as const),
    ...withoutDatabase.map((ROLES) => ['DATABASE_URL', { ROLES, ...redis, ...testApp }] as const),
  ])('without %s: %o', async (missing, env) => {
    const { code, stdout, stderr } = await runProgram(['start'], { PORT: '0', REALTIME_PORT: '0', ...env })
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^hubbub: ROLES: [^\n]+\n$/)
    expect(stderr).toContain(missing)
  })

  it('a Redis that is not there leaves no Postgres and no port behind', async () => {
    const place = await makePlace()
    const { code, stderr } = await runProgram(['start'], { PORT: '0', REALTIME_PORT: '0', DATA_DIR: place, ...redis })
    expect([code, stderr.trim().split('\n').length]).toEqual([1, 1])
    expect(stderr).toContain('REDIS_URL')
    const program = await startForTest({ DATA_DIR: place })
    expect((await fetch(`${program.api}/up`)).status).toBe(200)
  })
})

describe('each role by itself', () => {
  const start = async (ROLES: string, env: Record<string, string> = {}): Promise<Program> =>
    await startForTest({ ROLES, REDIS_URL: inject('redisUrl'), ...testApp, ...env })
  const ready = async (address: string) => {
    const answer = await fetch(`${address}/ready`)
    return [answer.status, await answer.json()]
  }
  const allUp = [200, { status: 'ready', database: 'up', bus: 'up' }]

  it('REST opens its port, makes what a first start makes, and no sockets', async () => {
    const program = await start('rest', { DATABASE_URL: await emptyDatabase() })
    expect(program.realtimePort).toBe(0)
    expect(program.output()).toContain('This is the first start')
    expect(await ready(program.api)).toEqual(allUp)
  })

  it('realtime opens its port and no other', async () => {
    const program = await start('realtime', { DATABASE_URL: (await freshDatabase({ max: 1 })).url })
    expect([program.api, program.probes]).toEqual(['', ''])
    expect(await ready(`http://127.0.0.1:${program.realtimePort}`)).toEqual(allUp)
  })

  it('realtime without a database says what that means, and needs the bus to be ready', async () => {
    const own = await startRedis()
    const program = await start('realtime', { REDIS_URL: own.url })
    const address = `http://127.0.0.1:${program.realtimePort}`
    expect(program.output()).toContain('Without DATABASE_URL')
    expect(await ready(address)).toEqual([200, { status: 'ready', bus: 'up' }])
    await own.kill()
    await expect.poll(() => ready(address)).toEqual([503, { status: 'not ready', bus: 'down' }])
    await own.start()
    await expect.poll(() => ready(address), { timeout: 10_000 }).toEqual([200, { status: 'ready', bus: 'up' }])
    await own.close()
  })

  it('a worker answers how it is, and nothing else', async () => {
    const { url } = await freshDatabase({ max: 1 })
    const program = await start('worker', { DATABASE_URL: url })
    expect(await ready(program.probes)).toEqual(allUp)
    expect((await fetch(`${program.probes}/up`)).status).toBe(200)
    expect(await (await fetch(`${program.probes}/metrics`)).text()).toMatch(/^hubbub_bus_up 1$/m)
    expect((await fetch(`${program.probes}/api/v1/conversations`)).status).toBe(404)
    await takeAway(url)
    expect(await ready(program.probes)).toEqual([503, { status: 'not ready', database: 'down', bus: 'up' }])
    await bringBack(url)
  })

  it('all three in one process may share a Redis with others', async () => {
    const { url } = await freshDatabase({ max: 1 })
    const program = await start('rest,realtime,worker', { DATABASE_URL: url })
    expect(await ready(program.api)).toEqual(allUp)
    expect(await ready(`http://127.0.0.1:${program.realtimePort}`)).toEqual(allUp)
  })
})
