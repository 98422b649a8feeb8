/** The channel authorizer: who gets a signature for which channel, and what is signed. */

import Pusher from 'pusher'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { verifyChannel } from '../../auth/channel-signature.ts'
import { readChannelGrant } from '../../schema/channel-auth.ts'
import { readMember } from '../../schema/users.ts'
import { type Api, startApi } from '../support/api.ts'
import { type Answer, call, muroError } from '../support/http.ts'
import type { Tenant, TestSite } from '../support/tenant.ts'

const app = { id: '77', key: 'the-app-key', secret: 'the-app-secret' }

let api: Api
let tenant: Tenant
let other: Tenant
let thread: { conversation: string }
let foreign: { conversation: string }
beforeAll(async () => {
  api = await startApi({ PUSHER_APP_ID: app.id, PUSHER_APP_KEY: app.key, PUSHER_APP_SECRET: app.secret })
  tenant = await api.makeTenant()
  other = await api.makeTenant()
  thread = await tenant.thread()
  foreign = await other.thread()
})
afterAll(() => api.close())

type Asked = { socket_id?: unknown; channel_name?: unknown; [more: string]: unknown }
const form = { 'Content-Type': 'application/x-www-form-urlencoded' }

const authorize = (body: unknown, headers: Record<string, string>) =>
  call(api.url, 'POST', '/api/v1/realtime/auth', { body, headers })

const asForm = (asked: Asked, headers: Record<string, string>) =>
  authorize(
    new URLSearchParams(
      Object.entries(asked).map(([name, value]): [string, string] => [name, String(value)]),
    ).toString(),
    {
      ...form,
      ...headers,
    },
  )

const withKey = (of: Tenant) => ({ Authorization: `Bearer ${of.apiKey}` })

/** Begins a conversation as a visitor and returns how the visitor asks. */
const makeVisitor = async (of: Tenant, visitor_token: string) => {
  const site = { 'X-Api-Key': of.site.site_key }
  const { body } = await call(api.url, 'POST', '/api/v1/chat/conversations', {
    headers: site,
    body: { name: 'V', email: `${visitor_token}@example.com`, message: 'Hi', visitor_token },
  })
  const begun = z
    .object({ conversation_id: z.string(), conversation_token: z.string(), channel: z.string() })
    .parse(body)
  return { ...begun, headers: { ...site, 'X-Visitor-Token': visitor_token } }
}

const granted = z.strictObject({ auth: z.string(), channel_data: z.string() })

/** Asserts that the answer is a signature for exactly this socket and channel; returns what it grants. */
const expectSigned = ({ status, body }: Answer, socket_id: string, channel: string) => {
  expect(status).toBe(200)
  const { auth, channel_data } = granted.parse(body)
  expect(verifyChannel(app, auth, socket_id, channel, channel_data)).toBe('valid')
  // The official library signs the same text with the same secret.
  const official = new Pusher({ appId: app.id, key: app.key, secret: app.secret, cluster: '' })
  expect(official.authorizeChannel(socket_id, channel, JSON.parse(channel_data))).toEqual({ auth, channel_data })
  expect(verifyChannel(app, auth, '9.9', channel, channel_data)).toBe('wrong_signature')
  expect(verifyChannel(app, auth, socket_id, `${channel}x`, channel_data)).toBe('wrong_signature')
  return readChannelGrant(channel_data)
}

const expectRefused = (answer: Answer, param?: string) => {
  expect([answer.status, answer.body]).toEqual([403, muroError('permission_error', 'forbidden', param)])
  expect(answer.headers.get('x-request-id')).toMatch(/^req_/)
  expect(answer.headers.get('access-control-allow-origin')).toBe('*')
}

