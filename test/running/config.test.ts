/** What cannot work is said in one line that names the variable, before anything is made. */

import { expect, it } from 'vitest'
import { readConfig } from '../../schema/config.ts'
import { freshDatabase } from '../support/database.ts'
import { makePlace, printedKey, startForTest, takePort } from '../support/place.ts'
import { emptyDatabase, runOn } from '../support/postgres.ts'
import { runProgram } from '../support/program.ts'

/** Asserts that a start ends with exit code 1 and one line, and returns the line. */
const failToStart = async (env: Record<string, string>): Promise<string> => {
  const { code, stdout, stderr } = await runProgram(['start'], { PORT: '0', REALTIME_PORT: '0', ...env })
  expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(/^hubbub: [^\n]+\n$/) })
  return stderr
}

it.each([
  ['PORT', { PORT: 'http' }],
  ['PORT', { PORT: '70000' }],
  ['PORT', { PORT: '-1' }],
  ['REALTIME_PORT', { REALTIME_PORT: '6001.5' }],
  ['PUSHER_APP_SECRET', { PUSHER_APP_ID: '1', PUSHER_APP_KEY: 'key' }],
  ['PUSHER_APP_ID', { PUSHER_APP_SECRET: 'secret' }],
  ['PUSHER_APP_ID', { PUSHER_APP_ID: 'one', PUSHER_APP_KEY: 'key', PUSHER_APP_SECRET: 'secret' }],
  ['PUSHER_APP_KEY', { PUSHER_APP_ID: '1', PUSHER_APP_KEY: 'a key', PUSHER_APP_SECRET: 'secret' }],
  ['ROLES', { ROLES: 'rest,cook' }],
  ['ROLES', { ROLES: 'rest,' }],
  ['REDIS_URL', { REDIS_URL: 'http://127.0.0.1:6379' }],
  ['REDIS_URL', { REDIS_URL: 'redis://127.0.0.1:1' }],
  ['REDIS_URL', { REDIS_URL: 'redis://127.0.0.1:1,redis://127.0.0.1:2' }],
  ['REDIS_URL', { REDIS_URL: 'redis://127.0.0.1:7001,' }],
  ['REDIS_URL', { REDIS_URL: 'redis://127.0.0.1:7001,127.0.0.1:7002' }],
  ['METRICS_TOKEN', { METRICS_TOKEN: 'short' }],
  ['TLS_KEY_FILE', { TLS_CERT_FILE: 'cert.pem' }],
  ['TLS_CERT_FILE', { TLS_KEY_FILE: 'key.pem' }],
  ['REALTIME_PATH_PREFIX', { REALTIME_PATH_PREFIX: 'ws' }],
  ['MAX_SOCKETS_PER_IP', { MAX_SOCKETS_PER_IP: '0' }],
  ['BOOTSTRAP_API_KEY', { BOOTSTRAP_API_KEY: 'secret' }],
  ['BOOTSTRAP_API_KEY', { BOOTSTRAP_API_KEY: `mr_live_${'x'.repeat(21)}` }],
  ['RATE_LIMIT_PER_MINUTE', { RATE_LIMIT_PER_MINUTE: '-1' }],
  ['RATE_LIMIT_PER_MINUTE', { RATE_LIMIT_PER_MINUTE: 'many' }],
  ['LOG_LEVEL', { LOG_LEVEL: 'loud' }],
  ['PUBLIC_URL', { PUBLIC_URL: 'chat.example.com' }],
  ['REALTIME_PUBLIC_URL', { REALTIME_PUBLIC_URL: 'ftp://chat.example.com' }],
  ['DATABASE_URL', { DATABASE_URL: 'mysql://localhost/hubbub' }],
  ['DATABASE_URL', { DATABASE_URL: 'hubbub' }],
  ['DATABASE_URL', { DATABASE_URL: 'postgres://127.0.0.1:port/hubbub' }],
  ['DATABASE_URL', { DATABASE_URL: 'postgres://user:%zz@127.0.0.1/hubbub' }],
  ['DATABASE_URL', { DATABASE_URL: 'postgres://127.0.0.1:1/hubbub' }],
  ['DATABASE_URL', { DATABASE_URL: 'postgres://no.such.host.invalid/hubbub' }],
])('a wrong %s: %o', async (variable, env) => {
  const line = await failToStart({ DATA_DIR: await makePlace(), ...env })
  expect(line).toContain(variable)
  expect(line).not.toContain('mr_live_x')
})

it('files that are not there: the certificate, or the apps', async () => {
  const env = { DATABASE_URL: await emptyDatabase(), DATA_DIR: await makePlace() }
  const tls = { TLS_CERT_FILE: 'no-cert.pem', TLS_KEY_FILE: 'no-key.pem' }
  expect(await failToStart({ ...env, ...tls })).toContain('TLS_CERT_FILE: no-cert.pem cannot be read (ENOENT)')
  const apps = { PUSHER_APPS: 'no-apps.json' }
  expect(await failToStart({ ...env, ...apps })).toContain('PUSHER_APPS: no-apps.json cannot be read (ENOENT)')
})

