/** What a chat message costs for each socket that hears it; at a bare server, an event about as long. */

import { orgChannel } from '../schema/channels.ts'
import { migrate } from '../server/db/migrate.ts'
import { openSql } from '../server/db/sql.ts'
import { makeTenant } from '../test/support/tenant.ts'
import type { Clients } from './clients.ts'
import { cpuOf, quiet } from './cpu.ts'
import { openPublisher, postRequest, publishRequest } from './publisher.ts'
import type { Server, Thread } from './servers.ts'

const content = 'On it: give me five minutes for an answer. '.repeat(4)
const frameAround = 420

/** Makes a workspace with a conversation in an empty database. */
export const makeThread = async (databaseUrl: string): Promise<Thread> => {
  const sql = openSql(databaseUrl, { max: 1, name: 'bench' })
  try {
    await migrate(sql)
    const { apiKey, workspace, thread } = await makeTenant({ sql, bus: { publish: () => undefined } })
    const { conversation } = await thread()
    return { apiKey, conversation, channel: orgChannel(workspace.publicId) }
  } finally {
    await sql.end({ timeout: 5 })
  }
}

/** Measures messages written one at a time: µs for each delivery, without what one takes that a single socket hears. */
export const chatCost = async (server: Server, clients: Clients, sockets: number): Promise<number> => {
  const { port, channel, request } = messageTo(server)
  const publisher = await openPublisher(port, 1)

  const write = async (messages: number) => {
    for (let n = 0; n < messages; n += 1) {
      await publisher.send([request])
      await clients.arrived(1)
    }
  }
  const costTo = async (count: number, messages: number) => {
    await clients.open(server.port, server.path, Array<string>(count).fill(channel), server.app)
    await write(messages / 4)
    await quiet(server.pid)
    const before = cpuOf(server.pid)
    await write(messages)
    const cost = (cpuOf(server.pid) - before) / messages
    await clients.close()
    return cost
  }

  try {
    const toOne = await costTo(1, 200)
    return ((await costTo(sockets, 60)) - toOne) / (sockets - 1)
  } finally {
    publisher.close()
  }
}

const messageTo = ({ port, events, chat }: Server): { port: number; channel: string; request: Buffer } => {
  if (!chat) {
    const event = { name: 'message.new', channel: 'lobby', data: 'x'.repeat(frameAround - 51 + content.length) }
    return { port, channel: event.channel, request: publishRequest(events, event) }
  }
  const { apiKey, conversation, channel } = chat.thread
  const path = `/api/v1/conversations/${conversation}/messages`
  const request = postRequest(path, JSON.stringify({ content }), `Authorization: Bearer ${apiKey}\r\n`)
  return { port: chat.port, channel, request }
}
