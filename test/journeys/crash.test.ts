/** P1: what was answered survives `kill -9`, and no number is missing afterwards. */

import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openSql } from '../../server/db/sql.ts'
import { makeDirectory } from '../support/api.ts'
import { call, idOf } from '../support/http.ts'
import { type Program, startProgram } from '../support/program.ts'

const key = 'mr_live_crash-test-key-0123456789'
let dataDir: string
let program: Program

const start = () => startProgram({ DATA_DIR: dataDir, BOOTSTRAP_API_KEY: key, RATE_LIMIT_PER_MINUTE: '0' })

beforeAll(async () => {
  dataDir = await makeDirectory()
  program = await start()
})
afterAll(async () => {
  await program.stop()
  await rm(dataDir, { recursive: true, force: true })
})

it('ten times killed in the middle of writes, every answered write is there and no number is missing', async () => {
  const conversations = await Promise.all(
    [1, 2, 3, 4].map(async (n) => {
      const contact = await call(program.api, 'POST', '/api/v1/contacts', { key, body: { name: `Visitor ${n}` } })
      return idOf(
        await call(program.api, 'POST', '/api/v1/conversations', { key, body: { visitor_id: idOf(contact) } }),
      )
    }),
  )
  const answered: string[] = []

  for (let round = 0; round < 10; round += 1) {
    const enough = answered.length + 60
    const api = program.api
    let killed: Promise<void> | undefined
    const kill = async () => {
      // Every other time its Postgres dies with it, as on a machine that loses power.
      if (round % 2 === 1) process.kill(await postmaster(), 'SIGKILL')
      await program.kill()
    }
    await Promise.all(
      Array.from({ length: 8 }, async (_, writer) => {
        for (let turn = 0; killed === undefined; turn += 1) {
          const path = `/api/v1/conversations/${conversations[(writer + turn) % conversations.length]}/messages`
          const sent = await call(api, 'POST', path, { key, body: { content: `${round}/${writer}/${turn}` } }).catch(
            () => undefined,
          )
          if (sent?.status === 201) answered.push(idOf(sent))
          if (answered.length >= enough) killed ??= kill()
        }
      }),
    )
    await killed
    program = await start()
  }

  const { postgres_password: password } = JSON.parse(await readFile(join(dataDir, 'secrets.json'), 'utf8'))
  const port = (await pidFile())[3]
  const sql = openSql(`postgres://hubbub:${password}@127.0.0.1:${port}/hubbub`, { max: 1, name: 'test' })
  const rows = await sql<{ public_id: string }[]>`select public_id from messages`
  const kept = new Set(rows.map(({ public_id }) => public_id))
  expect(answered.length).toBeGreaterThanOrEqual(600)
  expect(answered.filter((id) => !kept.has(id))).toEqual([])
  const [log] = await sql`
    select count(*)::int as rows, min(seq)::int as first, max(seq)::int as newest,
           (select seq::int from workspace_heads) as head from events`
  expect(log).toEqual({ rows: log?.head, first: 1, newest: log?.head, head: log?.head })
  const torn = await sql`
    select c.public_id from conversations c join events e on e.conversation_id = c.id
     group by c.id having count(*) <> max(c.seq) or max(e.conversation_seq) <> max(c.seq)`
  expect(torn).toEqual([])
  await sql.end()
}, 240_000)

const pidFile = async () => (await readFile(join(dataDir, 'postgres/postmaster.pid'), 'utf8')).split('\n')
const postmaster = async () => Number((await pidFile())[0])
