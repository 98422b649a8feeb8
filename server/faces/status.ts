/** What tells how the program is: `/up`, `/ready`, `/metrics`, and a page for people at `/`. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { mayReadMetrics } from '../../auth/metrics-access.ts'
import { HubbubError } from '../../schema/errors.ts'
import { type Operations, presentHealth } from '../../schema/health.ts'
import { snippet } from '../snippet.ts'
import type { Addresses } from './addresses.ts'

/** What machines ask. */
export const probesFace: FastifyPluginAsyncZod<{ operations: Operations }> = async (app, { operations }) => {
  app.get('/up', async () => ({ status: 'up' }))

  app.get('/ready', async (_request, reply) => {
    const { status, body } = presentHealth(await operations.health())
    return reply.code(status).send(body)
  })

  app.get('/metrics', async (request, reply) => {
    const { authorization, forwarded } = request.headers
    const isForwarded = forwarded !== undefined || request.headers['x-forwarded-for'] !== undefined
    const scraper = { address: request.socket.remoteAddress ?? '', isForwarded, authorization }
    if (!mayReadMetrics(scraper, operations.metricsToken))
      throw new HubbubError('not_found', 'There is no /metrics here.')
    return reply.type('text/plain; version=0.0.4; charset=utf-8').send(await operations.metrics())
  })
}

/** What people see. */
export const pageFace: FastifyPluginAsyncZod<{ operations: Operations; addresses: Addresses }> = async (
  app,
  { operations, addresses },
) => {
  app.get('/', async (request, reply) => {
    const { isReady, bus } = await operations.health()
    const { host, port, forceTLS, key, wsPath = '' } = addresses.realtime(request)
    const api = addresses.api(request)
    const state = isReady ? 'running' : 'running, but not ready: the database cannot be reached'
    return reply
      .type('text/html; charset=utf-8')
      .header('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'")
      .send(
        page({
          status: bus === 'up' ? state : `${state}; the bus (Redis) is away, so events come up to a second late`,
          rows: [
            ['REST API', `${api}/api/v1`],
            ['Its description', `${api}/docs`, `${api}/api/v1/openapi.json`],
            ['MCP', `${api}/api/mcp`],
            ['Channel authorizer', `${api}/api/v1/realtime/auth`],
            ['Realtime (Pusher protocol)', `${forceTLS ? 'wss' : 'ws'}://${host}:${port}${wsPath}/app/${key}`],
            ['Health', `${api}/up`, `${api}/ready`, `${api}/metrics`],
          ],
          code: snippet({ api, bearer: "'Bearer mr_live_…'" }),
        }),
      )
  })
}

const page = ({
  status,
  rows,
  code,
}: {
  status: string
  rows: [string, ...string[]][]
  code: string
}) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hubbub</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #1d1d1f; background: #fff }
  dt { font-weight: 600 } dd { margin: 0 0 .5rem } code, pre { font: 14px/1.5 ui-monospace, monospace }
  pre { padding: 1rem; overflow: auto; background: #f5f5f7; border-radius: .5rem }
  @media (prefers-color-scheme: dark) { body { color: #f5f5f7; background: #1d1d1f } pre { background: #2c2c2e } }
</style>
<h1>Hubbub</h1>
<p>Status: <strong>${escapeHtml(status)}</strong></p>
<dl>${rows.map(([name, ...of]) => `<dt>${escapeHtml(name)}</dt><dd>${addresses(of)}</dd>`).join('')}</dl>
<h2>Hear every message</h2>
<p>Save as <code>demo.mjs</code> where pusher-js is installed, put your API key in, and run <code>node demo.mjs</code>.</p>
<pre>${escapeHtml(code)}</pre>
</html>
`

// Where there are several they are pages; one alone is for programs, and answers no browser.
const addresses = (of: string[]): string =>
  of
    .map(escapeHtml)
    .map((address) => `<code>${of.length > 1 ? `<a href="${address}">${address}</a>` : address}</code>`)
    .join(', ')

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
