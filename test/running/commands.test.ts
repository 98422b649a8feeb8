/** The commands: one JSON object on stdout, errors on stderr, beside a running program and without one. */

import { beforeAll, describe, expect, it } from 'vitest'
import { clientOf, muroClient } from '../support/http.ts'
import { makePlace, postgresOf, printedKey, startForTest } from '../support/place.ts'
import { emptyDatabase, runOn } from '../support/postgres.ts'
import { runProgram } from '../support/program.ts'

/** Runs a command that succeeds and returns its JSON. */
const run = async (env: Record<string, string>, ...args: string[]): Promise<Record<string, string>> => {
  const { code, stdout, stderr } = await runProgram(args, env)
  expect([args, code, stderr.includes('hubbub:')]).toEqual([args, 0, false])
  expect(stdout).toMatch(/^\{[^\n]*\}\n$/)
  return JSON.parse(stdout)
}

/** Makes a workspace with a user, a key and a site; asserts what each command prints. */
const makeAll = async (env: Record<string, string>) => {
  const workspace = await run(env, 'workspace', 'create', '--name', 'Acme')
  expect(workspace).toEqual({ id: expect.stringMatching(/^org_[A-Za-z0-9]+$/) })
  const here = ['--workspace', workspace.id ?? '']
  const user = await run(
    env,
    'user',
    'create',
    '--email',
    ' Bo@Example.com',
    '--name',
    'Bo',
    '--role',
    'admin',
    ...here,
  )
  expect(user).toEqual({ id: expect.stringMatching(/^usr_[A-Za-z0-9]+$/) })
  const key = await run(env, 'key', 'create', '--scopes', 'read,write', ...here)
  expect(key).toEqual({ id: expect.stringMatching(/^key_/), key: expect.stringMatching(/^mr_live_[A-Za-z0-9]{32}$/) })
  const origins = 'https://a.example,http://localhost:3000'
  const site = await run(
    env,
    'site',
    'create',
    '--name',
    'Shop',
    '--origins',
    origins,
    '--greeting',
    'Hey',
    '--auto-reply',
    'Soon',
    ...here,
  )
  expect(site).toEqual({
    id: expect.stringMatching(/^web_/),
    widget_id: expect.stringMatching(/^wgt_/),
    site_key: expect.stringMatching(/^site_/),
  })
  return { here, user, key, site }
}

it('work at once in a program that runs on its own Postgres, which goes on', async () => {
  const env = { DATA_DIR: await makePlace() }
  const program = await startForTest(env)
  const { here, user, key, site } = await makeAll(env)
  const muro = muroClient(program.api, key.key ?? '')
  const contact = await muro.post('/contacts', {})
  expect(contact.body).toMatchObject({ website_id: site.id })
  const chat = clientOf(`${program.api}/api/v1/chat`, { 'X-Api-Key': site.site_key ?? '', Origin: 'https://a.example' })
  expect((await chat.get('/config')).body).toMatchObject({ greeting: 'Hey' })
  const message = { name: 'V', email: 'v@example.com', message: 'Hi', visitor_token: 'v' }
  const begun = await chat.post('/conversations', message)
  expect(begun.body).toMatchObject({ auto_reply: 'Soon' })
  const { conversation_id } = begun.body as { conversation_id: string }
  expect((await muro.post(`/conversations/${conversation_id}/messages`, { content: 'x' })).body).toMatchObject({
    sender_id: user.id,
  })
  const revoked = await run(env, 'key', 'revoke', key.id ?? '', ...here)
  expect(revoked).toEqual({ id: key.id, revoked_at: expect.stringMatching(/Z$/) })
  expect((await muro.get('/contacts')).status).toBe(401)
  expect((await muroClient(program.api, printedKey(program) ?? '').get('/contacts')).status).toBe(200)
  expect(postgresOf(env.DATA_DIR)).toBeDefined()
})

it('start a Postgres of their own where none runs, and stop it; also several at once', async () => {
  const env = { DATA_DIR: await makePlace() }
  const { key } = await makeAll(env)
  expect(postgresOf(env.DATA_DIR)).toBeUndefined()
  const made = await Promise.all(['A', 'B', 'C'].map((name) => run(env, 'workspace', 'create', '--name', name)))
  expect(new Set(made.map(({ id }) => id)).size).toBe(3)
  expect(postgresOf(env.DATA_DIR)).toBeUndefined()
  const program = await startForTest(env)
  expect((await muroClient(program.api, key.key ?? '').get('/contacts')).status).toBe(200)
  expect(program.output()).not.toContain('first start')
})