describe('an API key', () => {
  it('is let into its workspace, its sites and its conversations, asked by form or by JSON', async () => {
    for (const channel of [
      `private-org-${tenant.workspace.publicId}`,
      `private-site-${tenant.site.id}`,
      `private-conv-${thread.conversation}`,
    ]) {
      for (const ask of [asForm, authorize]) {
        const asked = { socket_id: '123.456', channel_name: channel }
        const now = Math.floor(Date.now() / 1000)
        const grant = expectSigned(await ask(asked, withKey(tenant)), '123.456', channel)
        expect(grant).toEqual({
          workspace: tenant.workspace.publicId,
          key: tenant.agent.key.publicId,
          version: 1,
          write: true,
          iat: expect.any(Number),
        })
        expect(grant && grant !== 'broken' && Math.abs(grant.iat - now)).toBeLessThanOrEqual(2)
      }
    }
  })

  it('is let into the presence channels of its workspace as its user, and may speak there if it may write', async () => {
    const reader = JSON.parse(
      (await api.run('key', 'create', '--scopes', 'read', '--workspace', tenant.workspace.publicId)).stdout,
    )
    for (const channel of [`presence-org-${tenant.workspace.publicId}`, `presence-conv-${thread.conversation}`]) {
      const asked = { socket_id: '1.2', channel_name: channel, since: 3 }
      const answer = await asForm(asked, withKey(tenant))
      const grant = expectSigned(answer, '1.2', channel)
      expect(grant).toMatchObject({ key: tenant.agent.key.publicId, write: true })
      expect(grant).not.toHaveProperty('since')
      const { channel_data } = granted.parse(answer.body)
      expect(readMember(channel_data)).toEqual({
        user_id: tenant.agent.user.publicId,
        user_info: { name: tenant.agent.user.name },
      })
      const read = await asForm(asked, { Authorization: `Bearer ${reader.key}` })
      expect(expectSigned(read, '1.2', channel)).not.toHaveProperty('write')
    }
  })

  it('that expires grants no longer than it lives', async () => {
    const expires = new Date(Date.now() + 3_600_000)
    const command = ['key', 'create', '--scopes', 'read', '--expires', expires.toISOString()]
    const { stdout } = await api.run(...command, '--workspace', tenant.workspace.publicId)
    const channel = `private-org-${tenant.workspace.publicId}`
    const headers = { Authorization: `Bearer ${JSON.parse(stdout).key}` }
    const answer = await asForm({ socket_id: '1.2', channel_name: channel }, headers)
    expect(expectSigned(answer, '1.2', channel)).toMatchObject({ exp: Math.floor(expires.getTime() / 1000) })
  })

  it('P4: is let into no other workspace, no visitor’s channel, and no channel of another kind', async () => {
    const visitor = await makeVisitor(tenant, 'v-own')
    for (const channel_name of [
      `private-org-${other.workspace.publicId}`,
      `private-conv-${foreign.conversation}`,
      `private-site-${other.site.id}`,
      'private-site-web_unknown',
      'private-conv-cnv_unknown',
      'private-org-org_unknown',
      `private-org-${tenant.workspace.publicId} `,
      `private-org-${tenant.workspace.publicId}\n`,
      `Private-org-${tenant.workspace.publicId}`,
      `private-conv-${tenant.workspace.publicId}`,
      `private-site-${tenant.workspace.publicId}`,
      `private-site-${thread.conversation}`,
      `private-org-${tenant.site.id}`,
      `private-org-${thread.conversation}`,
      visitor.channel,
      `private-visitor-${thread.conversation}`,
      `presence-org-${other.workspace.publicId}`,
      `presence-conv-${foreign.conversation}`,
      `presence-site-${tenant.site.id}`,
      `presence-visitor-${thread.conversation}`,
      `presence-cache-org-${tenant.workspace.publicId}`,
      `private-encrypted-org-${tenant.workspace.publicId}`,
      `private-cache-org-${tenant.workspace.publicId}`,
      'private-anything',
      'presence-anything',
      'public',
      `private-conv-${thread.conversation}\0`,
    ]) {
      for (const ask of [asForm, authorize]) {
        expectRefused(await ask({ socket_id: '1.2', channel_name }, withKey(tenant)), 'channel_name')
      }
    }
  })

  it('P4: that is pinned to a site is let into its site and the conversations there, not the workspace nor another site', async () => {
    const second: TestSite = await tenant.makeSite()
    const there = await tenant.thread(second)
    const { id, key } = await tenant.makeKey(second)
    const headers = { Authorization: `Bearer ${key}` }
    for (const channel of [`private-site-${second.id}`, `private-conv-${there.conversation}`]) {
      for (const ask of [asForm, authorize]) {
        const grant = expectSigned(await ask({ socket_id: '1.2', channel_name: channel }, headers), '1.2', channel)
        expect(grant).toMatchObject({ workspace: tenant.workspace.publicId, key: id, version: 1 })
      }
    }
    for (const channel_name of [
      `private-org-${tenant.workspace.publicId}`,
      `private-site-${tenant.site.id}`,
      `private-site-${other.site.id}`,
      `private-conv-${thread.conversation}`,
      `private-conv-${foreign.conversation}`,
      `private-visitor-${there.conversation}`,
      `presence-org-${tenant.workspace.publicId}`,
      `presence-conv-${thread.conversation}`,
    ]) {
      expectRefused(await asForm({ socket_id: '1.2', channel_name }, headers), 'channel_name')
    }
    await api.run('key', 'pin', id, '--site', tenant.site.id)
    expectRefused(
      await asForm({ socket_id: '1.2', channel_name: `private-site-${second.id}` }, headers),
      'channel_name',
    )
    const moved = `private-conv-${thread.conversation}`
    const grant = expectSigned(await asForm({ socket_id: '1.2', channel_name: moved }, headers), '1.2', moved)
    expect(grant).toMatchObject({ key: id, version: 2 })
  })

  it('without the read scope, or that opens nothing, is let in nowhere', async () => {
    const make = async (...options: string[]): Promise<{ id: string; key: string }> =>
      JSON.parse((await api.run('key', 'create', '--workspace', tenant.workspace.publicId, ...options)).stdout)
    const [writer, revoked] = [await make('--scopes', 'write'), await make('--scopes', 'read')]
    const asked = { socket_id: '1.2', channel_name: `private-org-${tenant.workspace.publicId}` }
    const askAs = (key: string) => asForm(asked, { Authorization: `Bearer ${key}` })
    expect((await askAs(revoked.key)).status).toBe(200)
    await api.run('key', 'revoke', revoked.id)
    expectRefused(await askAs(writer.key))
    expectRefused(await askAs(revoked.key))
    expectRefused(await askAs(`mr_live_${'x'.repeat(32)}`))
    expectRefused(await askAs(tenant.site.site_key))
    expectRefused(await asForm(asked, {}))
    expectRefused(await asForm(asked, { 'X-Api-Key': tenant.site.site_key }))
  })
})

