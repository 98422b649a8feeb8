/** A reconnect storm: 2,000 sockets come back at once with `since`, while messages are written and heard. */

import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { signChannel } from '../auth/channel-signature.ts'
import { orgChannel } from '../schema/channels.ts'
import { migrate } from '../server/db/migrate.ts'
import { openSql } from '../server/db/sql.ts'
import { call } from '../test/support/http.ts'
import { makeTenant, type Tenant } from '../test/support/tenant.ts'
import { startChild } from './child.ts'
import { cpuOf, cpuOfFamily } from './cpu.ts'
import { app, startHubbub, withPostgres } from './program.ts'
import type { StormAnswer, StormQuestion } from './storm-sockets.ts'

const sockets = 2000
const workspaces = 20
/** Between two messages, in ms, and how long it is watched in quiet. */
const pace = 20
const quiet = 5000

/** Times in ms: of the answer to a POST, and from the POST to the frame at a socket that was there all the time. */
type Times = { post: number[]; frame: number[] }

/** Runs the benchmark and prints a table. */
export const benchStorm = (): Promise<void> =>
  withPostgres(async (databaseUrl, postgres) => {
    const sql = openSql(databaseUrl, { max: 4, name: 'bench' })
    await migrate(sql)
    const context = { sql, bus: { publish: () => undefined } }
    const tenants: Tenant[] = []
    for (let n = 0; n < workspaces; n += 1) tenants.push(await makeTenant(context))
    const [first] = tenants
    if (!first) return
    const { conversation } = await first.thread()
    const program = await startHubbub(databaseUrl)
    const child = startChild('storm-sockets.ts')
    try {
      const api = Number(new URL(program.api).port)
      const path = `/app/${app.key}?protocol=7&client=js&version=8.6.0`
      const keys = tenants.map(({ apiKey: key, workspace }) => ({ key, channel: orgChannel(workspace.publicId) }))
      const connect = { sockets, api, realtime: program.realtimePort, path, keys }
      await child.ask<StormAnswer>({ connect } satisfies StormQuestion)
      const live = await listen(`ws://127.0.0.1:${program.realtimePort}${path}`, orgChannel(first.workspace.publicId))

      const before = await watch(sleep(quiet), program.api, first, conversation, live)
      const spent = () => cpuOf(program.child.pid ?? 0) + cpuOfFamily(postgres)
      const began = spent()
      let answer: StormAnswer | undefined
      const storm = child.ask<StormAnswer>({ comeBack: true }).then((given) => {
        answer = given
      })
      const during = await watch(storm, program.api, first, conversation, live)
      const each = Math.round((spent() - began) / sockets)
      console.log(`CPU of one that comes back, the messages meanwhile included: ${each} µs in all`)
      console.log(
        `${answer?.recovered} of ${answer?.sockets} recovered, the last after ${Math.round(answer?.last ?? 0)} ms`,
      )
      for (const [name, times] of [
        ['before', before],
        ['meanwhile', during],
      ] as const) {
        const { post, frame } = times
        console.log(
          `${name}: POST p50 ${at(post, 0.5)} p99 ${at(post, 0.99)} ms, POST to frame p50 ${at(frame, 0.5)} p99 ${at(frame, 0.99)} ms (${post.length} messages)`,
        )
      }
    } finally {
      await child.stop()
      await program.stop()
      await sql.end({ timeout: 5 })
    }
  })

/** Writes at an even pace until something is over, and measures each message. */
const watch = async (
  over: Promise<unknown>,
  api: string,
  { apiKey }: Tenant,
  conversation: string,
  heard: Map<string, number>,
): Promise<Times> => {
  let isOver = false
  void over.then(() => {
    isOver = true
  })
  const times: Times = { post: [], frame: [] }
  const sent = new Map<string, number>()
  const posts: Promise<void>[] = []
  while (!isOver) {
    const content = randomUUID()
    const begun = performance.now()
    sent.set(content, begun)
    posts.push(
      call(api, 'POST', `/api/v1/conversations/${conversation}/messages`, { key: apiKey, body: { content } }).then(
        ({ status }) => {
          if (status !== 201) throw new Error(`a message was answered ${status}`)
          times.post.push(performance.now() - begun)
        },
      ),
    )
    await sleep(pace)
  }
  await Promise.all(posts)
  await sleep(500)
  for (const [content, begun] of sent) times.frame.push((heard.get(content) ?? Number.POSITIVE_INFINITY) - begun)
  return times
}

/** Subscribes as the operator and keeps when each content was heard. */
const listen = async (url: string, channel: string): Promise<Map<string, number>> => {
  const heard = new Map<string, number>()
  const socket = new WebSocket(url)
  const [greeting] = await once(socket, 'message')
  const { socket_id } = JSON.parse(JSON.parse(String(greeting)).data)
  socket.send(
    JSON.stringify({ event: 'pusher:subscribe', data: { channel, auth: signChannel(app, socket_id, channel) } }),
  )
  await once(socket, 'message')
  socket.on('message', (message) => {
    const { event, data } = JSON.parse(String(message))
    if (event === 'message.new') heard.set(JSON.parse(data).content, performance.now())
  })
  return heard
}

const at = (values: number[], share: number): string =>
  (
    [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN
  ).toFixed(1)
