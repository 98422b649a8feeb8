/** examples/chatbot.mjs, run as it is beside the program: a visitor is answered, once, and the bot does not answer itself. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { z } from 'zod'
import { type Api, startApi } from '../support/api.ts'
import { type Client, call, idOf, muroClient } from '../support/http.ts'
import type { Tenant } from '../support/tenant.ts'

const example = fileURLToPath(new URL('../../examples/chatbot.mjs', import.meta.url))
const secretOf = (body: unknown): string => z.object({ secret: z.string() }).parse(body).secret

let api: Api
let tenant: Tenant
let muro: Client
let bot: ChildProcess
let webhook: string
beforeAll(async () => {
  api = await startApi({ WEBHOOK_ALLOW_PRIVATE: '127.0.0.1' })
  tenant = await api.makeTenant()
  muro = muroClient(api.url, tenant.apiKey)
  const made = await muro.post('/webhooks', { url: 'http://127.0.0.1:1/', events: ['message.created'] })
  webhook = idOf(made)
  bot = spawn(process.execPath, [example, api.url, tenant.apiKey], {
    env: { MURO_WEBHOOK_SECRET: secretOf(made.body), PORT: '0' },
  })
  const [line] = await once(bot.stderr ?? bot, 'data')
  await muro.patch(`/webhooks/${webhook}`, { url: /http:\S+/.exec(String(line))?.[0] })
})
afterAll(async () => {
  bot.kill()
  await once(bot, 'exit')
  await api.close()
})

const lines = z.object({ data: z.array(z.object({ sender_type: z.string(), content: z.string() })) })
const deliveries = z.object({ data: z.array(z.object({ id: z.string(), attempts: z.array(z.unknown()) })) })

it('a visitor is answered, also where the event comes twice, and the bot leaves its own words alone', async () => {
  const begun = await call(api.url, 'POST', '/api/v1/chat/conversations', {
    body: { name: 'Vita', email: 'vita@example.com', message: 'I want a refund', visitor_token: 'vita-1' },
    headers: { 'X-Api-Key': tenant.site.site_key },
  })
  const { conversation_id } = z.object({ conversation_id: z.string() }).parse(begun.body)
  const said = async () =>
    lines
      .parse((await muro.get(`/conversations/${conversation_id}/messages`)).body)
      .data.map(({ sender_type, content }) => [sender_type, content])
  await expect.poll(said, { timeout: 5000 }).toHaveLength(2)

  const sent = async () => deliveries.parse((await muro.get(`/webhooks/${webhook}/deliveries`)).body).data
  await expect
    .poll(async () => (await sent()).map(({ attempts }) => attempts.length), { timeout: 5000 })
    .toEqual([1, 1])
  const [, first] = await sent()
  await muro.post(`/webhooks/${webhook}/deliveries/${first?.id}/resend`)
  await expect
    .poll(async () => (await sent()).map(({ attempts }) => attempts.length), { timeout: 5000 })
    .toEqual([1, 2])
  expect(await said()).toEqual([
    ['visitor', 'I want a refund'],
    ['agent', 'I am looking into your refund; a colleague will be with you shortly.'],
  ])
})
