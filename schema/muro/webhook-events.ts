/** What webhooks tell: which event of the log is told as what, and the body that is sent, byte by byte. */

import { z } from 'zod'
import type { LoggedEvent, LoggedEventType } from '../events.ts'
import type { WebhookType } from './webhooks.ts'

/** An event as webhooks tell it. `data` holds what the API documents, in that order, and what was added behind. */
export type WebhookEvent = { type: WebhookType; data: Record<string, unknown> }

/**
 * Returns what webhooks tell of an event of the log, if anything: of messages those of visitors and agents, never a note
 * or a system line. What the log does not say any more, of a conversation that was deleted, is not told either.
 */
export const toWebhookEvent = (event: LoggedEvent): WebhookEvent | undefined => {
  const { type, name, payload } = tellings[event.type] ?? {}
  const parsed = payload?.safeParse(event.payload)
  if (!type || !name || !parsed?.success) return undefined
  const { seq, conversation_seq } = event
  const numbers = conversation_seq === null ? { seq } : { seq, conversation_seq }
  return { type, data: { [name]: { ...parsed.data, ...numbers } } }
}

/** Returns the body of a webhook: what is signed, sent and kept. The id is the event's. */
export const webhookBody = (
  { id, workspace, created_at }: { id: string; workspace: string; created_at: string },
  { type, data }: WebhookEvent,
): string => JSON.stringify({ id, type, organization_id: workspace, created_at, data })

/** Returns an event that did not happen, for trying a receiver out. */
export const sampleEvent = (type: WebhookType, at: string): WebhookEvent => ({ type, data: samples[type](at) })

// Parsing by contract leaves out what is for the sockets only, and puts the rest into the documented order.
const message = z.object({
  id: z.string(),
  conversation_id: z.string(),
  sender_type: z.enum(['visitor', 'agent']),
  sender_id: z.string().nullable(),
  content: z.string(),
  created_at: z.string(),
  attachments: z.array(z.unknown()),
  client_id: z.string().optional(),
})

const opened = z.object({ id: z.string(), website_id: z.string(), visitor_id: z.string(), created_at: z.string() })

const closed = z
  .object({
    id: z.string(),
    status: z.literal('closed'),
    tags: z.array(z.string()),
    unread_count: z.int(),
    assigned_user_id: z.string().nullable(),
    last_message_at: z.string().nullable(),
    changed: z.array(z.string()).refine((changed) => changed.includes('status')),
  })
  .transform(({ changed: _, ...facts }) => facts)

const identified = z
  .object({
    id: z.string(),
    email: z.string(),
    name: z.string().nullable(),
    changed: z.array(z.string()).refine((changed) => changed.includes('email') || changed.includes('created')),
  })
  .transform(({ changed: _, ...facts }) => facts)

const disabled = z.object({
  id: z.string(),
  url: z.string(),
  reason: z.enum(['gone', 'failing']),
  disabled_at: z.string(),
})

const tellings: Partial<
  Record<LoggedEventType, { type: WebhookType; name: string; payload: z.ZodType<Record<string, unknown>> }>
> = {
  'message.new': { type: 'message.created', name: 'message', payload: message },
  'conversation.opened': { type: 'conversation.opened', name: 'conversation', payload: opened },
  'conversation.update': { type: 'conversation.closed', name: 'conversation', payload: closed },
  'contact.update': { type: 'visitor.identified', name: 'visitor', payload: identified },
  'webhook.disabled': { type: 'webhook.disabled', name: 'webhook', payload: disabled },
}

const samples: Record<WebhookType, (at: string) => WebhookEvent['data']> = {
  'message.created': (at) => ({
    message: {
      id: 'msg_sample',
      conversation_id: 'cnv_sample',
      sender_type: 'visitor',
      sender_id: 'vis_sample',
      content: 'This is a test of your webhook.',
      created_at: at,
      attachments: [],
      seq: 0,
      conversation_seq: 0,
    },
  }),
  'conversation.opened': (at) => ({
    conversation: {
      id: 'cnv_sample',
      website_id: 'web_sample',
      visitor_id: 'vis_sample',
      created_at: at,
      seq: 0,
      conversation_seq: 0,
    },
  }),
  'conversation.closed': (at) => ({
    conversation: {
      id: 'cnv_sample',
      status: 'closed',
      tags: ['sample'],
      unread_count: 0,
      assigned_user_id: null,
      last_message_at: at,
      seq: 0,
      conversation_seq: 0,
    },
  }),
  'visitor.identified': () => ({
    visitor: { id: 'vis_sample', email: 'sample@example.com', name: 'Sample', seq: 0 },
  }),
  'webhook.disabled': (at) => ({
    webhook: { id: 'whk_sample', url: 'https://example.com/', reason: 'failing', disabled_at: at, seq: 0 },
  }),
}
