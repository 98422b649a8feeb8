/** The clients that people use, against two nodes in turn: nothing is kept between requests, so any node answers any of them. */

import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Conversation, connect, work } from '../../examples/mcp-session.mjs'
import { toolInputs } from '../../schema/mcp.ts'
import { receiveMessage } from '../../server/domain/messages.ts'
import { type Api, startApi } from '../support/api.ts'
import { muroClient, pageOf } from '../support/http.ts'
import type { Tenant, Thread } from '../support/tenant.ts'

let api: Api
let tenant: Tenant
beforeAll(async () => {
  api = await startApi({}, { rest: 2, realtime: 0 })
  tenant = await api.makeTenant()
})
afterAll(() => api.close())

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A thread in which a visitor has said something. */
const ask = async (text: string): Promise<Thread> => {
  const thread = await tenant.thread()
  const { sql } = api.database
  await receiveMessage({ sql, bus: { publish: () => undefined } }, thread.visitor, text)
  return thread
}

/** Connects over HTTP; each request goes to the other node. */
const openClient = async (mode: 'auto' | 'legacy'): Promise<Client> => {
  const nodes = api.fleet?.rest.map(({ program }) => program.api) ?? []
  const asked = new Set<string>()
  let turn = 0
  const inTurn: typeof fetch = async (url, init) => {
    turn += 1
    const node = nodes[turn % nodes.length] ?? ''
    asked.add(node)
    return await fetch(new URL(new URL(String(url)).pathname, node), init)
  }
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } })
  const requestInit = { headers: { Authorization: `Bearer ${tenant.apiKey}` } }
  await client.connect(new StreamableHTTPClientTransport(new URL(`${api.url}/api/mcp`), { requestInit, fetch: inTurn }))
  onTestFinished(async () => {
    await client.close()
    expect(asked.size).toBe(2)
  })
  return client
}

/** Connects through the bridge, as a client does that only starts programs. */
const openBridge = async (): Promise<Client> => {
  const home = await mkdtemp(join(tmpdir(), 'hubbub-mcp-remote-'))
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [
      join(root, 'node_modules/.bin/mcp-remote'),
      `${api.url}/api/mcp`,
      '--header',
      `Authorization: Bearer ${tenant.apiKey}`,
    ],
    env: { PATH: process.env.PATH ?? '', HOME: home, MCP_REMOTE_CONFIG_DIR: home },
    stderr: 'ignore',
  })
  const client = new Client({ name: 'test', version: '1' })
  await client.connect(transport)
  onTestFinished(async () => {
    await client.close()
    await rm(home, { recursive: true, force: true })
  })
  return client
}

const opened = {
  'the official client, of 2026': () => openClient('auto'),
  'the official client, of 2025': () => openClient('legacy'),
  'mcp-remote': openBridge,
}

