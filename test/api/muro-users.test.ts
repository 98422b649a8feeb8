/** Users on the muro face: who works here, and who wants to be asked. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { user } from '../../schema/muro/users.ts'
import { createKey } from '../../server/domain/keys.ts'
import { createUser } from '../../server/domain/workspaces.ts'
import { type Api, startApi } from '../support/api.ts'
import { type Client, call, muroClient, muroError, pageOf } from '../support/http.ts'
import type { Tenant, TestSite } from '../support/tenant.ts'

let api: Api
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

let tenant: Tenant
let admin: Client
let adminId: string
beforeEach(async () => {
  tenant = await api.makeTenant()
  admin = muroClient(api.url, tenant.apiKey)
  adminId = tenant.agent.user.publicId
})

/** Makes a colleague of the admin with a key of their own, pinned to a site if one is given. */
const makeAgent = async (name: string, site?: TestSite) => {
  const { sql } = api.database
  const email = `${name.toLowerCase()}@example.com`
  const { rowId, id } = await sql.begin((tx) => createUser(tx, tenant.workspace, { name, email }))
  const { key } = await createKey(sql, tenant.workspace, {
    userRowId: rowId,
    scopes: ['read', 'write'],
    site: site?.ref,
  })
  return { id, muro: muroClient(api.url, key) }
}

const availabilities = async () =>
  Object.fromEntries(pageOf(await admin.get('/users')).data.map(({ id, availability }) => [id, availability]))
const forbidden = muroError('permission_error', 'forbidden')
const notFound = muroError('not_found', 'not_found')

