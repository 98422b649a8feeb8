/** What webhooks tell: which event of the log is told as what, and the body that is sent, byte by byte. */

import { z } from 'zod'
import type { LoggedEvent, LoggedEventType } from '../events.ts'
import { webhookFacts } from './webhook-bodies.ts'
import type { WebhookType } from './webhooks.ts'

/** An event as webhooks tell it. `data` holds what the API documents, in that order, and what was added behind. */
export type WebhookEvent = { type: WebhookType; data: Record<string, unknown> }

/**
 * Returns what webhooks tell of an event of the log, if anything: of messages those of visitors and agents, never a note
 * or a system line. What the log does not say any more, of a conversation that was deleted, is not told either.
 */
export const toWebhookEvent = (event: LoggedEvent): WebhookEvent | undefined => {
  const { type, isTold } = tellings[event.type] ?? {}
  const { changed } = changes.parse(event.payload)
  if (!type || (isTold && !isTold(changed))) return undefined
  const { name, facts } = webhookFacts[type]
  // Parsing leaves out what is for the sockets only, and puts the rest into the documented order.
  const parsed = facts.safeParse(event.payload)
  if (!parsed.success) return undefined
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

const changes = z.object({ changed: z.array(z.string()).catch([]) })

/** Which webhook an event of the log is, and for which changes; what does not fit its contract is none. */
const tellings: Partial<
  Record<LoggedEventType, { type: WebhookType; isTold?: (changed: readonly string[]) => boolean }>
> = {
  'message.new': { type: 'message.created' },
  'conversation.opened': { type: 'conversation.opened' },
  'conversation.update': { type: 'conversation.closed', isTold: (changed) => changed.includes('status') },
  'contact.update': {
    type: 'visitor.identified',
    isTold: (changed) => changed.includes('email') || changed.includes('created'),
  },
  'webhook.disabled': { type: 'webhook.disabled' },
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
