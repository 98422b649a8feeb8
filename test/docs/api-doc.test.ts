/** The commands of docs/api.md, run in their order in one shell. */

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { errorCodes } from '../../schema/errors.ts'
import { startAi } from '../support/ai.ts'
import { type Api, startApi } from '../support/api.ts'
import type { Tenant } from '../support/tenant.ts'
import { codeIn, curlInShell, readPage, rowsOf } from './page.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

let ai: Awaited<ReturnType<typeof startAi>>
let api: Api
let tenant: Tenant
beforeAll(async () => {
  ai = await startAi()
  api = await startApi({ ...ai.env, RATE_LIMIT_PER_MINUTE: '120' })
  tenant = await api.makeTenant()
})
afterAll(async () => {
  await api.close()
  await ai.stop()
})

test('every code of an error is told, with its status', () => {
  const told = rowsOf(readPage('docs/api.md').section('## What holds everywhere'))
    .filter(([code = '', status = '']) => /^`\w+`$/.test(code) && /^\d{3}$/.test(status))
    .map(([code, status]) => [codeIn(code)[0], Number(status)])
  // The site chat shows no codes, and the last one is its own.
  const known = Object.entries(errorCodes).filter(([code]) => code !== 'unprocessable')
  expect(told).toEqual(known.map(([code, { status }]) => [code, status]))
})

// Each command is a process of its own.
test('every command runs as it stands', async () => {
  const page = await readFile(join(root, 'docs/api.md'), 'utf8')
  const [given = '', ...blocks] = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block)
  expect(given.split('\n').map((line) => line.split('=')[0])).toEqual(['API', 'KEY', 'SITE', ''])
  const directory = await mkdtemp(join(tmpdir(), 'hubbub-doc-'))
  const script = `set -euo pipefail\n${curlInShell}\n${blocks.join('\n')}`
  const run = promisify(execFile)('bash', ['-c', script], {
    cwd: directory,
    env: { PATH: process.env.PATH, API: `${api.url}/api/v1`, KEY: tenant.apiKey, SITE: tenant.site.site_key },
  })
  const { stdout } = await run.finally(() => rm(directory, { recursive: true, force: true }))
  expect(stdout).toContain('"object":"webhook"')
  expect(stdout).toContain('Pro, 9 a month')
  expect(blocks.join('').match(/curl /g)?.length).toBeGreaterThan(30)
}, 120_000)
