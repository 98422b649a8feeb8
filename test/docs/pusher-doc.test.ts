/** What docs/pusher.md says is so: its tables are the program's, and its snippets run. */

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Pusher from 'pusher'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { maxChannelName } from '../../schema/channels.ts'
import { readConfig } from '../../schema/config.ts'
import { maxClientFrame } from '../../schema/frames.ts'
import { plainApp, readApps } from '../../schema/pusher-apps.ts'
import { pusherCodes } from '../../schema/pusher-codes.ts'
import { hookTypes } from '../../schema/pusher-hooks.ts'
import { maxUserId, maxWatchlist } from '../../schema/users.ts'
import { freePort } from '../realtime/start-realtime.ts'
import { type Api, startApi } from '../support/api.ts'

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

const page = read('docs/pusher.md')

/** The text between a heading and the next one that is not below it. */
const section = (heading: string): string => {
  const level = /^#+/.exec(heading)?.[0].length ?? 0
  const [, text = ''] = page.split(`\n${heading}\n`)
  return text.split(new RegExp(`^#{1,${level}} `, 'm'))[0] ?? ''
}

/** The cells of each row of the tables in a text, headers apart. */
const rows = (text: string): string[][] =>
  [...text.matchAll(/^\|(.+)\|$/gm)]
    .map(([, row = '']) => row.split('|').map((cell) => cell.trim()))
    .filter((cells, at, all) => !isRule(cells) && !isRule(all[at + 1] ?? []))

const isRule = (cells: string[]): boolean => cells.length > 0 && cells.every((cell) => /^-+$/.test(cell))

const codeIn = (text: string | undefined): string[] =>
  [...(text ?? '').matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)

const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(([, block = '']) => block)

describe('the tables', () => {
  test('have every field of an app and no other, with its default', () => {
    const [, schema = ''] = read('schema/pusher-apps.ts').split('const pusherApp = z.strictObject(')
    const fields = [...(schema.split('\n)')[0] ?? '').matchAll(/^ {4}(\w+):/gm)].map(([, field]) => field)
    const told = new Map(
      rows(section('### Of an app')).flatMap(([names, value = '']) =>
        codeIn(names).map((name) => [name, value.replaceAll('`', '')] as const),
      ),
    )
    expect([...told.keys()].sort()).toEqual([...fields].sort())
    const needed = { id: 'required', key: 'required', secret: 'required' }
    const defaults = { ...plainApp({ id: '1', key: 'k', secret: 's' }), allowedOrigins: 'any', ...needed }
    for (const [field, value] of Object.entries(defaults)) {
      const shown = value === Number.POSITIVE_INFINITY ? 'no limit' : Array.isArray(value) ? '[]' : String(value)
      expect([field, told.get(field)]).toEqual([field, shown])
    }
  })

  test('have variables that the program reads, with their defaults', () => {
    const known = [...read('schema/config.ts').matchAll(/^ {2}([A-Z][A-Z_]+):/gm)].map(([, name]) => name)
    const defaults = new Map(Object.entries(readConfig({})))
    const told = rows(section('### Of a process'))
    expect(told.length).toBeGreaterThan(10)
    for (const [name = '', value = ''] of told) {
      const [variable = ''] = codeIn(name)
      expect(known).toContain(variable)
      expect([variable, value.replaceAll('`', '')]).toEqual([variable, String(defaults.get(variable) ?? '–')])
    }
    const named = [...page.matchAll(/\b(?:MAX|SEND|REALTIME|TLS|TRUST|REDIS|METRICS|WEBHOOK|DATA)_[A-Z_]+\b/g)]
    for (const [variable] of named) expect(known).toContain(variable)
  })

  test('have every code and no other', () => {
    const told = rows(section('### Codes')).map(([code]) => Number(code))
    expect(told).toEqual(Object.values(pusherCodes))
  })

  test('have every type of webhook and no other', () => {
    const told = rows(section('### Webhooks')).flatMap(([type]) => codeIn(type))
    expect([...told].sort()).toEqual([...hookTypes].sort())
  })

  test('are right about what cannot be set', () => {
    const text = page.replaceAll('\n', ' ')
    expect(text).toContain(`an id of a user has at most ${maxUserId} characters, a watchlist ${maxWatchlist} users`)
    expect(text).toContain(`a frame from a client has at most ${maxClientFrame / 1024} KiB`)
    expect(text).toContain(`A name has 1 to ${maxChannelName} of`)
  })

  test('lead to headings and files that are there', () => {
    const anchors = [...page.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => title.toLowerCase().replaceAll(' ', '-'))
    for (const [, target = ''] of page.matchAll(/\]\(([^)]+)\)/g)) {
      if (target.startsWith('#')) expect(anchors).toContain(target.slice(1))
      else expect(read(`docs/${target}`)).not.toBe('')
    }
  })
})