describe('a visitor', () => {
  it('is let into the channel of their conversation, with either token', async () => {
    const visitor = await makeVisitor(tenant, 'v-1')
    for (const token of ['v-1', visitor.conversation_token]) {
      const asked = { socket_id: '5.6', channel_name: visitor.channel }
      for (const ask of [asForm, authorize]) {
        const answer = await ask(asked, { ...visitor.headers, 'X-Visitor-Token': token })
        const grant = expectSigned(answer, '5.6', visitor.channel)
        expect(grant).toEqual({ workspace: tenant.workspace.publicId, iat: expect.any(Number) })
      }
    }
  })

  it('P4: is let into nothing else, also with a good API key beside the token', async () => {
    const [visitor, neighbour] = [await makeVisitor(tenant, 'v-2'), await makeVisitor(tenant, 'v-3')]
    const stranger = await makeVisitor(other, 'v-2')
    for (const channel_name of [
      `private-conv-${visitor.conversation_id}`,
      `private-org-${tenant.workspace.publicId}`,
      neighbour.channel,
      stranger.channel,
      'private-visitor-cnv_unknown',
      `presence-conv-${visitor.conversation_id}`,
    ]) {
      expectRefused(await asForm({ socket_id: '1.2', channel_name }, visitor.headers), 'channel_name')
      const both = { ...visitor.headers, ...withKey(tenant) }
      expectRefused(await asForm({ socket_id: '1.2', channel_name }, both), 'channel_name')
    }
  })

  it('P4: with a token or a site key that is wrong is let in nowhere', async () => {
    const visitor = await makeVisitor(tenant, 'v-4')
    const asked = { socket_id: '1.2', channel_name: visitor.channel }
    for (const changed of [
      { 'X-Visitor-Token': 'nonsense' },
      { 'X-Visitor-Token': '' },
      { 'X-Visitor-Token': visitor.conversation_id },
      { 'X-Api-Key': other.site.site_key },
      { 'X-Api-Key': 'nonsense' },
      { 'X-Api-Key': '' },
      { 'X-Api-Key': tenant.apiKey },
    ]) {
      expectRefused(await asForm(asked, { ...visitor.headers, ...changed }))
    }
  })

  it('of a site that is switched off is let in nowhere', async () => {
    const off = await api.makeTenant()
    const visitor = await makeVisitor(off, 'v-5')
    await api.database.sql`update sites set active = false where public_id = ${off.site.id}`
    expectRefused(await asForm({ socket_id: '1.2', channel_name: visitor.channel }, visitor.headers))
  })
})

