/** Examples of what is sent and answered, all from one story, so that ids in one lead to another. */

import type { z } from 'zod'
import { channelAuthorization, channelAuthRequest } from '../channel-auth.ts'
import { siteConfig, siteConversation, siteError, siteReply } from '../site-chat.ts'
import { attachment } from './attachments.ts'
import { automationRule, createAutomationRule, updateAutomationRule } from './automation-rules.ts'
import { contact, contactSession, createContact, lookUpContact, mergeContacts, updateContact } from './contacts.ts'
import { bulkResult, bulkUpdate, conversation, openConversation, typing, updateConversation } from './conversations.ts'
import { message, sendMessage } from './messages.ts'
import { createSavedReply, savedReply, updateSavedReply } from './saved-replies.ts'
import { createSite, site, updateSite } from './sites.ts'
import { summary } from './summaries.ts'
import { updateUser, user } from './users.ts'
import { webhookBodies } from './webhook-bodies.ts'
import {
  createWebhook,
  delivery,
  deliveryWithBody,
  recoverWebhook,
  recovery,
  rotateWebhook,
  testWebhook,
  updateWebhook,
  webhook,
  webhookWithSecret,
} from './webhooks.ts'

type Examples = readonly (readonly [contract: z.ZodType, example: unknown])[]

const like = <T extends z.ZodType>(contract: T, example: z.input<T>) => [contract, example] as const

const marie = {
  object: 'contact',
  id: 'vis_19c4',
  website_id: 'web_3e07',
  name: 'Marie',
  email: 'marie@example.com',
  metadata: { plan: 'PRO', mrr: 9, workspace_id: 'ws_123' },
  conversation_count: 2,
  last_seen_at: '2026-06-05T09:12:04.000Z',
  created_at: '2026-05-28T14:03:51.207Z',
  updated_at: '2026-06-05T09:12:04.000Z',
} as const

const refundRule = {
  name: 'Tag urgent refunds',
  trigger: 'message.created',
  conditions: { match: 'all', items: [{ field: 'content', op: 'contains', value: 'refund' }] },
  actions: [
    { type: 'add_tag', value: 'refund' },
    { type: 'reply', text: 'We’ll sort this out right away.' },
  ],
} as const

const sentOnce = {
  object: 'webhook_delivery',
  id: 'dlv_19d0',
  webhook_id: 'whk_a41f',
  event_id: 'evt_5f8c',
  event_type: 'message.created',
  status: 'pending',
  attempts: [
    {
      at: '2026-06-07T10:00:00.412Z',
      duration_ms: 187,
      status: 503,
      failure: 'status',
      message: 'answered 503',
      response: 'Service Unavailable',
    },
  ],
  next_attempt_at: '2026-06-07T10:00:30.599Z',
  created_at: '2026-06-07T10:00:00.000Z',
} as const

const endpoint = {
  object: 'webhook',
  id: 'whk_a41f',
  url: 'https://hooks.example.com/hubbub',
  events: ['message.created', 'conversation.closed'],
  description: 'CRM',
  website_id: null,
  enabled: true,
  disabled_reason: null,
  disabled_at: null,
  failing_since: null,
  created_at: '2026-06-01T08:00:00.000Z',
  updated_at: '2026-06-01T08:00:00.000Z',
} as const

