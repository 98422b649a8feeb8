/** Keys as they change: every change is counted and told, by whatever path it comes. */

import { createHash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { decodeKeyNotice } from '../../schema/key-notice.ts'
import { listen } from '../../server/db/listen.ts'
import type { Context } from '../../server/domain/context.ts'
import { announceKey, expireKey, findKey, keyChanges, keyStates, pinKey, revokeKey } from '../../server/domain/keys.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { makeTenant, type Tenant } from '../support/tenant.ts'

let database: TestDatabase
let context: Context
let published: [subject: string, message: string][]
let heard: string[]
let listener: { close(): Promise<void> }
let tenant: Tenant
beforeAll(async () => {
  database = await freshDatabase({ max: 4 })
  context = { sql: database.sql, bus: { publish: (subject, message) => published.push([subject, message]) } }
  heard = []
  await new Promise<void>((ready) => {
    const onState = (listening: boolean) => listening && ready()
    listener = listen(database.url, keyChanges, { onNotice: (payload) => heard.push(payload), onState })
  })
  tenant = await makeTenant(context)
})
afterAll(async () => {
  await listener.close()
  await database.close()
})
beforeEach(() => {
  published = []
})

/** Returns what was told of keys while something was done, in order. */
const toldOf = async (act: () => PromiseLike<unknown>): Promise<string[]> => {
  const before = heard.length
  await act()
  const end = `end ${Math.random()}`
  await database.sql`select pg_notify(${keyChanges}, ${end})`
  await expect.poll(() => heard.at(-1), { interval: 2 }).toBe(end)
  return heard.slice(before, -1)
}

const versionOf = async (id: string) => (await keyStates(database.sql, [id])).get(id)?.version

it('a key is kept as its hash alone: no row has its text', async () => {
  const { id, key } = await tenant.makeKey()
  const rows = await database.sql<{ row: Record<string, unknown> }[]>`
    select to_jsonb(k) as row from api_keys k where public_id = ${id}`
  expect(rows).toHaveLength(1)
  const hash = createHash('sha256').update(key).digest('hex')
  expect(JSON.stringify(rows)).toContain(hash)
  expect(JSON.stringify(rows)).not.toContain(key.replace('mr_live_', ''))
})

describe('a change of a key', () => {
  it('is told once and counted once: of its end, its pin, its scopes and its user', async () => {
    const { id } = await tenant.makeKey()
    const { sql } = database
    const second = await tenant.makeSite()
    const changes: (() => PromiseLike<unknown>)[] = [
      () => expireKey({ sql }, tenant.workspace, id, new Date('2990-01-01')),
      () => pinKey({ sql }, tenant.workspace, id, tenant.site.ref),
      () => pinKey({ sql }, tenant.workspace, id, second.ref),
      () => sql`update api_keys set site_id = null where public_id = ${id}`,
      () => sql`update api_keys set scopes = '{read}' where public_id = ${id}`,
      () => sql`
        with bo as (
          insert into users (public_id, workspace_id, number, name, email, role)
          values ('usr_bo', ${tenant.workspace.id}, 99, 'Bo', 'bo@example.com', 'agent') returning id
        ) update api_keys set user_id = bo.id from bo where public_id = ${id}`,
      () => sql`update api_keys set expires_at = null where public_id = ${id}`,
      () => revokeKey({ sql }, tenant.workspace, id),
    ]
    for (const [index, change] of changes.entries()) {
      expect(await toldOf(change)).toEqual([id])
      expect(await versionOf(id)).toBe(index + 2)
    }
  })

  it('that changes nothing is not told, and a number set by hand does not stand', async () => {
    const { id } = await tenant.makeKey(tenant.site)
    const { sql } = database
    await toldOf(() => revokeKey({ sql }, tenant.workspace, id))
    const changes: (() => PromiseLike<unknown>)[] = [
      () => revokeKey({ sql }, tenant.workspace, id),
      () => pinKey({ sql }, tenant.workspace, id, tenant.site.ref),
      () => sql`update api_keys set last4 = 'abcd' where public_id = ${id}`,
      () => sql`update api_keys set version = 1 where public_id = ${id}`,
    ]
    for (const change of changes) {
      expect(await toldOf(change)).toEqual([])
      expect(await versionOf(id)).toBe(2)
    }
  })

  it('that is rolled back is not told', async () => {
    const { id } = await tenant.makeKey()
    const rolledBack = () =>
      database.sql
        .begin(async (tx) => {
          await revokeKey({ sql: tx }, tenant.workspace, id)
          throw new Error('no')
        })
        .catch(() => undefined)
    expect(await toldOf(rolledBack)).toEqual([])
    expect(await versionOf(id)).toBe(1)
  })

  it('is told of every key that one statement changes, and of a key that is removed', async () => {
    const ids = [(await tenant.makeKey()).id, (await tenant.makeKey()).id]
    const change = () => database.sql`update api_keys set expires_at = now() where public_id = any(${ids})`
    expect((await toldOf(change)).sort()).toEqual([...ids].sort())
    const remove = () => database.sql`delete from api_keys where public_id = any(${ids})`
    expect((await toldOf(remove)).sort()).toEqual([...ids].sort())
    expect(await keyStates(database.sql, ids)).toEqual(new Map())
  })
})

describe('how a key stands', () => {
  it('is what ends it, and when', async () => {
    const { sql } = database
    const [good, ending, ended, revoked] = [
      await tenant.makeKey(),
      await tenant.makeKey(),
      await tenant.makeKey(),
      await tenant.makeKey(),
    ]
    await expireKey({ sql }, tenant.workspace, ending.id, new Date('2990-01-01T00:00:00.999Z'))
    await expireKey({ sql }, tenant.workspace, ended.id, new Date('2020-01-01'))
    await expireKey({ sql }, tenant.workspace, revoked.id, new Date('2020-01-01'))
    await revokeKey({ sql }, tenant.workspace, revoked.id)
    const states = await keyStates(sql, [good.id, ending.id, ended.id, revoked.id, 'key_unknown', 'nonsense'])
    expect(states).toEqual(
      new Map([
        [good.id, { version: 1, refusal: undefined, expires: undefined }],
        [ending.id, { version: 2, refusal: undefined, expires: Date.parse('2990-01-01') / 1000 }],
        [ended.id, { version: 2, refusal: 'expired', expires: Date.parse('2020-01-01') / 1000 }],
        [revoked.id, { version: 3, refusal: 'revoked', expires: Date.parse('2020-01-01') / 1000 }],
      ]),
    )
    expect(await keyStates(sql, [])).toEqual(new Map())
  })

  it('is announced to every hub; a key that is gone is revoked for good', async () => {
    const { sql } = database
    const { id } = await tenant.makeKey()
    const announced = async (key = id) => {
      published = []
      await announceKey(context, key)
      return published.map(([subject, message]) => [subject, decodeKeyNotice(message)])
    }
    await pinKey({ sql }, tenant.workspace, id, tenant.site.ref)
    expect(await announced()).toEqual([['control', { key: id, version: 2, fate: 'changed' }]])
    await expireKey({ sql }, tenant.workspace, id, new Date('2020-01-01'))
    expect(await announced()).toEqual([['control', { key: id, version: 3, fate: 'expired' }]])
    await revokeKey({ sql }, tenant.workspace, id)
    expect(await announced()).toEqual([['control', { key: id, version: 4, fate: 'revoked' }]])
    await sql`delete from api_keys where public_id = ${id}`
    expect(await announced()).toEqual([['control', { key: id, version: Number.MAX_SAFE_INTEGER, fate: 'revoked' }]])
    for (const nonsense of ['', 'nonsense', "key_'", 'key_a b', 'key_a\n'])
      expect(await announced(nonsense)).toEqual([])
  })
})

describe('a pin', () => {
  it('is found with the key, by its site and its version', async () => {
    const { key, agent } = await tenant.makeKey(tenant.site)
    expect(agent).toMatchObject({ site: tenant.site.ref, key: { version: 1 } })
    await pinKey(context, tenant.workspace, agent.key.publicId, (await tenant.makeSite()).ref)
    expect((await findKey(database.sql, key))?.scope).toMatchObject({ key: { version: 2 } })
    expect(tenant.agent).toMatchObject({ site: null, key: { version: 1 } })
  })

  it('is never of another workspace, and its site cannot be removed, which would open the rest', async () => {
    const other = await makeTenant(context)
    const { id } = await tenant.makeKey(tenant.site)
    await expect(pinKey(context, tenant.workspace, id, other.site.ref)).rejects.toThrow(/foreign key/)
    await expect(pinKey(context, other.workspace, id, other.site.ref)).rejects.toMatchObject({ code: 'not_found' })
    const empty = await tenant.makeSite()
    await pinKey(context, tenant.workspace, id, empty.ref)
    await expect(database.sql`delete from sites where id = ${empty.ref.id}`.execute()).rejects.toThrow(/foreign key/)
  })
})
