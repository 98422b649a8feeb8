/**
 * The official conformance suite, against the program, and against a server with everything on the same route. What may
 * fail is what docs/mcp.md says, with the reason; what it says and does not fail is an error too.
 */

import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { renderMcpError } from '../../server/faces/mcp/errors.ts'
import { mcpFace } from '../../server/faces/mcp/mcp.ts'
import { createApp } from '../../server/http/app.ts'
import { createLimiter } from '../../server/http/limiter.ts'
import { answerOtherMethods } from '../../server/http/methods.ts'
import { codeIn, readPage, rowsOf } from '../docs/page.ts'
import { type Api, startApi } from '../support/api.ts'
import type { Tenant } from '../support/tenant.ts'
import { type Revision, runConformance, startKeyRing } from './conformance.ts'
import { createEverything } from './everything.ts'

let api: Api
let tenant: Tenant
beforeAll(async () => {
  api = await startApi()
  tenant = await api.makeTenant()
  await tenant.thread()
})
afterAll(() => api.close())

/** What may fail, by the two tables of the page. */
const told = () => {
  const [ofProgram = '', ofEverything = ''] = readPage('docs/mcp.md').section('## Conformance').split('\nSo the suite')
  const column = (text: string, at: number) => rowsOf(text).flatMap((cells) => codeIn(cells[at]))
  return {
    ofProgram: { '2026-07-28': column(ofProgram, 1), '2025-11-25': column(ofProgram, 2) },
    ofEverything: { '2026-07-28': [], '2025-11-25': column(ofEverything, 1) },
  }
}

/** Starts the route of the program in front of the other server. */
const startEverything = async () => {
  const renderers = [['/', renderMcpError]] as const
  const app = createApp({ logger: pino({ level: 'silent' }), trustProxy: undefined, use: undefined, renderers })
  const otherMethods = answerOtherMethods(app)
  const nothing = () => undefined
  const found = { scope: tenant.agent, expires_at: null, revoked_at: null }
  await app.register(mcpFace, {
    prefix: '/api/mcp',
    keys: { find: async () => found, trust: nothing, forget: nothing, watch: () => nothing },
    limiter: createLimiter(),
    perMinute: 0,
    origins: [],
    openServers: async () => createEverything,
  })
  otherMethods()
  return { url: await app.listen({ host: '127.0.0.1', port: 0 }), stop: () => app.close() }
}

const expectConforming = async (url: string, revision: Revision, expected: readonly string[], atLeast: number) => {
  const ring = await startKeyRing(url, tenant.apiKey)
  try {
    const { code, passed, output } = await runConformance(ring.url, revision, expected)
    expect(code, output).toBe(0)
    expect(passed).toBeGreaterThan(atLeast)
  } finally {
    await ring.stop()
  }
}

describe.each<Revision>(['2026-07-28', '2025-11-25'])('of revision %s', (revision) => {
  it('all that applies to the program passes', async () => {
    await expectConforming(api.url, revision, told().ofProgram[revision], 30)
  }, 60_000)

  it('all that a server without memory can do is carried by the route', async () => {
    const everything = await startEverything()
    try {
      await expectConforming(everything.url, revision, told().ofEverything[revision], 50)
    } finally {
      await everything.stop()
    }
  }, 60_000)
})
