/** Message writes against a bare single-row INSERT, with 16 writers; and how long a message takes to a subscriber. */

import { createHash, createHmac, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { WebSocket } from 'ws'
import { orgChannel } from '../schema/channels.ts'
import { migrate } from '../server/db/migrate.ts'
import { openSql, type Sql } from '../server/db/sql.ts'
import type { Context } from '../server/domain/context.ts'
import { sendMessage } from '../server/domain/messages.ts'
import { makeTenant, type Tenant } from '../test/support/tenant.ts'
import { cpuOf, cpuOfFamily } from './cpu.ts'
import { median } from './figures.ts'
import { app, startHubbub, withPostgres } from './program.ts'

const writers = 16
const seconds = 3
const content = 'On it: give me five minutes and I will have an answer for you. '.repeat(3)

type Thread = { tenant: Tenant; conversation: string }

/** Runs the benchmark and prints a table. */
export const benchWrite = (): Promise<void> =>
  withPostgres(async (databaseUrl, postgres) => {
    const sql = openSql(databaseUrl, { max: writers, name: 'bench' })
    try {
      await migrate(sql)
      await sql`create table bare (id text primary key, content text not null, created_at timestamptz not null default now())`
      await compare(sql, databaseUrl, postgres)
    } finally {
      await sql.end({ timeout: 5 })
    }
  })

const compare = async (sql: Sql, databaseUrl: string, postgres: number): Promise<void> => {
  const context: Context = { sql, bus: { publish: () => undefined } }
  const many = await makeThreads(context, 64)
  const one = await makeThreads(context, 1, 64)
  const program = await startHubbub(databaseUrl)
  try {
    const bare = () => sql`insert into bare (id, content) values (${randomUUID()}, ${content})`
    const append = (threads: Thread[]) => (n: number) => {
      const { tenant, conversation } = pick(threads, n)
      return sendMessage(context, tenant.agent, conversation, { content, kind: 'agent' })
    }
    const claimed = (n: number) => {
      const { tenant, conversation } = pick(many, n)
      const fingerprint = createHash('sha256').update(content).digest()
      const claim = { owner: tenant.agent.key.publicId, route: `POST ${conversation}`, key: randomUUID(), fingerprint }
      return sendMessage(context, tenant.agent, conversation, { content, kind: 'agent' }, claim)
    }
    let posted = 0
    const rest = (n: number) => {
      posted += 1
      return post(program.api, pick(many, n), true)
    }
    const spent = () => [cpuOf(program.child.pid ?? 0), cpuOfFamily(postgres)] as const

    await rate(bare, 1)
    const before = await rate(bare)
    const rows: [string, number][] = [
      ['append, many workspaces', await rate(append(many))],
      ['append with an idempotency row, many workspaces', await rate(claimed)],
      ['append, one workspace', await rate(append(one))],
    ]
    const began = spent()
    rows.push(['REST with key, idempotency, log and publish, many workspaces', await rate(rest)])
    const [ofProgram, ofPostgres] = spent().map((cpu, n) => Math.round((cpu - (began[n] ?? 0)) / posted))
    const after = await rate(bare)
    const limit = (before + after) / 2
    console.log(`bare INSERT, ${writers} writers: ${Math.round(before)}/s before, ${Math.round(after)}/s after`)
    for (const [name, perSecond] of rows) {
      console.log(`${name}: ${Math.round(perSecond)}/s, ${(perSecond / limit).toFixed(2)} of bare`)
    }
    console.log(`CPU of a REST message: ${ofProgram} µs in the program, ${ofPostgres} µs in Postgres`)
    await latency(sql, program, pick(many, 0))
  } finally {
    await program.stop()
  }
}

const makeThreads = async (context: Context, tenants: number, threads = 1): Promise<Thread[]> => {
  const made: Thread[] = []
  for (let t = 0; t < tenants; t += 1) {
    const tenant = await makeTenant(context)
    for (let n = 0; n < threads; n += 1) made.push({ tenant, conversation: (await tenant.thread()).conversation })
  }
  return made
}

const pick = (threads: Thread[], n: number): Thread => {
  const thread = threads[n % threads.length]
  if (!thread) throw new Error('no thread')
  return thread
}

/** Runs an act by all writers at once for a while and returns how many were done in a second. */
const rate = async (act: (n: number) => PromiseLike<unknown>, during = seconds): Promise<number> => {
  const begun = performance.now()
  let done = 0
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      for (let n = writer; performance.now() - begun < during * 1000; n += writers) {
        await act(n)
        done += 1
      }
    }),
  )
  return done / ((performance.now() - begun) / 1000)
}

const agent = new Agent({ keepAlive: true, maxSockets: writers })

const post = async (api: string, { tenant, conversation }: Thread, once_: boolean): Promise<void> => {
  const body = JSON.stringify({ content })
  const sent = request(`${api}/api/v1/conversations/${conversation}/messages`, {
    agent,
    method: 'POST',
    headers: {
      Authorization: `Bearer ${tenant.apiKey}`,
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
      ...(once_ ? { 'Idempotency-Key': randomUUID() } : {}),
    },
  })
  sent.end(body)
  const [answer] = await once(sent, 'response')
  if (answer.statusCode !== 201) throw new Error(`POST was answered ${answer.statusCode}`)
  answer.resume()
  await once(answer, 'end')
}

/** Prints the medians of a bare INSERT, of a POST, and of the time from a POST to its frame, one at a time. */
const latency = async (sql: Sql, program: { api: string; realtimePort: number }, thread: Thread): Promise<void> => {
  const socket = new WebSocket(`ws://127.0.0.1:${program.realtimePort}/app/${app.key}?protocol=7`)
  const channel = orgChannel(thread.tenant.workspace.publicId)
  let heard: (() => void) | undefined
  const subscribed = new Promise<void>((resolve) => {
    socket.on('message', (frame) => {
      const { event, data } = JSON.parse(String(frame))
      if (event === 'pusher:connection_established') {
        const signed = `${JSON.parse(data).socket_id}:${channel}`
        const signature = createHmac('sha256', app.secret).update(signed).digest('hex')
        const auth = `${app.key}:${signature}`
        socket.send(JSON.stringify({ event: 'pusher:subscribe', data: { channel, auth } }))
      } else if (event === 'pusher_internal:subscription_succeeded') resolve()
      else if (event === 'message.new') heard?.()
    })
  })
  await subscribed
  const inserts: number[] = []
  const posts: number[] = []
  const frames: number[] = []
  for (let n = 0; n < 500; n += 1) {
    const begun = performance.now()
    await sql`insert into bare (id, content) values (${randomUUID()}, ${content})`
    inserts.push(performance.now() - begun)
    const sent = performance.now()
    const frame = new Promise<number>((resolve) => {
      heard = () => resolve(performance.now() - sent)
    })
    await post(program.api, thread, false)
    posts.push(performance.now() - sent)
    frames.push(await frame)
  }
  socket.close()
  const p50 = (times: number[]) => median(times).toFixed(2)
  console.log(`p50 at low load: INSERT ${p50(inserts)} ms, POST ${p50(posts)} ms, POST to frame ${p50(frames)} ms`)
}
