/** The webhooks section of the document: what receivers are sent. */

import { z } from 'zod'
import { webhookBodies } from '../../../schema/muro/webhook-bodies.ts'
import { webhookTypes } from '../../../schema/muro/webhooks.ts'

const header = (name: string, description: string, example: string) => ({
  in: 'header',
  name,
  required: true,
  description,
  schema: { type: 'string' },
  example,
})

const hex = '5f3c0e8a1b7d49c2a6e0f1d2c3b4a59687786950413223140516273849505162'

/** The headers of every delivery. */
export const webhookParameters = {
  WebhookType: header('x-muro-event', 'What happened, as `type` in the body.', 'message.created'),
  WebhookId: header('x-muro-event-id', 'The id of the event: a second delivery of it carries the same.', 'evt_5f8c'),
  WebhookTimestamp: header('x-muro-timestamp', 'When this attempt was made, in unix seconds.', '1780826400'),
  WebhookSignature: header(
    'x-muro-signature',
    '`t=` the timestamp, `v1=` the hex HMAC-SHA256 of the raw body, keyed with the secret as it was shown. While an old ' +
      'secret signs beside the new one there are two `v1`, the new one’s first.',
    `t=1780826400,v1=${hex}`,
  ),
  StandardWebhookId: header(
    'webhook-id',
    'The id of the event once more, for libraries of Standard Webhooks.',
    'evt_5f8c',
  ),
  StandardWebhookTimestamp: header('webhook-timestamp', 'The timestamp once more.', '1780826400'),
  StandardWebhookSignature: header(
    'webhook-signature',
    'The signature of Standard Webhooks: base64, over id, timestamp and body.',
    'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=',
  ),
}

const texts = {
  'message.created': [
    'A message was written',
    'By the visitor, or by an agent to the visitor; never an internal note.',
  ],
  'conversation.opened': ['A conversation began', 'A brand-new thread, whoever opened it.'],
  'conversation.closed': ['A conversation was closed', 'By an agent, the API or a rule.'],
  'visitor.identified': ['A visitor gave an e-mail address', 'For the first time, or another one than before.'],
  'webhook.disabled': ['A webhook was switched off', 'Because its receiver failed for too long, or answered 410.'],
} as const

const nameOf = (type: string): string =>
  type.replace(/(^|\.)(\w)/g, (_all, _dot, letter: string) => letter.toUpperCase())

/** Each event that can be subscribed to. */
export const webhooks = Object.fromEntries(
  webhookTypes.map((type) => [
    type,
    {
      post: {
        operationId: `on${nameOf(type)}`,
        tags: ['Webhooks'],
        summary: texts[type][0],
        description: texts[type][1],
        security: [],
        parameters: Object.keys(webhookParameters).map((name) => ({ $ref: `#/components/parameters/${name}` })),
        requestBody: {
          required: true,
          content: {
            'application/json': {
              schema: { $ref: `#/components/schemas/${z.globalRegistry.get(webhookBodies[type])?.id}` },
            },
          },
        },
        responses: {
          '2XX': { description: 'Received.' },
          '410': { description: 'Not wanted any more: the webhook is disabled, and nothing more is sent to it.' },
          default: {
            description:
              'Not received, as where there is no whole answer within 10 s: it is delivered again later, and no sooner ' +
              'than a `Retry-After` says. Redirects are not followed.',
          },
        },
      },
    },
  ]),
)