it.each([
  ['/ws', '/ws'],
  ['/ws/', '/ws'],
  ['/live/v1.0~a-b_c', '/live/v1.0~a-b_c'],
  ['', undefined],
])('REALTIME_PATH_PREFIX may be %o, which is %o', (REALTIME_PATH_PREFIX, expected) => {
  expect(readConfig({ REALTIME_PATH_PREFIX }).REALTIME_PATH_PREFIX).toBe(expected)
})

it.each(['/', '//', '/a//b', '/a/../b', '/.', '/a b', '/ä', '/a?b', '/%61', '/ws//', 'https://x/ws'])(
  'REALTIME_PATH_PREFIX may not be %o',
  (REALTIME_PATH_PREFIX) => {
    expect(() => readConfig({ REALTIME_PATH_PREFIX })).toThrow(/^REALTIME_PATH_PREFIX: must be a path such as \/ws/)
  },
)

it('a certificate and its key are one thing; without both there is none', () => {
  const { tls } = readConfig({ TLS_CERT_FILE: 'cert.pem', TLS_KEY_FILE: 'key.pem' })
  expect(tls).toEqual({ certFile: 'cert.pem', keyFile: 'key.pem' })
  expect(readConfig({}).tls).toBeUndefined()
})

it('sockets have no limit for an address unless one is set', () => {
  expect(readConfig({ MAX_SOCKETS_PER_IP: '20' }).MAX_SOCKETS_PER_IP).toBe(20)
  expect(readConfig({}).MAX_SOCKETS_PER_IP).toBeUndefined()
  for (const MAX_SOCKETS_PER_IP of ['0', '-1', '1.5', 'many']) {
    expect(() => readConfig({ MAX_SOCKETS_PER_IP })).toThrow('MAX_SOCKETS_PER_IP: must be a whole number of at least 1')
  }
})

it('a proxy that is none, or a host that is not this machine', async () => {
  const env = { DATABASE_URL: await emptyDatabase(), DATA_DIR: await makePlace() }
  expect(await failToStart({ ...env, TRUST_PROXY: 'everyone' })).toContain('TRUST_PROXY')
  expect(await failToStart({ ...env, HOST: '203.0.113.1' })).toContain('cannot be opened on 203.0.113.1')
})

it('a database that refuses the password, or that is not there', async () => {
  const url = new URL(await emptyDatabase())
  url.password = 'wrong-password'
  const line = await failToStart({ DATABASE_URL: url.href, DATA_DIR: await makePlace() })
  expect(line).toMatch(/DATABASE_URL.*password authentication failed/)
  expect(line).not.toContain('wrong-password')
  const elsewhere = new URL(await emptyDatabase())
  elsewhere.pathname = '/nothing_here'
  expect(await failToStart({ DATABASE_URL: elsewhere.href, DATA_DIR: await makePlace() })).toContain('does not exist')
})

it.each(['true', 'loopback', '10.0.0.0/8, 192.168.1.1', '::1,fc00::/7'])(
  'TRUST_PROXY may be %s',
  async (TRUST_PROXY) => {
    const program = await startForTest({
      DATABASE_URL: await emptyDatabase(),
      DATA_DIR: await makePlace(),
      TRUST_PROXY,
    })
    expect((await fetch(`${program.api}/up`)).status).toBe(200)
  },
)

it('an empty variable is as good as none', async () => {
  const { url } = await freshDatabase({ max: 1 })
  const program = await startForTest({ DATABASE_URL: url, DATA_DIR: await makePlace(), ROLES: '', PUSHER_APP_ID: '' })
  expect((await fetch(`${program.api}/up`)).status).toBe(200)
})

it.each(['PORT', 'REALTIME_PORT'])(
  'a %s that is in use; the next start still shows the first key',
  async (variable) => {
    const env = { DATABASE_URL: await emptyDatabase(), DATA_DIR: await makePlace() }
    const { port, free } = await takePort()
    for (let turn = 0; turn < 2; turn += 1) {
      const line = await failToStart({ ...env, [variable]: String(port) })
      expect(line).toContain(`${variable} ${port} is already in use on 127.0.0.1`)
    }
    expect(await runOn(env.DATABASE_URL, 'select id from workspaces')).toEqual([])
    await free()
    const program = await startForTest({ ...env, [variable]: String(port) })
    const key = printedKey(program)
    const answer = await fetch(`${program.api}/api/v1/conversations`, { headers: { Authorization: `Bearer ${key}` } })
    expect(answer.status).toBe(200)
    expect(variable === 'PORT' ? Number(new URL(program.api).port) : program.realtimePort).toBe(port)
  },
)

it('one port for both is in use', async () => {
  const { port, free } = await takePort()
  await free()
  const env = { DATABASE_URL: await emptyDatabase(), DATA_DIR: await makePlace() }
  expect(await failToStart({ ...env, PORT: String(port), REALTIME_PORT: String(port) })).toContain(`PORT ${port}`)
})
