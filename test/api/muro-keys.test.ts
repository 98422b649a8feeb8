/** API keys on the muro face: what opens, what does not, and P5: revoked means now. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Api, startApi } from '../support/api.ts'
import { call, muroClient, muroError } from '../support/http.ts'
import { runProgram } from '../support/program.ts'
import type { Tenant } from '../support/tenant.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

let tenant: Tenant
beforeEach(async () => {
  tenant = await api.makeTenant()
})

/** Makes a key with a command beside the running program. */
const makeKey = async (...options: string[]): Promise<{ id: string; key: string }> => {
  const { stdout } = await api.run('key', 'create', '--workspace', tenant.workspace.publicId, ...options)
  return JSON.parse(stdout)
}

const statusWith = async (key: string) => (await muroClient(api.url, key).get('/conversations')).status

describe('a key', () => {
  it('opens its workspace, in any spelling of Bearer', async () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
      const headers = { Authorization: `${scheme} ${tenant.apiKey}` }
      expect((await call(api.url, 'GET', '/api/v1/conversations', { headers })).status).toBe(200)
    }
  })

  it('that is missing, malformed or unknown opens nothing', async () => {
    const almost = tenant.apiKey.slice(0, -1) + (tenant.apiKey.endsWith('a') ? 'b' : 'a')
    for (const headers of [
      {},
      { Authorization: '' },
      { Authorization: 'Bearer' },
      { Authorization: 'Bearer ' },
      { Authorization: tenant.apiKey },
      { Authorization: `Basic ${tenant.apiKey}` },
      { Authorization: `Bearer ${almost}` },
      { Authorization: `Bearer ${tenant.apiKey} x` },
      { Authorization: `Bearer ${tenant.apiKey.toUpperCase()}` },
      { Authorization: `Bearer ${tenant.apiKey.replace('mr_live_', '')}` },
      { Authorization: `Bearer ${tenant.site.site_key}` },
      { Authorization: `Bearer mr_live_${'x'.repeat(5000)}` },
      { 'X-Api-Key': tenant.apiKey },
    ]) {
      for (const [method, path] of [
        ['GET', '/api/v1/conversations'],
        ['POST', '/api/v1/contacts'],
        ['GET', '/api/v1/contacts/vis_x'],
      ] as const) {
        const answer = await call(api.url, method, path, { headers })
        expect(answer.status).toBe(401)
        expect(answer.body).toEqual(muroError('authentication_error', 'unauthenticated'))
        expect(answer.headers.get('www-authenticate')).toBe('Bearer')
        expect(answer.text).not.toContain(tenant.apiKey)
      }
    }
    const query = await call(api.url, 'GET', `/api/v1/conversations?api_key=${tenant.apiKey}`)
    expect(query.status).toBe(401)
  })

  it('does what its scopes say, and not the rest', async () => {
    const { conversation, contact } = await tenant.thread()
    const reads = ['/conversations', `/conversations/${conversation}`, `/conversations/${conversation}/messages`]
    reads.push('/contacts', `/contacts/${contact}`, '/realtime')
    const writes = [
      ['POST', '/conversations', { visitor_id: contact }],
      ['PATCH', `/conversations/${conversation}`, { status: 'closed' }],
      ['POST', `/conversations/${conversation}/messages`, { content: 'hi' }],
      ['POST', `/conversations/${conversation}/typing`, {}],
      ['POST', '/contacts', { name: 'New' }],
      ['PATCH', `/contacts/${contact}`, { name: 'New' }],
    ] as const
    const [reader, writer] = [await makeKey('--scopes', 'read'), await makeKey('--scopes', 'write')]
    const before = await api.rowsOf(tenant)
    for (const path of reads) {
      expect((await call(`${api.url}/api/v1`, 'GET', path, { key: reader.key })).status).toBe(200)
      const refused = await call(`${api.url}/api/v1`, 'GET', path, { key: writer.key })
      expect([refused.status, refused.body]).toEqual([403, muroError('permission_error', 'forbidden')])
    }
    for (const [method, path, body] of writes) {
      const refused = await call(`${api.url}/api/v1`, method, path, { key: reader.key, body })
      expect([refused.status, refused.body]).toEqual([403, muroError('permission_error', 'forbidden')])
    }
    expect(await api.rowsOf(tenant)).toEqual(before)
    for (const [method, path, body] of writes) {
      const { status } = await call(`${api.url}/api/v1`, method, path, { key: writer.key, body })
      expect([200, 201]).toContain(status)
    }
  })

  it('without the scope learns nothing about what exists', async () => {
    const { key } = await makeKey('--scopes', 'read')
    const answer = await call(api.url, 'PATCH', '/api/v1/contacts/vis_unknown', { key, body: {} })
    expect(answer.status).toBe(403)
  })
})