const answered: Examples = [
  like(conversation, {
    object: 'conversation',
    id: 'cnv_8f2a',
    status: 'open',
    state: 'open',
    unread_count: 1,
    visitor: { id: 'vis_19c4', name: 'Marie', email: 'marie@example.com' },
    website: { id: 'web_3e07', name: 'Shop' },
    last_message: { content: 'Hi! Is the Pro plan…', sender_type: 'visitor', at: '2026-06-05T09:12:04.000Z' },
    assigned_user_id: 'usr_5d20',
    tags: ['vip', 'billing'],
    priority: null,
    metadata: { ticket_id: 'ZD-4821' },
    snoozed_until: null,
    last_activity_at: '2026-06-05T09:12:04.000Z',
    created_at: '2026-06-05T09:11:48.310Z',
    updated_at: '2026-06-05T09:12:04.000Z',
  }),
  like(bulkResult, {
    object: 'bulk_result',
    action: 'close',
    data: [
      { id: 'cnv_8f2a', ok: true },
      { id: 'cnv_none', ok: false, error: { type: 'not_found', message: 'No such conversation.', code: 'not_found' } },
    ],
    succeeded: 1,
    failed: 1,
  }),
  like(message, {
    object: 'message',
    id: 'msg_4b71',
    conversation_id: 'cnv_8f2a',
    sender_type: 'agent',
    sender_id: 'usr_5d20',
    content: 'On it — give me 5 minutes.',
    attachments: [],
    created_at: '2026-06-05T09:13:40.000Z',
    conversation_seq: 4,
  }),
  like(attachment, {
    object: 'attachment',
    id: 'att_77e2',
    filename: 'invoice.pdf',
    content_type: 'application/pdf',
    size: 48_213,
    url: '/api/v1/attachments/att_77e2',
    message_id: null,
    created_at: '2026-06-05T09:13:32.118Z',
  }),
  like(contact, marie),
  like(contactSession, { object: 'contact_session', contact: marie, conversation_id: 'cnv_8f2a' }),
  like(savedReply, {
    object: 'saved_reply',
    id: 'rpl_0c93',
    shortcut: 'refund',
    title: 'Refund policy',
    body: 'We refund every order within 30 days. Shall I start it for you?',
    created_at: '2026-06-01T08:00:00.000Z',
    updated_at: '2026-06-01T08:00:00.000Z',
  }),
  like(automationRule, {
    object: 'automation_rule',
    id: 'rul_62b8',
    ...refundRule,
    conditions: { match: 'all', items: [{ field: 'content', op: 'contains', value: 'refund' }] },
    actions: [...refundRule.actions],
    active: true,
    position: 1,
    created_at: '2026-06-01T08:00:00.000Z',
    updated_at: '2026-06-01T08:00:00.000Z',
  }),
  like(webhook, { ...endpoint, events: [...endpoint.events] }),
  like(webhookWithSecret, {
    ...endpoint,
    events: [...endpoint.events],
    secret: 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD5sSYspob7o0=',
  }),
  like(recovery, { object: 'webhook_recovery', webhook_id: 'whk_a41f', since: '2026-06-06T00:00:00.000Z' }),
  like(delivery, { ...sentOnce, attempts: [...sentOnce.attempts] }),
  like(deliveryWithBody, {
    ...sentOnce,
    attempts: [...sentOnce.attempts],
    body: '{"id":"evt_5f8c","type":"message.created","organization_id":"org_7c11","created_at":"2026-06-07T10:00:00.000Z","data":{"message":{"id":"msg_4b71","…":"…"}}}',
  }),
  like(user, {
    object: 'user',
    id: 'usr_5d20',
    name: 'Ada',
    email: 'ada@example.com',
    role: 'admin',
    availability: 'online',
    created_at: '2026-05-20T07:30:00.000Z',
  }),
  like(site, {
    object: 'site',
    id: 'web_3e07',
    name: 'Shop',
    widget_id: 'wgt_b5a9',
    site_key: 'site_9Qm4sT7xKd2LpVb0RzWc1N',
    origins: ['https://shop.example.com'],
    active: true,
    greeting: 'Hi there! How can we help?',
    auto_reply: 'Thanks! We usually answer within an hour.',
    color: '#5b5bd6',
    position: 'right',
    size: 'medium',
    language: 'en',
    agent_name: 'The shop team',
    created_at: '2026-05-20T07:30:00.000Z',
    updated_at: '2026-06-01T08:00:00.000Z',
  }),
  like(summary, {
    object: 'summary',
    conversation_id: 'cnv_8f2a',
    bullets: ['Marie asked whether the Pro plan has invoices.', 'Ada sent her one.', 'Nothing is left to do.'],
    content: '- Marie asked whether the Pro plan has invoices.\n- Ada sent her one.\n- Nothing is left to do.',
    generated_at: '2026-06-05T09:30:00.000Z',
    message_count: 6,
    model: 'a-model',
  }),
  like(siteConfig, {
    greeting: 'Hi there! How can we help?',
    color: '#5b5bd6',
    position: 'right',
    size: 'medium',
    language: 'en',
    agent_name: 'The shop team',
    realtime: {
      key: 'hubbub-key',
      host: 'chat.example.com',
      port: 443,
      forceTLS: true,
      auth_endpoint: 'https://chat.example.com/api/v1/realtime/auth',
    },
  }),
  like(siteError, { error: 'Conversation not found' }),
  like(channelAuthorization, {
    auth: 'hubbub-key:6f1b43c2e0d95a7786f0c3a1b2d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6',
    channel_data: '{"hubbub":{"workspace":"org_2c81","key":"key_d9f3","version":1,"iat":1780650000,"since":57}}',
  }),
]

const envelope = { organization_id: 'org_2c81', created_at: '2026-06-07T10:00:00.000Z' } as const

