/** What docs/deploy.md and the files of examples/deploy say is so: variables, ports, probes, times, commands, rights. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { signChannel } from '../../auth/channel-signature.ts'
import { createMetrics } from '../../realtime/metrics.ts'
import { readConfig } from '../../schema/config.ts'
import { presentHealth } from '../../schema/health.ts'
import { createAiMetrics } from '../../server/ai/metrics.ts'
import { readCommand } from '../../server/commands.ts'
import { createRequestMetrics } from '../../server/http/request-metrics.ts'
import { createWebhookMetrics } from '../../server/webhooks/metrics.ts'
import { testApp } from '../support/api.ts'
import { startProgram } from '../support/program.ts'
import { dataOf, openRawSocket } from '../support/raw-socket.ts'
import { askRedis, startRedis } from '../support/redis.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const example = (name: string): string => read(`examples/deploy/${name}`)

const page = read('docs/deploy.md')
// What an operator has put there is nobody else's.
const own = example('.gitignore')
  .split('\n')
  .map((line) => line.replace('/', ''))
const files = readdirSync(join(root, 'examples/deploy')).filter((name) => !own.includes(name))
const { PORT, REALTIME_PORT, DRAIN_SECONDS, REALTIME_PATH_PREFIX: prefix = '' } = readConfig(envFile())
const known = [...read('schema/config.ts').matchAll(/^ {2}([A-Z][A-Z_]+):/gm)].map(([, name = '']) => name)

/** What is named beside the program's own: of Node, of Postgres's image, and families of addresses. */
const others = [
  'NODE_ENV',
  'NODE_EXTRA_CA_CERTS',
  'POSTGRES_USER',
  'POSTGRES_PASSWORD',
  'POSTGRES_DB',
  'AF_INET',
  'AF_UNIX',
  'AF_NETLINK',
]

describe('the variables', () => {
  test('are the program’s, wherever they are named', () => {
    for (const [name, text] of [['deploy.md', page] as const, ...files.map((name) => [name, example(name)] as const)]) {
      const named = [...text.matchAll(/(?<![-\w./])[A-Z]{2,}(?:_[A-Z]+)+(?!\w)/g)].map(([variable]) => variable)
      for (const variable of named) expect([...known, ...others], `${name} names ${variable}`).toContain(variable)
    }
  })

  test('of hubbub.env are taken as they are', () => {
    expect(readConfig(envFile())).toMatchObject({ ROLES: ['rest', 'realtime', 'worker'], TRUST_PROXY: 'loopback' })
  })

  test.each(['rest', 'realtime', 'worker'])('of compose.yaml are taken by a process for %s', (role) => {
    const shared = settings(block(example('compose.yaml'), '  environment: &environment'))
    const [service = ''] = example('compose.yaml').match(new RegExp(`<<: \\*environment\n +ROLES: ${role}\n.*`)) ?? []
    const given = Object.entries({ ...shared, ...settings(service) }).map(([name, value]) => [name, filled(value)])
    expect(readConfig(Object.fromEntries(given))).toMatchObject({ ROLES: [role], TRUST_PROXY: 'uniquelocal' })
  })

  test.each(['rest', 'realtime', 'worker'])('of kubernetes.yaml are taken by a process for %s', (role) => {
    expect(example('kubernetes.yaml')).toContain(`- { name: ROLES, value: ${role} }`)
    const secret = [...page.matchAll(/--from-literal=([A-Z_]+)/g)].map(([, name = '']) => [name, filled(`\${${name}}`)])
    const env = { ...settings(block(example('kubernetes.yaml'), 'data:')), ...Object.fromEntries(secret), ROLES: role }
    expect(readConfig(env)).toMatchObject({ ROLES: [role], TRUST_PROXY: '10.0.0.0/8' })
  })

  test('of .env on the page are all that compose.yaml asks for', () => {
    const asked = new Set([...example('compose.yaml').matchAll(/\$\{([A-Z_]+):\?\}/g)].map(([, name]) => name))
    const [, made = ''] = page.split('cat > .env <<END\n')
    const given = [...(made.split('\nEND')[0] ?? '').matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name)
    expect(given.sort()).toEqual([...asked].sort())
  })
})

