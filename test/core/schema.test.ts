/** The schema that the migrations make, dumped beside them, so that a change of it is seen in review. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { freshDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await freshDatabase({ max: 1 })
})
afterAll(() => database.close())

it('server/db/schema.sql is what the migrations make (refresh it with npx vitest run -u test/core/schema)', async () => {
  const { sql } = database
  const columns = await sql<{ table_name: string; line: string }[]>`
    select c.relname as table_name,
           format('  %s %s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                  case when a.attnotnull then ' not null' else '' end,
                  case when a.attidentity <> '' then ' generated always as identity'
                       when d.adbin is not null then ' default ' || pg_get_expr(d.adbin, d.adrelid) else '' end) as line
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
     where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
     order by c.relname, a.attnum`
  const constraints = await sql<{ table_name: string; line: string }[]>`
    select conrelid::regclass::text as table_name, format('  constraint %s %s', conname, pg_get_constraintdef(oid)) as line
      from pg_constraint where connamespace = 'public'::regnamespace and contype <> 'n' order by 1, conname`
  const indexes = await sql<{ line: string }[]>`
    select indexdef || ';' as line from pg_indexes
     where schemaname = 'public' and indexname not in (select conname from pg_constraint) order by tablename, indexname`
  const functions = await sql<{ line: string }[]>`
    select pg_get_functiondef(p.oid) || ';' as line from pg_proc p
     where p.pronamespace = 'public'::regnamespace
       and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
     order by proname`
  const triggers = await sql<{ line: string }[]>`
    select pg_get_triggerdef(oid) || ';' as line from pg_trigger where not tgisinternal order by tgname`
  const linesOf = (rows: readonly { line: string }[]) => rows.map(({ line }) => line).join('\n')
  const tables = [...new Set(columns.map(({ table_name }) => table_name))]
  const dump = tables.map((table) => {
    const lines = [...columns, ...constraints].filter(({ table_name }) => table_name === table).map(({ line }) => line)
    return `create table ${table} (\n${lines.join(',\n')}\n);\n`
  })
  const text = `-- What the migrations make, dumped by test/core/schema.test.ts. Not run by anything.\n\n${dump.join('\n')}\n${[indexes, functions, triggers].map(linesOf).join('\n\n')}\n`
  await expect(text).toMatchFileSnapshot('../../server/db/schema.sql')
})
