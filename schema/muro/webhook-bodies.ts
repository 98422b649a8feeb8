/** Contracts of what webhooks send: one body for each event, the same envelope around it. */

import { z } from 'zod'
import { attached } from './attachments.ts'
import { shownTime } from './conventions.ts'
import type { WebhookType } from './webhooks.ts'

/** What is told of each event, in the documented order: the name of it in `data`, and its facts without the numbers. */
export const webhookFacts = {
  'message.created': {
    name: 'message',
    facts: z.object({
      id: z.string(),
      conversation_id: z.string(),
      sender_type: z.enum(['visitor', 'agent']),
      sender_id: z.string().nullable().describe('The visitor, the agent, or null for what was sent automatically.'),
      content: z.string(),
      created_at: shownTime,
      attachments: z.array(attached),
      client_id: z.string().optional(),
    }),
  },
  'conversation.opened': {
    name: 'conversation',
    facts: z.object({ id: z.string(), website_id: z.string(), visitor_id: z.string(), created_at: shownTime }),
  },
  'conversation.closed': {
    name: 'conversation',
    facts: z.object({
      id: z.string(),
      status: z.literal('closed'),
      tags: z.array(z.string()),
      unread_count: z.int(),
      assigned_user_id: z.string().nullable(),
      last_message_at: shownTime.nullable(),
    }),
  },
  'visitor.identified': {
    name: 'visitor',
    facts: z.object({ id: z.string(), email: z.string(), name: z.string().nullable() }),
  },
  'webhook.disabled': {
    name: 'webhook',
    facts: z.object({ id: z.string(), url: z.string(), reason: z.enum(['gone', 'failing']), disabled_at: shownTime }),
  },
} as const satisfies Record<WebhookType, { name: string; facts: z.ZodObject }>

const seq = z.int().describe('The number of the event in the workspace.')
const numbers = { seq, conversation_seq: z.int().describe('The number of the event in the conversation.') }

const body = <T extends WebhookType, D extends z.ZodRawShape>(type: T, id: string, data: D) =>
  z
    .object({
      id: z.string().describe('The event’s: a second delivery of it carries the same.'),
      type: z.literal(type),
      organization_id: z.string(),
      created_at: shownTime,
      data: z.object(data),
    })
    .meta({ id })

/** What is sent of each event. */
export const webhookBodies = {
  'message.created': body('message.created', 'MessageCreatedWebhook', {
    message: webhookFacts['message.created'].facts.extend(numbers),
  }),
  'conversation.opened': body('conversation.opened', 'ConversationOpenedWebhook', {
    conversation: webhookFacts['conversation.opened'].facts.extend(numbers),
  }),
  'conversation.closed': body('conversation.closed', 'ConversationClosedWebhook', {
    conversation: webhookFacts['conversation.closed'].facts.extend(numbers),
  }),
  'visitor.identified': body('visitor.identified', 'VisitorIdentifiedWebhook', {
    visitor: webhookFacts['visitor.identified'].facts.extend({ seq }),
  }),
  'webhook.disabled': body('webhook.disabled', 'WebhookDisabledWebhook', {
    webhook: webhookFacts['webhook.disabled'].facts.extend({ seq }),
  }),
} as const satisfies Record<WebhookType, z.ZodType>