describe('what was seen last', () => {
  const channel_name = () => `private-org-${tenant.workspace.publicId}`

  /** Returns the `since` that was signed. */
  const sinceOf = async (more: Record<string, unknown>, ask = asForm) => {
    const answer = await ask({ socket_id: '1.2', channel_name: channel_name(), ...more }, withKey(tenant))
    const grant = expectSigned(answer, '1.2', channel_name())
    expect(JSON.stringify(answer.body).length).toBeLessThan(500)
    return grant && grant !== 'broken' ? grant.since : grant
  }

  it('is signed for the channel that is asked for, from a form or from JSON', async () => {
    const named = `since[${channel_name()}]`
    for (const ask of [asForm, authorize]) {
      expect(await sinceOf({ [named]: '41' }, ask)).toBe(41)
      expect(await sinceOf({ since: '42' }, ask)).toBe(42)
      expect(await sinceOf({ [named]: '0', since: '7' }, ask)).toBe(0)
      expect(await sinceOf({ 'since[private-conv-cnv_x]': '9' }, ask)).toBeUndefined()
      for (const none of ['', 'undefined', 'null']) expect(await sinceOf({ [named]: none }, ask)).toBeUndefined()
      for (const wrong of ['-1', '1.5', 'abc', '1e3', '9'.repeat(16), ' 1', '0x1']) {
        expect(await sinceOf({ [named]: wrong }, ask)).toBe('invalid')
      }
    }
    expect(await sinceOf({ since: { [channel_name()]: 43, other: 9 } }, authorize)).toBe(43)
    expect(await sinceOf({ since: 44 }, authorize)).toBe(44)
    expect(await sinceOf({ since: { other: 9 } }, authorize)).toBeUndefined()
    expect(await sinceOf({}, authorize)).toBeUndefined()
  })

  it('is signed for visitors too', async () => {
    const visitor = await makeVisitor(tenant, 'v-since')
    const asked = { socket_id: '1.2', channel_name: visitor.channel, [`since[${visitor.channel}]`]: '3' }
    expect(expectSigned(await asForm(asked, visitor.headers), '1.2', visitor.channel)).toMatchObject({ since: 3 })
  })

  it('may come with what was seen on 200 channels, as pusher-js sends it with each request', async () => {
    const seen = Object.fromEntries(
      Array.from({ length: 200 }, (_, n) => [`since[private-conv-cnv_${'x'.repeat(20)}${n}]`, `${1000 + n}`]),
    )
    expect(await sinceOf({ ...seen, [`since[${channel_name()}]`]: '77' })).toBe(77)
    expect(await sinceOf({ [`since[${channel_name()}]`]: '78', ...seen })).toBe(78)
    expect(await sinceOf({ since: { ...seen, [channel_name()]: 79 } }, authorize)).toBe(79)
  })

  it('that is garbage is invalid or ignored, and breaks nothing', async () => {
    const name = channel_name()
    const nested = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
    for (const [since, expected] of [
      ['[1,2]', undefined],
      ['[]', undefined],
      ['{}', undefined],
      ['true', 'invalid'],
      ['1.5', 'invalid'],
      ['-1', 'invalid'],
      ['1e99', 'invalid'],
      [`{"${name}":{"a":1}}`, 'invalid'],
      [`{"${name}":[1]}`, 'invalid'],
      [`{"${name}":null}`, undefined],
      ['{"__proto__":{"x":1},"constructor":1}', undefined],
      [nested, undefined],
    ] as const) {
      const body = `{"socket_id":"1.2","channel_name":"${name}","since":${since}}`
      const answer = await authorize(body, withKey(tenant))
      const grant = expectSigned(answer, '1.2', name)
      expect([since.slice(0, 50), grant && grant !== 'broken' ? grant.since : grant]).toEqual([
        since.slice(0, 50),
        expected,
      ])
    }
    for (const form_ of [
      '__proto__=1&constructor=2&toString=3&hasOwnProperty=4',
      'since[]=1&since[][]=2&since=',
      `since[${name}][]=5&since[${name}`,
      'since[__proto__]=5&since[constructor]=6',
      'a=1&'.repeat(20_000),
      `since[x]=${'9'.repeat(100_000)}`,
    ]) {
      const body = `${form_}&socket_id=1.2&channel_name=${encodeURIComponent(name)}`
      expectSigned(await authorize(body, { ...form, ...withKey(tenant) }), '1.2', name)
    }
    for (const body of ['{"__proto__":{"socket_id":"1.2"}}', `{"since":${nested}}`, nested, '{"since":{"a":1}}']) {
      expectRefused(await authorize(body, withKey(tenant)))
    }
  })
})

