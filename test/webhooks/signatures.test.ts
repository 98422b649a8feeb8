/** What a receiver is sent, and that it can verify it: as documented, and as Standard Webhooks says. */

import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { signMessage } from '../../auth/webhook-signature.ts'
import { rotateSecret } from '../../server/domain/webhooks.ts'
import type { Received } from '../support/receiver.ts'
import { verifiesAsDocumented, verifiesAsStandard } from './receivers.ts'
import { type Office, startWebhooks } from './start-webhooks.ts'

let office: Office
let conversation: string
beforeAll(async () => {
  office = await startWebhooks()
  conversation = (await office.tenant.thread()).conversation
})
afterEach(() => office.clear())
afterAll(() => office.close())

const rotate = async (id: string, overlap: number) =>
  (await rotateSecret(office.context, office.tenant.agent, id, overlap)).answer.secret

/** Sends a message and returns what came last. */
const receive = async (content: string): Promise<Received> => {
  await office.say(conversation, content)
  await office.run()
  const received = office.receiver.requests.at(-1)
  if (!received) throw new Error('nothing came')
  return received
}

it('a delivery is a POST of JSON with the documented headers, and its id is that of the event', async () => {
  await office.makeWebhook({ path: '/hooks?a=b' })
  const before = Math.floor(Date.now() / 1000)
  const received = await receive('Grüße, 世界 🌍 </script> "quoted" \\')
  const body = JSON.parse(received.body)
  const [event] = await office.sql<{ public_id: string; created_at: Date }[]>`
    select public_id, created_at from events where type = 'message.new' order by workspace_id desc, seq desc limit 1`
  expect(received.method).toBe('POST')
  expect(received.path).toBe('/hooks?a=b')
  expect(body).toMatchObject({
    id: event?.public_id,
    type: 'message.created',
    organization_id: office.tenant.workspace.publicId,
    created_at: event?.created_at.toISOString(),
    data: {
      message: { content: 'Grüße, 世界 🌍 </script> "quoted" \\', sender_id: office.tenant.agent.user.publicId },
    },
  })
  const stamp = Number(received.headers['x-muro-timestamp'])
  expect(stamp).toBeGreaterThanOrEqual(before)
  expect(stamp).toBeLessThanOrEqual(Math.ceil(Date.now() / 1000))
  expect(received.headers).toMatchObject({
    'content-type': 'application/json',
    'user-agent': 'Hubbub',
    'x-muro-event': 'message.created',
    'x-muro-event-id': body.id,
    'x-muro-signature': expect.stringMatching(new RegExp(`^t=${stamp},v1=[0-9a-f]{64}$`)),
    'webhook-id': body.id,
    'webhook-timestamp': String(stamp),
    'webhook-signature': expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
  })
})

it('it is verified as documented, by standardwebhooks and by svix, and by none with another secret or body', async () => {
  const { secret } = await office.makeWebhook()
  const other = await office.makeWebhook({ url: 'http://127.0.0.1:1' })
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
  const received = await receive('Grüße, 世界 🌍')
  expect([verifiesAsDocumented(received, secret), verifiesAsStandard(received, secret)]).toEqual([true, true])
  const forged = { ...received, body: received.body.replace('Grüße', 'Gruße') }
  for (const [what, key] of [
    [received, other.secret],
    [forged, secret],
  ] as const) {
    expect([verifiesAsDocumented(what, key), verifiesAsStandard(what, key)]).toEqual([false, false])
  }
})

it('while a secret is rotated both verify; the new one stands first, for receivers that look at the first alone', async () => {
  const { id, secret: old } = await office.makeWebhook()
  const secret = await rotate(id, 3600)
  const received = await receive('in between')
  expect(verifiesAsDocumented(received, secret)).toBe(true)
  expect(verifiesAsStandard(received, secret)).toBe(true)
  expect(verifiesAsStandard(received, old)).toBe(true)
  const header = String(received.headers['x-muro-signature'])
  expect(header).toMatch(/^t=\d+,v1=[0-9a-f]{64},v1=[0-9a-f]{64}$/)
  const second = { ...received, headers: { 'x-muro-signature': `v1=${header.split('v1=')[2]}` } }
  expect(verifiesAsDocumented(second, old)).toBe(true)

  office.clock.ahead = 3_601_000
  const later = await receive('afterwards')
  expect([verifiesAsDocumented(later, secret), verifiesAsStandard(later, secret)]).toEqual([true, true])
  expect([verifiesAsDocumented(later, old), verifiesAsStandard(later, old)]).toEqual([false, false])
  expect(String(later.headers['x-muro-signature'])).toMatch(/^t=\d+,v1=[0-9a-f]{64}$/)
})

it('a secret that was lost to others can be dropped at once, and rotating twice keeps the last two', async () => {
  const { id, secret: first } = await office.makeWebhook()
  const second = await rotate(id, 0)
  const one = await receive('one')
  expect([first, second].map((key) => verifiesAsStandard(one, key))).toEqual([false, true])
  const third = await rotate(id, 60)
  const fourth = await rotate(id, 60)
  const two = await receive('two')
  expect([second, third, fourth].map((key) => verifiesAsStandard(two, key))).toEqual([false, true, true])
})

it('signs as the specification of Standard Webhooks shows it', () => {
  // The example of the specification: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
  const signature = signMessage('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    timestamp: 1614265330,
    body: '{"test": 2432232314}',
  })
  expect(signature).toBe('g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
})