const told: Examples = [
  like(webhookBodies['message.created'], {
    id: 'evt_5f8c',
    type: 'message.created',
    ...envelope,
    data: {
      message: {
        id: 'msg_4b70',
        conversation_id: 'cnv_8f2a',
        sender_type: 'visitor',
        sender_id: 'vis_19c4',
        content: 'Hi! Is the Pro plan…',
        created_at: '2026-06-07T10:00:00.000Z',
        attachments: [],
        seq: 57,
        conversation_seq: 2,
      },
    },
  }),
  like(webhookBodies['conversation.opened'], {
    id: 'evt_5f8b',
    type: 'conversation.opened',
    ...envelope,
    data: {
      conversation: {
        id: 'cnv_8f2a',
        website_id: 'web_3e07',
        visitor_id: 'vis_19c4',
        created_at: '2026-06-07T10:00:00.000Z',
        seq: 56,
        conversation_seq: 1,
      },
    },
  }),
  like(webhookBodies['conversation.closed'], {
    id: 'evt_60aa',
    type: 'conversation.closed',
    ...envelope,
    data: {
      conversation: {
        id: 'cnv_8f2a',
        status: 'closed',
        tags: ['billing'],
        unread_count: 0,
        assigned_user_id: 'usr_5d20',
        last_message_at: '2026-06-07T10:00:00.000Z',
        seq: 63,
        conversation_seq: 8,
      },
    },
  }),
  like(webhookBodies['visitor.identified'], {
    id: 'evt_5f8a',
    type: 'visitor.identified',
    ...envelope,
    data: { visitor: { id: 'vis_19c4', email: 'marie@example.com', name: 'Marie', seq: 55 } },
  }),
  like(webhookBodies['webhook.disabled'], {
    id: 'evt_7d01',
    type: 'webhook.disabled',
    ...envelope,
    data: {
      webhook: {
        id: 'whk_a41f',
        url: 'https://hooks.example.com/hubbub',
        reason: 'failing',
        disabled_at: '2026-06-07T10:00:00.000Z',
        seq: 91,
      },
    },
  }),
]

const sent: Examples = [
  like(openConversation, { visitor_id: 'vis_19c4', content: 'Hi! Saw you signed up — need a hand?' }),
  like(updateConversation, {
    status: 'closed',
    tags: ['vip', 'billing'],
    assigned_user_id: 'usr_5d20',
    mark_read: true,
    metadata: { ticket_id: 'ZD-4821' },
  }),
  like(bulkUpdate, { ids: ['cnv_8f2a', 'cnv_none'], action: 'close' }),
  like(typing, { is_private: false }),
  like(sendMessage, { content: 'Thanks for reaching out!', kind: 'agent' }),
  like(createContact, { name: 'Marie', email: 'marie@example.com', metadata: { plan: 'PRO' } }),
  like(updateContact, {
    name: 'Marie',
    email: 'marie@example.com',
    metadata: { plan: 'PRO', mrr: 9, workspace_id: 'ws_123' },
  }),
  like(mergeContacts, { from: 'vis_7b52' }),
  like(lookUpContact, { visitor_token: 'vt_4Hd0Zk8sQw2Ly6Nc1Xb5Pm', website_id: 'web_3e07' }),
  like(createSavedReply, {
    shortcut: '/refund',
    title: 'Refund policy',
    body: 'We refund every order within 30 days. Shall I start it for you?',
  }),
  like(updateSavedReply, { title: 'Refunds' }),
  like(createAutomationRule, {
    ...refundRule,
    conditions: { match: 'all', items: [{ field: 'content', op: 'contains', value: 'refund' }] },
    actions: [...refundRule.actions],
  }),
  like(updateAutomationRule, { active: false }),
  like(createWebhook, { url: endpoint.url, events: [...endpoint.events], description: 'CRM' }),
  like(updateWebhook, { enabled: true }),
  like(rotateWebhook, { overlap_seconds: 86_400 }),
  like(testWebhook, { event: 'message.created' }),
  like(recoverWebhook, { since: '2026-06-06T00:00:00Z' }),
  like(updateUser, { availability: 'away' }),
  like(createSite, { name: 'Shop', origins: ['https://shop.example.com'], greeting: 'Hi there! How can we help?' }),
  like(updateSite, { color: '#5b5bd6', position: 'left', language: 'fr' }),
  like(siteConversation, {
    name: 'Marie',
    email: 'marie@example.com',
    message: 'Hi! Is the Pro plan…',
    visitor_token: 'vt_4Hd0Zk8sQw2Ly6Nc1Xb5Pm',
  }),
  like(siteReply, { message: 'Thank you!' }),
  like(channelAuthRequest, {
    socket_id: '8217.4410',
    channel_name: 'private-conv-cnv_8f2a',
    since: { 'private-conv-cnv_8f2a': 57 },
  }),
]

/** What is answered, told or sent, for each contract that has an example. */
export const examples: ReadonlyMap<z.ZodType, unknown> = new Map([...answered, ...told, ...sent])
