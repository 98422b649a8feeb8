/** Upgrades: what the migrations make of a database that was in use before, and where they may not be made. */

import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { migrate } from '../../server/db/migrate.ts'
import { openSql, type Sql } from '../../server/db/sql.ts'
import { sortSearch } from '../../server/domain/search.ts'
import { emptyDatabase, runOn } from '../support/postgres.ts'

const open = (url: string): Sql => {
  const sql = openSql(url, { max: 1, name: 'test' })
  onTestFinished(() => sql.end())
  return sql
}

/** Makes a database as a program of the first version left it. */
const firstVersion = async (): Promise<Sql> => {
  const sql = open(await emptyDatabase())
  const text = await readFile(new URL('../../server/db/migrations/0001_core.sql', import.meta.url), 'utf8')
  await sql.unsafe(text)
  await sql.unsafe(`
    create table schema_migrations (
      version integer primary key, name text not null, checksum text not null,
      applied_at timestamptz not null default clock_timestamp()
    )`)
  const checksum = createHash('sha256').update(text).digest('hex')
  await sql`insert into schema_migrations (version, name, checksum) values (1, '0001_core.sql', ${checksum})`
  return sql
}

it('events of before are given the site of their conversation, or of their contact', async () => {
  const sql = await firstVersion()
  await sql.unsafe(`
    insert into workspaces (public_id, name) values ('org_a', 'A'), ('org_b', 'B');
    insert into sites (public_id, widget_id, workspace_id, number, name, site_key)
      select 'web_' || w.id || n, 'wgt_' || w.id || n, w.id, n, 'S', 'site_' || w.id || n
        from workspaces w, generate_series(1, 2) n;
    insert into contacts (public_id, workspace_id, site_id, number)
      select 'vis_' || id, workspace_id, id, number from sites;
    insert into conversations (public_id, workspace_id, number, site_id, contact_id)
      select 'cnv_' || id, workspace_id, number, site_id, id from contacts;
    insert into events (workspace_id, seq, public_id, type, conversation_id, conversation_seq, payload)
      select c.workspace_id, c.number, 'in ' || s.public_id, 'message.new', c.id, 1, '{}'
        from conversations c join sites s on s.id = c.site_id;
    insert into events (workspace_id, seq, public_id, type, payload)
      select v.workspace_id, 10 + v.number, 'of ' || s.public_id, 'contact.update', json_build_object('website_id', s.public_id)
        from contacts v join sites s on s.id = v.site_id;
    insert into events (workspace_id, seq, public_id, type, payload)
      values (1, 20, 'of none', 'contact.update', '{"website_id": "web_none"}'), (1, 21, 'of nobody', 'contact.update', '{}');
  `)
  await migrate(sql)
  const events = await sql`
    select e.public_id, s.public_id as site from events e left join sites s on s.id = e.site_id order by e.workspace_id, seq`
  expect([...events]).toEqual([
    { public_id: 'in web_11', site: 'web_11' },
    { public_id: 'in web_12', site: 'web_12' },
    { public_id: 'of web_11', site: 'web_11' },
    { public_id: 'of web_12', site: 'web_12' },
    { public_id: 'of none', site: null },
    { public_id: 'of nobody', site: null },
    { public_id: 'in web_21', site: 'web_21' },
    { public_id: 'in web_22', site: 'web_22' },
    { public_id: 'of web_21', site: 'web_21' },
    { public_id: 'of web_22', site: 'web_22' },
  ])
})

it('keys of before are not pinned, and stand as they stood', async () => {
  const sql = await firstVersion()
  await sql.unsafe(`
    insert into workspaces (public_id, name) values ('org_a', 'A');
    insert into users (public_id, workspace_id, number, name, email, role) values ('usr_a', 1, 1, 'A', 'a@example.com', 'admin');
    insert into api_keys (public_id, workspace_id, user_id, hash, last4, scopes) values ('key_a', 1, 1, 'x', 'xxxx', '{read}');
  `)
  await migrate(sql)
  expect([...(await sql`select site_id, version from api_keys`)]).toEqual([{ site_id: null, version: 1 }])
})

describe('where the user of the database may not make extensions', () => {
  /** Makes an empty database whose tables an ordinary user may make, and no more; returns its two addresses. */
  const plainDatabase = async (): Promise<{ admin: string; plain: string }> => {
    const admin = await emptyDatabase()
    const role = `plain_${randomBytes(4).toString('hex')}`
    await runOn(admin, `create role ${role} login password 'plain'`)
    await runOn(admin, `grant usage, create on schema public to ${role}`)
    onTestFinished(async () => {
      await runOn(admin, `drop owned by ${role}`)
      await runOn(admin, `drop role ${role}`)
    })
    const plain = new URL(admin)
    plain.username = role
    plain.password = 'plain'
    return { admin, plain: plain.href }
  }

  it('the migration is one line that says what an administrator has to do, and nothing is left half-way', async () => {
    const { admin, plain } = await plainDatabase()
    const sql = openSql(plain, { max: 1, name: 'test' })
    const refusal = await migrate(sql).then(String, (error: unknown) => error)
    await sql.end()
    expect(refusal).toMatchObject({
      name: 'StartError',
      message: expect.stringMatching(
        /^0004_search\.sql: permission denied to create extension "pg_trgm"\. Have an administrator run in this database: create extension pg_trgm; create extension btree_gin;$/,
      ),
    })
    expect(await runOn(admin, "select 1 from pg_tables where schemaname = 'public'")).toEqual([])
  })

  it('the migration runs once an administrator has made them', async () => {
    const { admin, plain } = await plainDatabase()
    await runOn(admin, 'create extension pg_trgm; create extension btree_gin;')
    const sql = openSql(plain, { max: 1, name: 'test' })
    expect(await migrate(sql)).toBeGreaterThanOrEqual(4)
    await sortSearch(sql)
    await sql.end()
  })
})