describe('a command', () => {
  let env: Record<string, string>
  beforeAll(async () => {
    env = { DATABASE_URL: await emptyDatabase() }
  })

  it('that cannot be done is one line on stderr and exit code 1, and changes nothing', async () => {
    env = { ...env, DATA_DIR: await makePlace() }
    const none = await runProgram(['key', 'create', '--scopes', 'read'], env)
    expect(none).toEqual({ code: 1, stdout: '', stderr: 'hubbub: There is no workspace yet.\n' })
    const { here } = await makeAll(env)
    const [, first = ''] = here
    const second = await run(env, 'workspace', 'create', '--name', 'Second')
    const count =
      'select (select count(*) from api_keys) + (select count(*) from users) + (select count(*) from sites) as n'
    const before = await runOn(env.DATABASE_URL ?? '', count)
    for (const [args, line] of [
      [['key', 'create', '--scopes', 'read'], 'There are several workspaces: name one with --workspace org_…'],
      [['key', 'create', '--scopes', 'read', '--workspace', 'org_unknown'], 'No such workspace.'],
      [['key', 'create', '--scopes', 'read', '--workspace', 'nonsense'], 'No such workspace.'],
      [['key', 'create', '--scopes', 'read', '--workspace', second.id ?? ''], 'The workspace has no admin yet.'],
      [['key', 'create', '--scopes', 'read', '--user', 'usr_unknown', '--workspace', first], 'No such user.'],
      [['key', 'revoke', 'key_unknown'], 'No such key.'],
      [['key', 'revoke', 'nonsense', '--workspace', first], 'No such key.'],
      [
        ['user', 'create', '--email', 'bo@example.com', '--name', 'Bo', '--workspace', first],
        'A user with the address bo@example.com exists already.',
      ],
    ] as const) {
      expect(await runProgram([...args], env)).toEqual({ code: 1, stdout: '', stderr: `hubbub: ${line}\n` })
    }
    expect(await runOn(env.DATABASE_URL ?? '', count)).toEqual(before)
  })

  it('makes keys that are pinned to a site, pins others, and ends them; only to sites and keys of the workspace', async () => {
    const here = { ...env, DATABASE_URL: await emptyDatabase(), DATA_DIR: await makePlace() }
    const { here: mine, key, site } = await makeAll(here)
    const theirs = await makeAll(here)
    const pinned = await run(here, 'key', 'create', '--scopes', 'read', '--site', site.id ?? '', ...mine)
    expect(pinned).toEqual({ id: expect.stringMatching(/^key_/), key: expect.stringMatching(/^mr_live_/) })
    expect(await run(here, 'key', 'pin', key.id ?? '', '--site', site.id ?? '')).toEqual({
      id: key.id,
      site_id: site.id,
    })
    const at = '2031-05-06T07:08:09+02:00'
    const expires_at = '2031-05-06T05:08:09.000Z'
    expect(await run(here, 'key', 'expire', key.id ?? '', '--at', at, ...mine)).toEqual({ id: key.id, expires_at })
    const url = here.DATABASE_URL
    const keys = `
      select k.public_id as id, s.public_id as site, k.expires_at is not null as ends, k.version
        from api_keys k left join sites s on s.id = k.site_id order by k.id`
    const before = await runOn(url, keys)
    expect(before).toEqual([
      { id: key.id, site: site.id, ends: true, version: 3 },
      { id: theirs.key.id, site: null, ends: false, version: 1 },
      { id: pinned.id, site: site.id, ends: false, version: 1 },
    ])
    for (const [args, line] of [
      [['key', 'create', '--scopes', 'read', '--site', 'web_unknown', ...mine], 'No such site.'],
      [['key', 'create', '--scopes', 'read', '--site', theirs.site.id, ...mine], 'No such site.'],
      [['key', 'pin', key.id, '--site', theirs.site.id], 'No such site.'],
      [['key', 'pin', key.id, '--site', 'nonsense', ...mine], 'No such site.'],
      [['key', 'pin', 'key_unknown', '--site', site.id], 'No such key.'],
      [['key', 'pin', theirs.key.id, '--site', site.id, ...mine], 'No such key.'],
      [['key', 'expire', 'nonsense', '--at', at, ...mine], 'No such key.'],
      [['key', 'expire', theirs.key.id, '--at', at, ...mine], 'No such key.'],
    ] as const) {
      const given = [...args].filter((arg) => arg !== undefined)
      expect([given, await runProgram(given, here)]).toEqual([
        given,
        { code: 1, stdout: '', stderr: `hubbub: ${line}\n` },
      ])
    }
    expect(await runOn(url, keys)).toEqual(before)
  }, 60_000)

  it.each([
    ['nonsense'],
    ['start', 'now'],
    ['migrate', 'now'],
    ['key'],
    ['key', 'revoke'],
    ['key', 'revoke', 'a', 'b'],
    ['key', 'create'],
    ['key', 'create', '--scopes', ''],
    ['key', 'create', '--scopes', 'read,admin'],
    ['key', 'create', '--scopes', 'read', '--color', 'red'],
    ['key', 'create', '--scopes'],
    ['key', 'create', 'extra', '--scopes', 'read'],
    ['key', 'pin', 'key_a'],
    ['key', 'pin', '--site', 'web_a'],
    ['key', 'expire', 'key_a'],
    ['key', 'expire', 'key_a', '--at', 'tomorrow'],
    ['key', 'expire', '--at', '2031-01-01T00:00:00Z'],
    ['key', 'forget', 'key_a'],
    ['workspace', 'create'],
    ['workspace', 'create', '--name', ' '],
    ['user', 'create', '--email', 'nonsense', '--name', 'Bo'],
    ['user', 'create', '--email', 'a@example.com', '--name', 'Bo', '--role', 'king'],
    ['site', 'create', '--name', 'Shop', '--origins', 'shop.example'],
    ['site', 'create', '--name', 'Shop', '--origins', 'https://shop.example/'],
  ])('%s %s %s %s %s %s %s that is none shows the usage, with exit code 2', async (...given) => {
    const args = given.filter((arg) => typeof arg === 'string')
    // A database that is not there: what is wrong is told before one is asked for.
    const { code, stdout, stderr } = await runProgram(args, { DATABASE_URL: 'postgres://127.0.0.1:1/none' })
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(/^hubbub: [^\n]+\n\nUsage: hubbub COMMAND\n/)
  })

  it('--help shows the usage', async () => {
    const { code, stdout } = await runProgram(['--help'], {})
    expect(code).toBe(0)
    expect(stdout).toContain('Usage: hubbub COMMAND')
  })

  it('beside a database that cannot be reached is one line', async () => {
    const { code, stdout, stderr } = await runProgram(['migrate'], {
      DATABASE_URL: 'postgres://127.0.0.1:1/none',
      DATA_DIR: await makePlace(),
    })
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^hubbub: DATABASE_URL: [^\n]+\n$/)
  })
})
