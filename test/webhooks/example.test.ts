/** The receiver in examples/webhook-receiver.mjs, run as it is against real deliveries. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { signBody } from '../../auth/webhook-signature.ts'
import { resendDelivery } from '../../server/domain/webhook-resends.ts'
import { rotateSecret } from '../../server/domain/webhooks.ts'
import { type Office, startWebhooks } from './start-webhooks.ts'

const example = fileURLToPath(new URL('../../examples/webhook-receiver.mjs', import.meta.url))

let office: Office
let child: ChildProcess
let url: string
let webhook: string
let secret: string
let printed = ''
beforeAll(async () => {
  office = await startWebhooks({ timeout: 5000 })
  const made = await office.makeWebhook({ events: ['message.created'] })
  webhook = made.id
  secret = made.secret
  child = spawn(process.execPath, [example], { env: { MURO_WEBHOOK_SECRET: secret, PORT: '0' } })
  child.stdout?.on('data', (chunk) => {
    printed += chunk
  })
  const [line] = await once(child.stderr ?? child, 'data')
  url = /http:\S+/.exec(String(line))?.[0] ?? ''
  await office.change(webhook, { url })
})
afterAll(async () => {
  child.kill()
  await once(child, 'exit')
  await office.close()
})

const events = (): { id: string; data: { message: { content: string } } }[] =>
  printed
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

it('takes what we send, does its work once for what comes twice, and verifies with the old secret during a rotation', async () => {
  const { conversation } = await office.tenant.thread()
  const say = (content: string) => office.say(conversation, content)
  await say('Grüße')
  await office.run()
  const [delivery] = await office.deliveries(webhook)
  await resendDelivery(office.context, office.tenant.agent, webhook, delivery?.id ?? '')
  await office.run()
  await rotateSecret(office.context, office.tenant.agent, webhook, 600)
  await say('in between')
  await office.run()
  await expect.poll(() => events().map(({ data }) => data.message.content)).toEqual(['Grüße', 'in between'])
  const statuses = (await office.deliveries(webhook)).map(({ attempts }) => attempts.map(({ status }) => status))
  expect(statuses).toEqual([[204, 204], [204]])
})

it('turns away what is not signed, not whole, old, or no POST, and goes on', async () => {
  const before = events().length
  const now = Math.floor(Date.now() / 1000)
  const body = '{"id":"evt_forged","type":"message.created","data":{"message":{"content":"forged"}}}'
  const sent = (signed: string, timestamp: number | string, key = secret) =>
    fetch(url, {
      method: 'POST',
      headers: { 'x-muro-timestamp': `${timestamp}`, 'x-muro-signature': `t=${timestamp},v1=${signBody(key, signed)}` },
      body,
    })
  const answers = [
    await sent(body, now, 'whsec_other'),
    await sent('{}', now),
    await sent(body, now - 301),
    await sent(body, now + 400),
    await sent(body, 'now'),
    await fetch(url, { method: 'POST', body }),
    await fetch(url, { method: 'POST', headers: { 'x-muro-signature': 'v1=,v1' }, body }),
    await fetch(url),
  ]
  expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401, 401, 401, 405])
  expect((await sent(body, now - 290)).status).toBe(204)
  await expect.poll(() => events().length).toBe(before + 1)
})