describe('P5: a revoked key', () => {
  it('opens nothing from the moment the command ends, though it was just used', async () => {
    for (let turn = 0; turn < 3; turn += 1) {
      const { id, key } = await makeKey('--scopes', 'read,write')
      for (let used = 0; used < 3; used += 1) expect(await statusWith(key)).toBe(200)
      const revoked = await api.run('key', 'revoke', id)
      expect(JSON.parse(revoked.stdout)).toEqual({ id, revoked_at: expect.any(String) })
      const answer = await muroClient(api.url, key).get('/conversations')
      expect(answer.status).toBe(401)
      expect(answer.body).toEqual(muroError('authentication_error', 'unauthenticated'))
      expect(answer.text).toContain('revoked')
    }
    expect(await statusWith(tenant.apiKey)).toBe(200)
  })

  it('opens nothing within a second, whoever revoked it in the database', async () => {
    const { id, key } = await makeKey('--scopes', 'read')
    expect(await statusWith(key)).toBe(200)
    const { sql } = api.database
    await sql`update api_keys set revoked_at = now() where public_id = ${id}`
    const begun = Date.now()
    await expect.poll(() => statusWith(key), { interval: 5, timeout: 1000 }).toBe(401)
    expect(Date.now() - begun).toBeLessThan(1000)
  })

  it('opens nothing though the program lost its connection to the database while it was revoked', async () => {
    const { id, key } = await makeKey('--scopes', 'read')
    expect(await statusWith(key)).toBe(200)
    const { sql } = api.database
    // As if the notice was lost on the way.
    await sql.begin(async (tx) => {
      await tx`alter table api_keys disable trigger api_keys_told`
      await tx`update api_keys set revoked_at = now() where public_id = ${id}`
      await tx`alter table api_keys enable trigger api_keys_told`
    })
    expect(await statusWith(key)).toBe(200)
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and application_name = 'hubbub listener'`
    await expect.poll(() => statusWith(key), { interval: 10, timeout: 2000 }).toBe(401)
  })

  it('keeps the time at which it was revoked first', async () => {
    const { id } = await makeKey('--scopes', 'read')
    const first = await api.run('key', 'revoke', id)
    expect((await api.run('key', 'revoke', id)).stdout).toBe(first.stdout)
  })

  it('is revoked only in its own workspace', async () => {
    const { id, key } = await makeKey('--scopes', 'read')
    const other = await api.makeTenant()
    const refused = await api.run('key', 'revoke', id, '--workspace', other.workspace.publicId)
    expect(refused).toEqual({ code: 1, stdout: '', stderr: 'hubbub: No such key.\n' })
    expect(await statusWith(key)).toBe(200)
  })
})

describe('an expiring key', () => {
  it('stops at its time, though it was just used', async () => {
    const expires = new Date(Date.now() + 5000)
    const { key } = await makeKey('--scopes', 'read', '--expires', expires.toISOString())
    const answers: { status: number; before: number; after: number }[] = []
    await expect
      .poll(
        async () => {
          const before = Date.now()
          const status = await statusWith(key)
          answers.push({ status, before, after: Date.now() })
          return status
        },
        { interval: 20, timeout: 10_000 },
      )
      .toBe(401)
    expect(answers.length).toBeGreaterThan(2)
    for (const { status, before, after } of answers) {
      if (after < expires.getTime()) expect(status).toBe(200)
      if (before > expires.getTime()) expect(status).toBe(401)
    }
  })

  it('P5: that is ended while it is in use stops at once, at the time that was named', async () => {
    const { id, key } = await makeKey('--scopes', 'read')
    expect(await statusWith(key)).toBe(200)
    const ended = await api.run('key', 'expire', id, '--at', '2020-01-01T01:00:00+01:00')
    expect(JSON.parse(ended.stdout)).toEqual({ id, expires_at: '2020-01-01T00:00:00.000Z' })
    const answer = await muroClient(api.url, key).get('/conversations')
    expect([answer.status, answer.body]).toEqual([401, muroError('authentication_error', 'unauthenticated')])
    expect(answer.text).toContain('expired')
  })

  it('whose time is put off opens again', async () => {
    const { id, key } = await makeKey('--scopes', 'read')
    await api.run('key', 'expire', id, '--at', '2020-01-01T00:00:00Z')
    expect(await statusWith(key)).toBe(401)
    await api.run('key', 'expire', id, '--at', '2990-01-01T00:00:00Z')
    expect(await statusWith(key)).toBe(200)
  })

  it('cannot be made to expire in the past, or at no time', async () => {
    for (const time of ['2020-01-01T00:00:00Z', 'tomorrow', '2999-01-01']) {
      const made = await runProgram(['key', 'create', '--scopes', 'read', '--expires', time], {
        DATABASE_URL: api.database.url,
      })
      expect(made).toMatchObject({ code: 2, stdout: '' })
      expect(made.stderr).toContain('--expires')
    }
  })
})
