/** What README.md says is so: its tables are the program's, its links lead somewhere, and its commands run in their order. */

import { execFile, spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { readConfig } from '../../schema/config.ts'
import { loggedEventTypes } from '../../schema/events.ts'
import { readApps } from '../../schema/pusher-apps.ts'
import { type Api, startApi } from '../support/api.ts'
import { call } from '../support/http.ts'
import { codeIn, curlInShell, readFile, readPage, rowsOf } from './page.ts'

const page = readPage('README.md')
const root = fileURLToPath(new URL('../..', import.meta.url))

describe('what it tells', () => {
  test('is every variable of the configuration and no other, with its default', () => {
    const known = [...readFile('schema/config.ts').matchAll(/^ {2}([A-Z][A-Z_]+):/gm)].map(([, name = '']) => name)
    const told = rowsOf(page.section('## Configuration'))
      .map(([names, value = '']) => ({ names: codeIn(names), value }))
      .flatMap(({ names, value }) => names.map((name) => ({ name, value })))
    expect(told.map(({ name }) => name).sort()).toEqual([...known].sort())
    const defaults = new Map<string, unknown>(Object.entries(readConfig({})))
    for (const { name, value } of told) {
      const preset = defaults.get(name)
      if (preset === undefined) expect([name, value]).not.toEqual([name, expect.stringMatching(/^`[^.]/)])
      else expect([name, value]).toEqual([name, `\`${preset}\``])
    }
  })

  test('are all events', () => {
    const text = page.text.replaceAll('\n', ' ')
    const [, told = ''] = /Events: (.*?); `GET/.exec(text) ?? []
    expect(codeIn(told).sort()).toEqual([...loggedEventTypes, 'agent.typing'].sort())
  })

  test('leads to files that are there', () => {
    const targets = [...page.text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, target = '']) => target)
    expect(targets.length).toBeGreaterThan(20)
    expect(targets.filter((target) => !existsSync(join(root, target)))).toEqual([])
    const [map = ''] = /^```\n(schema\/.*?)^```/ms.exec(page.text)?.slice(1) ?? []
    const places = [...map.matchAll(/^(\S+)/gm)].map(([, place = '']) => place)
    expect(places.filter((place) => !existsSync(join(root, place)))).toEqual([])
    const run = page
      .blocks('sh')
      .flatMap((block) => [...block.matchAll(/npm run (?:-s )?(\w+)/g)].map(([, name]) => name))
    const scripts = Object.keys(
      z.looseObject({ scripts: z.object({}).loose() }).parse(JSON.parse(readFile('package.json'))).scripts,
    )
    expect(run.filter((name = '') => !scripts.includes(name))).toEqual([])
  })

  test('is where every page of the documentation is found from', () => {
    for (const file of readdirSync(join(root, 'docs'))) expect(page.text).toContain(`](docs/${file})`)
  })
})

describe('beside a running program', () => {
  let api: Api
  let directory: string
  let key: string
  let site: string
  beforeAll(async () => {
    api = await startApi()
    directory = await mkdtemp(join(tmpdir(), 'hubbub-readme-'))
    await symlink(join(root, 'node_modules'), join(directory, 'node_modules'))
    key = JSON.parse((await api.run('key', 'create', '--scopes', 'read,write')).stdout).key
    site = JSON.parse((await api.run('site', 'create', '--name', 'Shop')).stdout).site_key
  })
  afterAll(async () => {
    await api?.close()
    await rm(directory, { recursive: true, force: true })
  })

  /** Puts this program's address and keys where the page has the usual ones. */
  const here = (text: string): string =>
    text.replaceAll('http://127.0.0.1:3000', api.url).replaceAll('mr_live_…', key).replaceAll('site_…', site)

  const blockWith = (language: string, part: string): string =>
    here(page.blocks(language).find((block) => block.includes(part)) ?? `no ${language} with ${part}`)

  // Each command is a process of its own.
  test('the main job runs, command by command', async () => {
    const script = `set -euo pipefail\n${curlInShell}\n${blockWith('sh', 'visitor_token')}`
    const { stdout } = await promisify(execFile)('bash', ['-c', script], { cwd: directory })
    const answers = stdout.trim().split('\n')
    expect(answers).toHaveLength(7)
    expect(JSON.parse(answers[4] ?? '')).toMatchObject([
      { direction: 'inbound', body: 'Where is my order?' },
      { direction: 'outbound', body: 'On it: give me five minutes.' },
    ])
    expect(JSON.parse(answers[6] ?? '')).toMatchObject({
      status: 'closed',
      tags: ['orders'],
      visitor: { name: 'Vita' },
    })
  }, 60_000)

  test('the listener, saved as demo.mjs, prints what is said', async () => {
    await writeFile(join(directory, 'demo.mjs'), blockWith('js', 'paramsProvider'))
    const child = spawn(process.execPath, ['demo.mjs'], { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
    onTestFinished(() => void child.kill())
    let printed = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (printed += chunk))
    let said = 0
    const say = async () => {
      said += 1
      const body = { name: 'Vita', email: 'vita@example.com', message: `Hello ${said}`, visitor_token: `demo-${said}` }
      await call(api.url, 'POST', '/api/v1/chat/conversations', { headers: { 'X-Api-Key': site }, body })
      return printed
    }
    await expect.poll(say, { timeout: 8000, interval: 100 }).toMatch(/^visitor: Hello \d+$/m)
  })

  test('the file of apps is one that the program takes', async () => {
    const [line = ''] = blockWith('sh', 'apps.json').split('\n')
    await promisify(execFile)('sh', ['-ec', line], { cwd: directory })
    const { stdout } = await promisify(execFile)('cat', ['apps.json'], { cwd: directory })
    expect(readApps(stdout)).toMatchObject([{ id: '1001', key: 'shop-key', enableClientMessages: true }])
  })

  test('the commands run in their order, and each prints one JSON object', async () => {
    const made: Record<string, string> = {}
    const lines = blockWith('sh', 'workspace create').split('\n')
    const commands = lines.flatMap((line) => /^npm run -s hubbub -- ([^#]+?)\s*(?:#.*)?$/.exec(line)?.[1] ?? [])
    expect(commands.length).toBeGreaterThan(10)
    for (const command of commands) {
      const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain = '']) => quoted ?? plain)
      const { code, stdout, stderr } = await api.run(...words.map((word) => made[word] ?? word))
      expect([command, code, stderr]).toEqual([command, 0, ''])
      if (command === 'migrate') continue
      const { id } = z.looseObject({ id: z.string() }).parse(JSON.parse(stdout))
      made[`${id.slice(0, 4)}…`] = id
    }
    expect(Object.keys(made).sort()).toEqual(['key_…', 'org_…', 'usr_…', 'web_…'])
  }, 120_000)
})
