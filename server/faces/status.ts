/** What tells how the program is: `/up`, `/ready`, and a page for people at `/`. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { snippet } from '../snippet.ts'
import type { Addresses } from './addresses.ts'

export type StatusDeps = { ready: () => Promise<boolean>; addresses: Addresses }

export const statusFace: FastifyPluginAsyncZod<StatusDeps> = async (app, { ready, addresses }) => {
  app.get('/up', async () => ({ status: 'up' }))

  app.get('/ready', async (_request, reply) => {
    const isReady = await ready()
    return reply.code(isReady ? 200 : 503).send({ status: isReady ? 'ready' : 'not ready' })
  })

  app.get('/', async (request, reply) => {
    const isReady = await ready()
    const { host, port, forceTLS, key } = addresses.realtime(request)
    const api = addresses.api(request)
    return reply
      .type('text/html; charset=utf-8')
      .header('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'")
      .send(
        page({
          status: isReady ? 'running' : 'running, but not ready: the database cannot be reached',
          rows: [
            ['REST API', `${api}/api/v1`],
            ['Channel authorizer', `${api}/api/v1/realtime/auth`],
            ['Realtime (Pusher protocol)', `${forceTLS ? 'wss' : 'ws'}://${host}:${port}/app/${key}`],
            ['Health', `${api}/up, ${api}/ready`],
          ],
          code: snippet({ api, bearer: "'Bearer mr_live_…'" }),
        }),
      )
  })
}

const page = ({ status, rows, code }: { status: string; rows: [string, string][]; code: string }) => `<!doctype html>
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
<dl>${rows.map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd><code>${escapeHtml(value)}</code></dd>`).join('')}</dl>
<h2>Hear every message</h2>
<p>Save as <code>demo.mjs</code> where pusher-js is installed, put your API key in, and run <code>node demo.mjs</code>.</p>
<pre>${escapeHtml(code)}</pre>
</html>
`

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