describe('users', () => {
  it('are listed, the oldest first, page by page, and read one by one', async () => {
    const bea = await makeAgent('Bea')
    const cid = await makeAgent('Cid')
    const first = pageOf(await admin.get('/users?limit=2'))
    expect(first.ids).toEqual([adminId, bea.id])
    const last = pageOf(await admin.get(`/users?limit=2&cursor=${first.cursor}`))
    expect([last.ids, last.cursor]).toEqual([[cid.id], null])
    const one = await bea.muro.get(`/users/${bea.id}`)
    expect(one.body).toEqual(first.data[1])
    expect(user.strict().parse(one.body)).toEqual({
      object: 'user',
      id: bea.id,
      name: 'Bea',
      email: 'bea@example.com',
      role: 'agent',
      availability: 'online',
      created_at: expect.stringMatching(/Z$/),
    })
  })

  it('know themselves: /users/me is who the key acts for, and whom its messages name', async () => {
    const bea = await makeAgent('Bea')
    expect((await bea.muro.get('/users/me')).body).toMatchObject({ id: bea.id, role: 'agent' })
    expect((await admin.get('/users/me')).body).toMatchObject({ id: adminId, role: 'admin' })
    const { conversation } = await tenant.thread()
    const sent = await bea.muro.post(`/conversations/${conversation}/messages`, { content: 'Hi' })
    expect(sent.body).toMatchObject({ sender_id: bea.id })
    expect((await call(api.url, 'GET', '/api/v1/users/me')).status).toBe(401)
    const other = await bea.muro.patch('/users/me', { availability: 'away' })
    expect([other.status, other.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS'])
  })
})

describe('an availability', () => {
  it('is chosen by the user; by nobody else but an admin', async () => {
    const bea = await makeAgent('Bea')
    const cid = await makeAgent('Cid')
    for (const availability of ['away', 'busy', 'offline', 'online', 'busy']) {
      const answer = await bea.muro.patch(`/users/${bea.id}`, { availability })
      expect([answer.status, answer.body]).toEqual([200, (await admin.get(`/users/${bea.id}`)).body])
      expect(answer.body).toMatchObject({ availability })
    }
    for (const id of [cid.id, adminId]) {
      const answer = await bea.muro.patch(`/users/${id}`, { availability: 'offline' })
      expect([answer.status, answer.body]).toEqual([403, forbidden])
    }
    expect(await availabilities()).toEqual({ [adminId]: 'online', [bea.id]: 'busy', [cid.id]: 'online' })
    expect((await admin.patch(`/users/${bea.id}`, { availability: 'away' })).status).toBe(200)
    expect(await availabilities()).toMatchObject({ [bea.id]: 'away' })
  })

  it('is told to the workspace when it is another one, and to no site', async () => {
    const bea = await makeAgent('Bea')
    for (const availability of ['away', 'away', 'busy']) await bea.muro.patch(`/users/${bea.id}`, { availability })
    const { object: _, ...facts } = (await admin.get(`/users/${bea.id}`)).body as { object: string }
    const payload = { ...facts, changed: ['availability'] }
    expect(await api.eventsOf(tenant)).toEqual([
      { seq: 1, type: 'user.update', payload: { ...payload, availability: 'away' } },
      { seq: 2, type: 'user.update', payload },
    ])
    const [first] = await api.database
      .sql`select site_id, conversation_id from events where seq = 1 and type = 'user.update'`
    expect(first).toEqual({ site_id: null, conversation_id: null })
    // Of many who say the same at once one has changed something.
    await Promise.all(Array.from({ length: 10 }, () => admin.patch(`/users/${adminId}`, { availability: 'offline' })))
    expect(await api.eventsOf(tenant)).toHaveLength(3)
  })

  it('is one of four, and all that can be changed', async () => {
    for (const body of [{ availability: 'gone' }, { availability: null }, {}, { name: 'X' }, { role: 'admin' }]) {
      const answer = await admin.patch(`/users/${adminId}`, body)
      expect([body, answer.status, answer.body]).toEqual([
        body,
        400,
        muroError('invalid_request_error', 'invalid', 'availability'),
      ])
    }
    const answer = await admin.patch(`/users/${adminId}`, { availability: 'away', name: 'X', role: 'agent' })
    expect(answer.body).toMatchObject({ availability: 'away', name: 'Ada', role: 'admin' })
  })
})

describe('P4: users', () => {
  it('of another workspace are not there', async () => {
    const theirs = await api.makeTenant()
    const them = muroClient(api.url, theirs.apiKey)
    for (const id of [adminId, 'usr_unknown', 'nonsense', '%00', 'ME']) {
      for (const answer of [
        await them.get(`/users/${id}`),
        await them.patch(`/users/${id}`, { availability: 'offline' }),
      ]) {
        expect([id, answer.status, answer.body]).toEqual([id, 404, notFound])
      }
    }
    expect(pageOf(await them.get('/users')).ids).toEqual([theirs.agent.user.publicId])
    expect(await availabilities()).toEqual({ [adminId]: 'online' })
    const agent = await makeAgent('Bea')
    expect((await agent.muro.patch(`/users/${theirs.agent.user.publicId}`, { availability: 'away' })).status).toBe(404)
  })

  it('are shown to a key that is pinned to a site, which changes its own user only, also where that is an admin', async () => {
    const bea = await makeAgent('Bea', tenant.site)
    const pinnedAdmin = muroClient(api.url, (await tenant.makeKey(tenant.site)).key)
    for (const pinned of [bea.muro, pinnedAdmin]) {
      expect(pageOf(await pinned.get('/users')).ids).toEqual([adminId, bea.id])
      expect((await pinned.get(`/users/${adminId}`)).status).toBe(200)
    }
    expect((await bea.muro.patch(`/users/${bea.id}`, { availability: 'away' })).status).toBe(200)
    expect((await pinnedAdmin.patch(`/users/${adminId}`, { availability: 'busy' })).status).toBe(200)
    for (const answer of [
      await bea.muro.patch(`/users/${adminId}`, { availability: 'offline' }),
      await pinnedAdmin.patch(`/users/${bea.id}`, { availability: 'offline' }),
    ]) {
      expect([answer.status, answer.body]).toEqual([403, forbidden])
    }
    expect(await availabilities()).toEqual({ [adminId]: 'busy', [bea.id]: 'away' })
  })

  it('are read with the scope read and changed with the scope write', async () => {
    const { sql } = api.database
    const keyWith = async (scope: 'read' | 'write') =>
      muroClient(
        api.url,
        (await createKey(sql, tenant.workspace, { userRowId: tenant.adminRowId, scopes: [scope] })).key,
      )
    const reading = await keyWith('read')
    expect((await reading.get('/users/me')).status).toBe(200)
    expect((await reading.patch(`/users/${adminId}`, { availability: 'away' })).status).toBe(403)
    const writing = await keyWith('write')
    expect((await writing.get('/users/me')).status).toBe(403)
    expect((await writing.patch(`/users/${adminId}`, { availability: 'away' })).status).toBe(200)
  })
})
