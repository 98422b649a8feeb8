/** Runs the official conformance suite against a server, and says which of its checks fail. */

import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { request as ask, createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'

const suite = fileURLToPath(
  new URL('../../node_modules/@modelcontextprotocol/conformance/dist/index.js', import.meta.url),
)
const withGlob = new URL('./with-glob.mjs', import.meta.url).href

/** A revision of MCP, with what the suite requires of servers for it. */
export type Revision = '2026-07-28' | '2025-11-25'

const checks = z.array(z.object({ id: z.string(), status: z.string() }))

/**
 * Runs what a revision requires. `expected` names what may fail, as `scenario` or `scenario:check`; the exit code is 0
 * where that fails and nothing else. `failed` holds every check that failed, as `scenario:check`.
 */
export const runConformance = async (url: string, revision: Revision, expected: readonly string[]) => {
  const directory = await mkdtemp(join(tmpdir(), 'hubbub-conformance-'))
  try {
    const baseline = join(directory, 'expected.yaml')
    await writeFile(baseline, `server: ${JSON.stringify(expected)}\n`)
    const results = join(directory, 'results')
    const wanted = ['--requirements', revision, '--expected-failures', baseline, '--output-dir', results]
    const { code, output } = await run(['--import', withGlob, suite, 'server', '--url', url, ...wanted])
    const failed = new Set<string>()
    let passed = 0
    for (const name of await readdir(results)) {
      const scenario = name.replace(/^server-/, '').replace(/-\d{4}-\d\d-\d\dT.*$/, '')
      const found = checks.parse(JSON.parse(await readFile(join(results, name, 'checks.json'), 'utf8')))
      for (const { id, status } of found) {
        if (status === 'SUCCESS') passed += 1
        if (status === 'FAILURE' || status === 'WARNING') failed.add(`${scenario}:${id}`)
      }
    }
    return { code, output, passed, failed: [...failed] }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const run = (args: string[]): Promise<{ code: number | null; output: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })

/** Starts what passes requests on with an API key: the suite has none. Everything else stays as it came. */
export const startKeyRing = async (api: string, key: string) => {
  const { hostname: host, port } = new URL(api)
  const server = createServer((request, response) => {
    const { url: path, method, headers } = request
    const keyed = { ...headers, authorization: `Bearer ${key}` }
    const asked = ask({ host, port, path, method, headers: keyed }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    asked.on('error', () => response.destroy())
    response.on('close', () => asked.destroy())
    request.pipe(asked)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the key ring has no port')
  return {
    url: `http://127.0.0.1:${address.port}/api/mcp`,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}
