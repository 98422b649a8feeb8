/** What docs/mcp.md says is so: its tables are the program's, and its commands run. */

import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Client, StreamableHTTPClientTransport, type Transport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { toolInputs, toolSchemaOf } from '../../schema/mcp.ts'
import { tools } from '../../server/faces/mcp/tools/tools.ts'
import { mcpOf } from '../mcp/mcp.ts'
import { type Api, startApi } from '../support/api.ts'
import type { Tenant } from '../support/tenant.ts'
import { codeIn, curlInShell, readFile, readPage, rowsOf } from './page.ts'

const page = readPage('docs/mcp.md')
const root = fileURLToPath(new URL('../..', import.meta.url))

describe('the tables', () => {
  test('have every tool in its order, with its scope and its arguments', () => {
    const told = rowsOf(page.section('## Tools')).map(([tool, scope, args = '']) => ({
      name: codeIn(tool)[0],
      scope,
      args: codeIn(args),
      required: [...args.matchAll(/\*\*`(\w+)`\*\*/g)].map(([, name]) => name),
    }))
    expect(told.map(({ name, scope }) => [name, scope])).toEqual(tools.map(({ listed, scope }) => [listed.name, scope]))
    for (const { name = '', args, required } of told) {
      const [, contract] = Object.entries(toolInputs).find(([tool]) => tool === name) ?? []
      const schema = contract && toolSchemaOf(contract)
      expect([name, [...args].sort()]).toEqual([name, Object.keys(schema?.properties ?? {}).sort()])
      expect([name, required]).toEqual([name, schema?.required ?? []])
    }
  })

  test('are right about the suite', () => {
    const { devDependencies } = z
      .object({ devDependencies: z.record(z.string(), z.string()) })
      .parse(JSON.parse(readFile('package.json')))
    expect(page.text).toContain(`(${devDependencies['@modelcontextprotocol/conformance']})`)
  })

  test('lead to files and variables that are there', () => {
    for (const [, target = ''] of page.text.matchAll(/\]\(([^)#:]+)\)/g))
      expect(readFile(`docs/${target}`)).not.toBe('')
    for (const [name] of page.text.matchAll(/\b(?:PUBLIC|MCP)_[A-Z_]+\b/g)) {
      expect(readFile('schema/config.ts')).toContain(`  ${name}: z`)
    }
  })
})

describe('beside a running program', () => {
  let api: Api
  let tenant: Tenant
  beforeAll(async () => {
    api = await startApi()
    tenant = await api.makeTenant()
    await tenant.thread()
  })
  afterAll(() => api.close())

  /** Puts this program's address and key where the page has the usual ones. */
  const here = (text: string): string =>
    text.replaceAll('http://127.0.0.1:3000', api.url).replaceAll('mr_live_…', tenant.apiKey)

  const expectTools = async (transport: Transport) => {
    const client = new Client({ name: 'test', version: '1' })
    onTestFinished(() => client.close())
    await client.connect(transport)
    expect((await client.listTools()).tools).toHaveLength(tools.length)
  }

  const servers = (at: number) =>
    z
      .object({ mcpServers: z.object({ hubbub: z.record(z.string(), z.unknown()) }) })
      .parse(JSON.parse(here(page.blocks('json')[at] ?? ''))).mcpServers.hubbub

  test('the address and the key are all that a client needs', async () => {
    const { url, headers } = z.object({ url: z.string(), headers: z.record(z.string(), z.string()) }).parse(servers(0))
    await expectTools(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }))
  })

  test('the bridge is started as the page says', async () => {
    const {
      command,
      args: [name = '', ...args],
    } = z.object({ command: z.literal('npx'), args: z.array(z.string()) }).parse(servers(1))
    expect([command, name]).toEqual(['npx', 'mcp-remote'])
    const home = await mkdtemp(join(tmpdir(), 'hubbub-page-'))
    onTestFinished(() => rm(home, { recursive: true, force: true }))
    const env = { PATH: process.env.PATH ?? '', HOME: home, MCP_REMOTE_CONFIG_DIR: home }
    const bridge = join(root, 'node_modules/.bin', name)
    await expectTools(
      new StdioClientTransport({ command: process.execPath, args: [bridge, ...args], env, stderr: 'ignore' }),
    )
  })

  test('the commands run', async () => {
    const run = async (command: string) =>
      (await promisify(execFile)('sh', ['-ec', `${curlInShell}\n${here(command)}`], { cwd: root })).stdout
    const [curl = '', example = '', ...more] = page.blocks('sh')
    expect(more).toEqual([])
    expect(JSON.parse(await run(curl))).toMatchObject({ result: { structuredContent: { data: [{ status: 'open' }] } } })
    expect(await run(example)).toBe('')
  })

  test('an error is what it looks like', async () => {
    const mcp = mcpOf(api.url, tenant.apiKey)
    expect(await mcp.ask('list_conversations', { limit: 1000 })).toEqual(JSON.parse(page.blocks('json')[2] ?? ''))
  })
})