describe('beside a running program', () => {
  let api: Api
  let directory: string
  let appPort: number

  /** Puts this machine's ports where the page has the usual ones. */
  const here = (text: string): string => text.replaceAll('6001', `${api.realtimePort}`).replaceAll('8000', `${appPort}`)

  beforeAll(async () => {
    appPort = await freePort()
    directory = await mkdtemp(join(tmpdir(), 'hubbub-page-'))
    await symlink(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(directory, 'node_modules'))
    const file = join(directory, 'apps.json')
    await writeFile(file, (blocks('json')[0] ?? '').replaceAll('8000', `${appPort}`))
    api = await startApi({ PUSHER_APPS: file, WEBHOOK_ALLOW_PRIVATE: '127.0.0.1' })
  }, 60_000)

  afterAll(async () => {
    await api?.close()
    await rm(directory, { recursive: true, force: true })
  })

  /** Runs a snippet as its reader would; returns what it has printed so far. */
  const run = async (name: string, text: string): Promise<() => string> => {
    await writeFile(join(directory, name), here(text))
    const child = spawn(process.execPath, [name], { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
    onTestFinished(() => void child.kill())
    let printed = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (printed += chunk))
    return () => printed
  }

  test('the file of apps is one that the program takes', () => {
    const { appId: id, ...rest } = shop
    expect(readApps(blocks('json')[0] ?? '')).toMatchObject([{ id, ...rest, enableClientMessages: true }])
  })

  test('the snippets hear what they trigger, with pusher-js and with laravel-echo', async () => {
    const [server = '', listen = '', trigger = '', echo = ''] = blocks('js')
    const atServer = await run('server.mjs', server)
    await expect.poll(() => fetch(`http://127.0.0.1:${appPort}/`).then(({ ok }) => ok), slowly).toBe(true)
    const atPage = await run('listen.mjs', listen)
    const atEcho = await run('echo.mjs', echo)
    const atReverb = await run('reverb.mjs', echo.replace("'pusher',", "'reverb',"))
    await expect.poll(atPage, slowly).toMatch(/listening\nat the desk: 1/)
    await expect.poll(subscriptionsOf('private-orders'), slowly).toBe(3)
    const asked = await run('trigger.mjs', trigger)
    for (const printed of [atPage, atEcho, atReverb]) await expect.poll(printed, slowly).toContain('order 1')
    await expect.poll(asked, slowly).toContain("{ users: [ { id: 'ada' } ] }")
    await expect.poll(atServer, slowly).toContain('webhook member_added ada')
  })

  /** Returns what asks how many sockets are on a channel. */
  const subscriptionsOf = (channel: string) => async (): Promise<unknown> => {
    const sdk = new Pusher({ ...shop, host: '127.0.0.1', port: `${api.realtimePort}` })
    const answer = await sdk.get({ path: `/channels/${channel}`, params: { info: 'subscription_count' } })
    return z.object({ subscription_count: z.number() }).parse(await answer.json()).subscription_count
  }

  test('the paths of the HTTP API are there', async () => {
    const told = rows(section('### The HTTP API')).filter(([request]) => /^`(GET|POST) /.test(request ?? ''))
    expect(told).toHaveLength(8)
    for (const [request] of told) {
      const [method = '', path = ''] = codeIn(request)[0]?.split(' ') ?? []
      const { status } = await fetch(`http://127.0.0.1:${api.realtimePort}/apps/77${path}`, { method })
      expect([path, status]).toEqual([path, 401])
    }
  })

  test('the metrics are those that are counted', async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${api.realtimePort}/metrics`)).text()
    const names = codeIn(section('## Operating it')).filter((code) => code.startsWith('hubbub_'))
    expect(names.length).toBeGreaterThan(15)
    for (const name of names) expect(metrics).toContain(`# TYPE ${name} `)
  })
})

/** The app of the page. */
const shop = { appId: '77', key: 'shop-key', secret: 'shop-secret' }

const slowly = { timeout: 8000, interval: 50 }