describe('ports and paths', () => {
  test('are those of the program', () => {
    expect(example('Dockerfile')).toContain(`EXPOSE ${PORT} ${REALTIME_PORT}\n`)
    for (const name of ['upstreams.conf', 'upstreams.compose.conf']) {
      expect(portsIn(upstream(name, 'hubbub_rest'))).toEqual(new Set([PORT]))
      expect(portsIn(upstream(name, 'hubbub_realtime'))).toEqual(new Set([REALTIME_PORT]))
    }
    const caddy = [...example('Caddyfile').matchAll(/reverse_proxy .*:(\d+)/g)].map(([, port]) => Number(port))
    expect(caddy).toEqual([REALTIME_PORT, PORT])
    const pods = [...example('kubernetes.yaml').matchAll(/name: (\w+), containerPort: (\d+)/g)]
    expect(pods.map(([, name, port]) => [name, Number(port)])).toEqual([
      ['http', PORT],
      ['sockets', REALTIME_PORT],
      ['http', PORT],
    ])
    const targets = [...example('prometheus.yaml').matchAll(/targets: (.*)\n +labels: \{ role: (\w+) \}/g)]
    for (const [, list = '', role] of targets) {
      expect(portsIn(list)).toEqual(new Set([role === 'realtime' ? REALTIME_PORT : PORT]))
    }
  })

  test('of probes are served: /up to live, /ready to be asked', () => {
    const probes = [...example('kubernetes.yaml').matchAll(/(\w+)Probe:\n +httpGet: \{ path: (\S+),/g)]
    expect(new Set(probes.map(([, probe, path]) => `${probe} ${path}`))).toEqual(
      new Set(['startup /up', 'liveness /up', 'readiness /ready']),
    )
    expect(example('Caddyfile').match(/health_uri (\S+)/g)).toEqual(['health_uri /ready', 'health_uri /ready'])
    expect(read('server/faces/status.ts')).toMatch(/app\.get\('\/up'.*app\.get\('\/ready'/s)
    expect(read('realtime/http/probes.ts')).toMatch(/\['\/up'.*\['\/ready'/s)
    expect(presentHealth({ isReady: true, database: 'up', bus: 'down' }).status).toBe(200)
  })

  test('of the prefix are the same everywhere', () => {
    expect(prefix).toBe('/ws')
    expect(example('nginx.conf')).toContain(`location ${prefix}/app/ {`)
    expect(example('Caddyfile')).toContain(`path ${prefix}/app/* ${prefix}/apps/* /apps/*`)
    const paths = [...example('kubernetes.yaml').matchAll(/- path: (\S+)/g)].map(([, path]) => path)
    expect(paths).toEqual([`${prefix}/app`, `${prefix}/apps`, '/apps', '/'])
    for (const name of ['compose.yaml', 'kubernetes.yaml']) {
      expect(example(name)).toContain(`REALTIME_PATH_PREFIX: ${prefix}\n`)
    }
  })

  test('of sockets may be silent for longer than it takes both sides to ask', () => {
    const seconds = [/proxy_read_timeout (\d+)s;\n +proxy_send/, /proxy-read-timeout: "(\d+)"/].map((timeout, n) =>
      Number(timeout.exec(example(n === 0 ? 'nginx.conf' : 'kubernetes.yaml'))?.[1]),
    )
    for (const silence of seconds) expect(silence).toBeGreaterThan(150)
  })
})

describe('a stop', () => {
  test('has more time than it takes', () => {
    const stop = Number(/TimeoutStopSec=(\d+)/.exec(example('hubbub.service'))?.[1])
    expect(stop).toBeGreaterThan(DRAIN_SECONDS + 2 + 20)
    const grace = Number(/ {2}stop_grace_period: (\d+)s/.exec(example('compose.yaml'))?.[1])
    expect(grace).toBeGreaterThan(Number(settings(example('compose.yaml')).DRAIN_SECONDS) + 2)
    const draining = Number(settings(example('kubernetes.yaml')).DRAIN_SECONDS)
    const periods = [...example('kubernetes.yaml').matchAll(/terminationGracePeriodSeconds: (\d+)/g)]
    expect(periods).toHaveLength(3)
    for (const [, period] of periods) expect(Number(period)).toBeGreaterThan(draining + 2)
    expect(DRAIN_SECONDS).toBe(readConfig({}).DRAIN_SECONDS)
  })

  test('is told to the program alone, and to Node itself', () => {
    expect(example('hubbub.service')).toContain('KillMode=mixed\n')
    expect(example('Dockerfile')).toContain('ENTRYPOINT ["node", "--enable-source-maps", "dist/main.js"]\n')
    expect(example('hubbub.service')).not.toMatch(/^(MemoryDenyWriteExecute|RemoveIPC|DynamicUser)=/m)
  })
})

describe('the image', () => {
  const [, command = ''] = /^HEALTHCHECK .* CMD (\[.*\])$/m.exec(example('Dockerfile')) ?? []
  const [node = '', ...args] = z.array(z.string()).parse(JSON.parse(command))

  const check = async (env: Record<string, string>): Promise<unknown> => {
    expect(node).toBe('node')
    const [code] = await once(spawn(process.execPath, args, { env }), 'exit')
    return code
  }

  test('is healthy while the port of its role answers, and not when nobody does', async () => {
    const server = createServer((request, response) => {
      response.statusCode = request.url === '/up' ? 200 : 503
      response.end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = `${typeof address === 'object' && address ? address.port : 0}`
    expect(await check({ ROLES: 'realtime', REALTIME_PORT: port, PORT: '1' })).toBe(0)
    expect(await check({ ROLES: 'rest', PORT: port, REALTIME_PORT: '1' })).toBe(0)
    expect(await check({ PORT: port, REALTIME_PORT: '1' })).toBe(0)
    server.close()
    await once(server, 'close')
    expect(await check({ ROLES: 'rest', PORT: port })).toBe(1)
  })

  test('keeps the one addon that uWebSockets.js asks for', () => {
    const asks = read('node_modules/uWebSockets.js/uws.js')
    expect(asks).toContain(
      "'./uws_' + process.platform + '_' + process.arch + '_' + process.versions.modules + '.node'",
    )
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what Node evaluates in the build.
    expect(example('Dockerfile')).toContain('uws_${process.platform}_${process.arch}_${process.versions.modules}.node')
  })

  test('is of a Node that the program takes', () => {
    const versions = [...example('Dockerfile').matchAll(/^FROM node:(\d+)-bookworm-slim/gm)].map(([, major]) => major)
    expect(versions).toEqual(['20', '20'])
    expect(read('package.json')).toContain('"node": ">=20.19"')
  })

  test('does not take along what is secret or large', () => {
    const left = example('Dockerfile.dockerignore').split('\n')
    for (const path of ['.git', 'data', 'node_modules', '.env', 'apps.json']) expect(left).toContain(path)
  })
})

describe('the page', () => {
  test('leads to files and headings that are there', () => {
    const anchors = (text: string): string[] =>
      [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => title.toLowerCase().replaceAll(' ', '-'))
    for (const [, target = ''] of page.matchAll(/\]\(([^)]+)\)/g)) {
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? join(root, 'docs/deploy.md') : join(root, 'docs', path)
      expect(existsSync(file), target).toBe(true)
      if (anchor) expect(anchors(readFileSync(file, 'utf8')), target).toContain(anchor)
    }
    for (const name of files.filter((file) => !/ignore$|compose\.conf$/.test(file))) {
      expect(page).toContain(`(../examples/deploy/${name})`)
    }
  })

  test('names commands that are there, with the flags that they have', () => {
    const commands = [...page.matchAll(/dist\/main\.js ([^\n`]+)/g)].map(([, words = '']) => words.split(' '))
    expect(commands.length).toBeGreaterThan(2)
    for (const words of commands) if (words.join() !== 'migrate') expect(() => readCommand(words)).not.toThrow()
    expect(() => readCommand(['key', 'create', '--no-such-flag', 'x'])).toThrow()
    const { scripts } = z.object({ scripts: z.record(z.string(), z.string()) }).parse(JSON.parse(read('package.json')))
    for (const [, script = ''] of page.matchAll(/npm run ([a-z]+)/g)) expect(Object.keys(scripts)).toContain(script)
  })

  test('and the alerts name metrics that are there', async () => {
    const metrics = createMetrics({ ofProcess: true })
    metrics.ofApp('1')
    createRequestMetrics(metrics.registry)
    createAiMetrics(metrics.registry)
    createWebhookMetrics(metrics.registry)
    const exported = new Set([...(await metrics.text()).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name))
    const named = [page, example('alerts.yaml')].flatMap((text) =>
      text.match(/hubbub_[a-z0-9]+_[a-z0-9_]+|hubbub_sockets/g),
    )
    const upstreams = ['hubbub_rest', 'hubbub_realtime']
    for (const name of named) if (!upstreams.includes(name ?? '')) expect(exported).toContain(name)
  })

  test('shows what the files say', () => {
    const alerts = example('alerts.yaml')
    const shown = [...page.matchAll(/^(?:- alert| {2}expr): .*$/gm)].map(([line]) => line.trim())
    expect(shown).toHaveLength(8)
    for (const line of shown) expect(alerts).toContain(line)
    const [, scrape = ''] = page.match(/```yaml\n(scrape_configs:\n.*?)```/s) ?? []
    expect(example('prometheus.yaml')).toContain(scrape)
    expect(page).toContain(aclLine)
  })

  test('has enough connections at Postgres for the processes of compose.yaml', () => {
    const processes = [...example('compose.yaml').matchAll(/^ {2}(rest|realtime|worker)[-\d]*:/gm)].length
    expect(processes).toBe(5)
    const [, allowed] = /max_connections=(\d+)/.exec(example('compose.yaml')) ?? []
    const [, pool] = /\{ max = (\d+), name/.exec(read('server/db/sql.ts')) ?? []
    expect(page.replace(/\s+/g, ' ')).toContain(
      `opens up to ${pool} as it needs them, and one that listens: ${Number(pool) + 1}`,
    )
    expect(Number(allowed)).toBeGreaterThan(processes * (Number(pool) + 1))
  })
})

const aclLine =
  example('users.acl')
    .split('\n')
    .find((line) => line.startsWith('user hubbub ')) ?? ''

test('with the rights of users.acl two programs share a presence channel, and one takes out what the other left', async () => {
  const redis = await startRedis()
  onTestFinished(redis.close)
  const [, ...words] = aclLine.replace('>PASSWORD', '>a-password').split(' ')
  expect(await askRedis(redis.url, 'ACL', 'SETUSER', ...words)).toMatch(/^\+OK/)
  const url = redis.url.replace('//', '//hubbub:a-password@')
  const programs = await Promise.all([1, 2].map(() => startProgram({ ...testApp, ROLES: 'realtime', REDIS_URL: url })))
  onTestFinished(async () => void (await Promise.all(programs.map((program) => program.stop()))))

  const app = { key: testApp.PUSHER_APP_KEY, secret: testApp.PUSHER_APP_SECRET }
  const enter = async (at: number, user: string) => {
    const socket = await openRawSocket(`ws://127.0.0.1:${programs[at]?.realtimePort}/app/${app.key}?protocol=7`)
    const { socket_id } = z.object({ socket_id: z.string() }).parse(dataOf(await socket.next()))
    const data = JSON.stringify({ user_id: user })
    const auth = signChannel(app, socket_id, 'presence-cache-desk', data)
    socket.send({ event: 'pusher:subscribe', data: { channel: 'presence-cache-desk', auth, channel_data: data } })
    await socket.waitFor('pusher_internal:subscription_succeeded')
    return socket
  }
  const ada = await enter(0, 'ada')
  const grace = await enter(1, 'grace')
  expect(dataOf(await ada.waitFor('pusher_internal:member_added'))).toMatchObject({ user_id: 'grace' })
  await programs[0]?.kill()
  await expect
    .poll(() => grace.frames.some(({ event }) => event === 'pusher_internal:member_removed'), { timeout: 15_000 })
    .toBe(true)
  for (const probe of ['up', 'ready']) {
    expect((await fetch(`http://127.0.0.1:${programs[1]?.realtimePort}/${probe}`)).status).toBe(200)
  }
  expect(await askRedis(redis.url, 'ACL', 'LOG')).toMatch(/^\*0\r\n/)
  // And not without: what a line leaves out is refused, and is in that log.
  expect(await askRedis(redis.url, 'ACL', 'SETUSER', 'hubbub', '-hset')).toMatch(/^\+OK/)
  await enter(1, 'bob')
  await expect.poll(() => askRedis(redis.url, 'ACL', 'LOG')).toContain('hset')
  grace.close()
})

/** The variables of hubbub.env. */
function envFile(): Record<string, string> {
  return Object.fromEntries(
    [...example('hubbub.env').matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
  )
}

/** The lines that are further in than the one that begins with `head`. */
function block(text: string, head: string): string {
  const [, rest = ''] = text.split(`\n${head}\n`)
  const depth = /^ */.exec(head)?.[0].length ?? 0
  const lines = rest.split('\n')
  const end = lines.findIndex((line) => line !== '' && !line.startsWith(' '.repeat(depth + 1)))
  return lines.slice(0, end === -1 ? undefined : end).join('\n')
}

/** The variables in a piece of YAML, each on a line of its own. */
function settings(yaml: string): Record<string, string> {
  return Object.fromEntries(
    [...yaml.matchAll(/^ +([A-Z][A-Z_]+): "?([^"\n]*)"?$/gm)].map(([, name, value]) => [name, value]),
  )
}

/** Puts a value where a file of the operator's has one. */
function filled(value: string): string {
  const given: Record<string, string> = {
    DATABASE_URL: 'postgres://hubbub:secret@postgres/hubbub',
    PUSHER_APP_ID: '1',
    DOMAIN: 'chat.example.com',
    BOOTSTRAP_API_KEY: `mr_live_${'a'.repeat(48)}`,
    METRICS_TOKEN: 'b'.repeat(48),
  }
  return value.replace(/\$\{([A-Z_]+)(:\?)?\}/g, (_, name: string) => given[name] ?? 'a-value')
}

function upstream(file: string, name: string): string {
  return block(`\n${example(file)}`.replaceAll('\n}', '\n}\n'), `upstream ${name} {`)
}

function portsIn(text: string): Set<number> {
  return new Set([...text.matchAll(/^(?! *#).*?:(\d{2,5})\b/gm)].map(([, port]) => Number(port)))
}