describe.each(Object.entries(opened))('%s', (name, open) => {
  it('lists the tools, with schemas that it can check answers with', async () => {
    const client = await open()
    expect(client.getServerVersion()).toMatchObject({ name: 'hubbub', title: 'Hubbub' })
    expect(client.getInstructions()).toContain('list_conversations')
    const { tools } = await client.listTools()
    expect(tools.map((tool) => tool.name)).toEqual(Object.keys(toolInputs))
    if (name.endsWith('2026')) expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28')
    if (name.endsWith('2025')) expect(client.getNegotiatedProtocolVersion()).toBe('2025-11-25')
  })

  it('finds, reads, replies and closes', async () => {
    const wanted = await ask(`Where is my refund? (${name})`)
    const other = await ask('Something else.')
    const client = await open()
    const read: Conversation[] = []
    const told: unknown[] = []
    await work(client, {
      find: `refund? (${name})`,
      answer: (conversation) => {
        read.push(conversation)
        return 'On its way.'
      },
      tell: (closed) => told.push(closed),
    })
    expect(read).toMatchObject([
      { id: wanted.conversation, visitor: { name: 'Vita' }, messages: [{ sender_type: 'visitor' }] },
    ])
    expect(told).toMatchObject([{ id: wanted.conversation, status: 'closed', unread_count: 0 }])
    const muro = muroClient(api.url, tenant.apiKey)
    const { data } = pageOf(await muro.get(`/conversations/${wanted.conversation}/messages`))
    expect(data.map(({ content, sender_type }) => [sender_type, content])).toEqual([
      ['visitor', `Where is my refund? (${name})`],
      ['agent', 'On its way.'],
    ])
    expect((await muro.get(`/conversations/${other.conversation}`)).body).toMatchObject({ status: 'open' })
    // The reply is told as every message is.
    const events = (await api.eventsOf(tenant)).filter(({ payload }) => payload.content === 'On its way.')
    expect(events.filter(({ payload }) => payload.conversation_id === wanted.conversation)).toHaveLength(1)
  })

  it('hears from a tool what is wrong', async () => {
    const client = await open()
    await client.listTools()
    const answer = await client.callTool({ name: 'get_conversation', arguments: { conversation_id: 'cnv_unknown' } })
    expect(answer).toMatchObject({
      isError: true,
      content: [{ type: 'text', text: expect.stringContaining('not_found') }],
    })
    await expect(client.callTool({ name: 'no_such_tool', arguments: {} })).rejects.toThrow('no_such_tool')
  })
})

it('the example runs as its first lines say', async () => {
  const { conversation } = await ask('A question of the example.')
  const run = async () => {
    const file = join(root, 'examples/mcp-session.mjs')
    const child = spawn(process.execPath, [file, api.url, tenant.apiKey, 'of the example', 'An answer.'])
    let printed = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (printed += chunk))
    await new Promise((resolve) => child.on('close', resolve))
    return printed
  }
  expect(await run()).toBe(`${conversation} closed, answered Vita\n`)
  expect(await run()).toBe('')
})

it('a session that is cut off and begins again answers once', async () => {
  const { conversation } = await ask('A session that breaks.')
  const client = await connect(api.url, tenant.apiKey)
  const cut = {
    callTool: async (asked: Parameters<Client['callTool']>[0]) => {
      if (asked.name === 'update_conversation') throw new Error('cut off')
      return await client.callTool(asked)
    },
  }
  const again = { find: 'that breaks', tell: () => undefined }
  const broken = Object.assign(Object.create(client), cut)
  await expect(work(broken, { ...again, answer: () => 'Only once.' })).rejects.toThrow('cut off')
  await work(client, { ...again, answer: () => 'In other words.' })
  await client.close()
  const muro = muroClient(api.url, tenant.apiKey)
  expect((await muro.get(`/conversations/${conversation}`)).body).toMatchObject({ status: 'closed' })
  const { data } = pageOf(await muro.get(`/conversations/${conversation}/messages`))
  expect(data.map(({ content }) => content)).toEqual(['A session that breaks.', 'Only once.'])
})

it('a session that was written to while it thought sends nothing, and closes nothing', async () => {
  const { conversation, visitor } = await ask('A session that is late.')
  const context = { sql: api.database.sql, bus: { publish: () => undefined } }
  const client = await connect(api.url, tenant.apiKey)
  const told: unknown[] = []
  const late = async () => {
    await receiveMessage(context, visitor, 'One more thing.')
    return 'A hasty answer.'
  }
  await work(client, { find: 'that is late', answer: late, tell: (closed) => told.push(closed) })
  expect(told).toEqual([])
  await work(client, { find: 'that is late', answer: () => 'To both.', tell: (closed) => told.push(closed) })
  await client.close()
  expect(told).toMatchObject([{ id: conversation, status: 'closed' }])
  const { data } = pageOf(await muroClient(api.url, tenant.apiKey).get(`/conversations/${conversation}/messages`))
  expect(data.map(({ content }) => content)).toEqual(['A session that is late.', 'One more thing.', 'To both.'])
})