it('a request may have 128 KiB, and not one byte more', async () => {
  const channel_name = `private-org-${tenant.workspace.publicId}`
  const body = (bytes: number) => `socket_id=1.2&channel_name=${channel_name}&pad=`.padEnd(bytes, 'x')
  const ask = (bytes: number) => authorize(body(bytes), { ...form, ...withKey(tenant) })
  expectSigned(await ask(128 * 1024), '1.2', channel_name)
  const answer = await ask(128 * 1024 + 1)
  expect([answer.status, answer.body]).toEqual([413, muroError('invalid_request_error', 'too_large')])
})

it('a request that is malformed is refused in the same shape', async () => {
  const channel_name = `private-org-${tenant.workspace.publicId}`
  for (const asked of [
    {},
    { channel_name },
    { socket_id: '1.2' },
    ...['', '1', '1.2.3', 'a.b', '1.2:x', ' 1.2', '-1.2'].map((socket_id) => ({ socket_id, channel_name })),
    ...['', 'x'.repeat(201)].map((name) => ({ socket_id: '1.2', channel_name: name })),
  ]) {
    expectRefused(await asForm(asked, withKey(tenant)))
    expectRefused(await authorize(asked, withKey(tenant)))
  }
  for (const body of [
    '{',
    'null',
    '[]',
    '"text"',
    { socket_id: 1.2, channel_name },
    { socket_id: '1.2', channel_name: [channel_name] },
  ]) {
    expectRefused(await authorize(body, withKey(tenant)))
  }
  expectRefused(await authorize('%zz=%ff&&==', { ...form, ...withKey(tenant) }))
  expectRefused(await authorize('', { ...form, ...withKey(tenant) }))
})
