/** Webhooks in a test: a receiver, a workspace, and a post office whose clock the test moves. */

import { pino } from 'pino'
import { Registry } from 'prom-client'
import type { LoggedEvent } from '../../schema/events.ts'
import { type UpdateWebhook, type WebhookType, webhookTypes } from '../../schema/muro/webhooks.ts'
import type { Post, PrivateHost } from '../../schema/outbound.ts'
import type { Context } from '../../server/domain/context.ts'
import { sendMessage } from '../../server/domain/messages.ts'
import { type DeliveryFacts, listDeliveries } from '../../server/domain/webhook-deliveries.ts'
import { createWebhook, readWebhook, updateWebhook, type WebhookSecretFacts } from '../../server/domain/webhooks.ts'
import { createPost } from '../../server/outbound/post.ts'
import { fanOut } from '../../server/webhooks/fan-out.ts'
import { createWebhookMetrics } from '../../server/webhooks/metrics.ts'
import { recoverSome } from '../../server/webhooks/recovery.ts'
import { createSender, type Sender } from '../../server/webhooks/sender.ts'
import { freshDatabase } from '../support/database.ts'
import { type Received, startReceiver } from '../support/receiver.ts'
import { makeTenant, type Tenant, type TestSite } from '../support/tenant.ts'

export type Office = Awaited<ReturnType<typeof startWebhooks>>

/** What a test may ask for when it makes a webhook. */
export type Wanted = { events?: WebhookType[]; path?: string; site?: TestSite; url?: string; tenant?: Tenant }

const anyPort: PrivateHost[] = [{ host: '127.0.0.1', port: undefined }]

/** Opens the office with a workspace; nothing is sent but by `run`. Its clock stands where `ahead` puts it, in ms from now. */
export const startWebhooks = async ({
  timeout = 500,
  allowPrivate = anyPort,
  random = () => 0,
}: {
  timeout?: number
  allowPrivate?: PrivateHost[]
  random?: () => number
} = {}) => {
  const database = await freshDatabase({ max: 12 })
  const { sql } = database
  const receiver = await startReceiver()
  const out = createPost({ allowPrivate })
  const logged: LoggedEvent[] = []
  const context: Context = { sql, bus: { publish: () => undefined } }
  const worker: Context = { ...context, onLogged: (events) => logged.push(...events) }
  const tenant = await makeTenant(context)
  const clock = { ahead: 0 }
  const registry = new Registry()
  const metrics = createWebhookMetrics(registry)
  const makeSender = (post: Post = out.post): Sender =>
    createSender({
      context: worker,
      post,
      logger: pino({ level: 'silent' }),
      metrics,
      ahead: () => clock.ahead,
      random,
      timeout,
    })
  const sender = makeSender()

  /** Makes deliveries of all that has happened. */
  const follow = async (): Promise<void> => {
    while ((await fanOut(sql)) || (await recoverSome(sql)));
  }

  const makeWebhook = async ({
    events = [...webhookTypes],
    path = '/',
    site,
    url = receiver.url + path,
    tenant: of = tenant,
  }: Wanted = {}): Promise<WebhookSecretFacts> => {
    const input = { url, events, ...(site ? { website_id: site.id } : {}) }
    return (await createWebhook(context, of.agent, input, async () => undefined)).answer
  }

  const say = (
    conversation: string,
    content: string,
    { kind = 'agent', tenant: of = tenant }: { kind?: 'agent' | 'note'; tenant?: Tenant } = {},
  ) => sendMessage(context, of.agent, conversation, { content, kind })

  const deliveries = async (id: string): Promise<DeliveryFacts[]> =>
    (await listDeliveries(context, tenant.agent, id, { limit: 1000 })).data.reverse()

  return {
    database,
    sql,
    context,
    tenant,
    receiver,
    post: out.post,
    clock,
    sender,
    makeSender,
    follow,
    metrics,
    /** Returns what an operator reads of webhooks: the lines that begin so, without what is 0. */
    counted: async (beginning: string): Promise<string[]> =>
      (await registry.metrics())
        .split('\n')
        .filter((line) => line.startsWith(`hubbub_chat_${beginning}`) && !line.endsWith(' 0')),
    /** What was logged by sending. */
    logged,
    /** Makes deliveries of all that has happened and sends what is due, until there is nothing to do. */
    run: async (): Promise<void> => {
      for (;;) {
        await follow()
        if ((await sender.send()) === 0) return
        await sender.settled()
      }
    },
    makeWebhook,
    change: (id: string, patch: UpdateWebhook) =>
      updateWebhook(context, tenant.agent, id, patch, async () => undefined),
    say,
    webhook: (id: string) => readWebhook(context, tenant.agent, id),
    deliveries,
    /** Makes a webhook with one delivery that waits for its first attempt. */
    deliverable: async (url = receiver.url): Promise<{ id: string; delivery: () => Promise<DeliveryFacts> }> => {
      const { id } = await makeWebhook({ events: ['message.created'], url: new URL(url).href })
      const { conversation } = await tenant.thread()
      await say(conversation, 'hello')
      await follow()
      const delivery = async () => {
        const [only, ...others] = await deliveries(id)
        if (!only || others.length > 0) throw new Error('there is not exactly one delivery')
        return only
      }
      return { id, delivery }
    },
    /** Removes all webhooks, so that the next test begins without any. */
    clear: async (): Promise<void> => {
      await sql`delete from webhook_deliveries`
      await sql`delete from webhook_endpoints`
      receiver.requests.length = 0
      receiver.answer(200)
      clock.ahead = 0
      logged.length = 0
    },
    close: async (): Promise<void> => {
      await sender.settled()
      await out.close()
      await receiver.stop()
      await database.close()
    },
  }
}

/** Reads the body of what was received. */
export const told = ({ body }: Received): { id: string; type: string; data: Record<string, Record<string, unknown>> } =>
  JSON.parse(body)
