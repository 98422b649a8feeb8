/** What docs/webhooks.md says is so: its routes, events, headers and numbers are the program's. */

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { webhookBodies, webhookFacts } from '../../schema/muro/webhook-bodies.ts'
import { deliveryDays, maxWebhooks, retrySchedule, usualOverlap, webhookTypes } from '../../schema/muro/webhooks.ts'
import { webhookParameters } from '../../server/faces/api-docs/webhooks.ts'
import { attemptTimeout } from '../../server/webhooks/sender.ts'
import { freePort } from '../realtime/start-realtime.ts'
import { readDescription } from '../soak/api-description.ts'
import { startApi } from '../support/api.ts'
import { call, muroClient, pageOf } from '../support/http.ts'
import { codeIn, curlInShell, readPage, rowsOf } from './page.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const page = readPage('docs/webhooks.md')
const text = page.text.replaceAll('\n', ' ')

describe('the tables', () => {
  test('have every type of event in its order, with the fields of its data', () => {
    const told = rowsOf(page.section('## What is sent')).map(([type, , data = '']) => ({
      type: codeIn(type)[0] ?? '',
      fields: /^`(\w+) \{(.*)\}`$/.exec(data)?.slice(1) ?? [],
    }))
    expect(told.map(({ type }) => type)).toEqual(webhookTypes)
    for (const type of webhookTypes) {
      const { name, facts } = webhookFacts[type]
      const fields = Object.entries<unknown>(facts.shape).map(([field, of]) =>
        of instanceof z.ZodOptional ? `${field}?` : field,
      )
      const numbers = ['seq', ...(type.startsWith('visitor') || type.startsWith('webhook') ? [] : ['conversation_seq'])]
      expect(told.find((row) => row.type === type)?.fields).toEqual([name, [...fields, ...numbers].join(', ')])
    }
  })

  test('have every header', () => {
    const told = rowsOf(page.section('## Is it from us?')).flatMap(([names]) => codeIn(names))
    expect(told.sort()).toEqual(
      Object.values(webhookParameters)
        .map(({ name }) => name)
        .sort(),
    )
  })

  test('have every route, and webhooks are made as the page says', async () => {
    const api = await startApi()
    try {
      const { operations } = await readDescription(api.url)
      const served = operations.filter(({ path }) => path.startsWith('/api/v1/webhooks'))
      const told = rowsOf(page.text.split('\n## ')[0] ?? '').flatMap(([routes]) => codeIn(routes))
      const plain = (path: string) =>
        path
          .replace('/api/v1', '')
          .replaceAll(/\{\w+\}/g, '{id}')
          .replace(/\?.*/, '')
      const all = served.map(({ method, path }) => `${method} ${plain(path)}`)
      // POST /webhooks is the command above.
      expect([...told.map(plain), 'POST /webhooks'].sort()).toEqual(all.sort())

      const { apiKey } = await api.makeTenant()
      const [command = ''] = page.blocks('sh')
      const body = /-d '(.*)'/.exec(command)?.[1]
      const made = await call(api.url, 'POST', '/api/v1/webhooks', { key: apiKey, body })
      expect([made.status, made.body]).toMatchObject([201, { secret: expect.stringMatching(/^whsec_/) }])
    } finally {
      await api.close()
    }
  })
})

test('the numbers are those of the program', () => {
  expect(text).toContain(`A workspace has at most ${maxWebhooks}.`)
  expect(text).toContain(`Kept for ${deliveryDays} days`)
  expect(text).toContain(`An attempt ends after ${attemptTimeout / 1000} s`)
  expect([usualOverlap, text]).toEqual([86_400, expect.stringContaining('a day unless given')])
  const words = retrySchedule.map((s) => (s < 60 ? `${s} s` : s < 3600 ? `${s / 60} m` : `${s / 3600} h`)).join(', ')
  expect(text).toContain(`After a failure: ${words} (`)
  const minutes = Math.floor(retrySchedule.reduce((sum, s) => sum + s, 0) / 60)
  expect(text).toContain(`${retrySchedule.length + 1} attempts in ${Math.floor(minutes / 60)} h ${minutes % 60} m`)
})

test('the envelope is that of the page, and its links lead to files', () => {
  const [example = ''] = page.blocks('json')
  expect(Object.keys(JSON.parse(example))).toEqual(Object.keys(webhookBodies['message.created'].shape))
  for (const [, target = ''] of page.text.matchAll(/\]\(([^)#:]+)\)/g)) {
    expect([target, existsSync(fileURLToPath(new URL(`../../docs/${target}`, import.meta.url)))]).toEqual([
      target,
      true,
    ])
  }
})

test('a receiver on this machine is told, as the page says', async () => {
  const port = await freePort()
  const [, start = '', listen = ''] = page.blocks('sh').map((block) => block.replaceAll('8000', String(port)))
  const [, allowed = ''] = /^WEBHOOK_ALLOW_PRIVATE=(\S+) npm start\n$/.exec(start) ?? []
  const api = await startApi({ WEBHOOK_ALLOW_PRIVATE: allowed })
  const { apiKey: KEY } = await api.makeTenant()
  const env = { PATH: process.env.PATH, API: `${api.url}/api/v1`, KEY }
  const script = `set -euo pipefail\n${curlInShell}\n${listen}`
  // A group of its own: it ends with the shell.
  const shell = spawn('bash', ['-c', script], { cwd: root, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  try {
    let printed = ''
    for (const stream of [shell.stdout, shell.stderr]) stream.on('data', (chunk) => (printed += chunk))
    await expect.poll(() => printed, { timeout: 10_000 }).toContain(`Taking webhooks at http://127.0.0.1:${port}`)
    const muro = muroClient(api.url, KEY)
    const [webhook] = pageOf(await muro.get('/webhooks')).ids
    expect((await muro.post(`/webhooks/${webhook}/test`)).status).toBe(202)
    await expect.poll(() => printed, { timeout: 10_000 }).toContain('"type":"message.created"')
  } finally {
    if (shell.pid) process.kill(-shell.pid)
    await api.close()
  }
})
