/** Contracts of webhook endpoints and their deliveries. */

import { z } from 'zod'
import { publicId } from '../ids.ts'
import { postFailures } from '../outbound.ts'
import { isStorable, shortText } from '../text.ts'
import { isoTime } from '../time.ts'
import { byId, cursor, isAnyKnown, limit, shownTime } from './conventions.ts'

export const webhookTypes = [
  'message.created',
  'conversation.opened',
  'conversation.closed',
  'visitor.identified',
  'webhook.disabled',
] as const

export type WebhookType = (typeof webhookTypes)[number]

/** Waits before the second and each later attempt, in seconds; after the last one a delivery has failed. */
export const retrySchedule = [30, 60, 300, 1800, 7200, 21_600] as const

export const deliveryStates = ['pending', 'succeeded', 'failed', 'cancelled'] as const

/** For how long an old secret signs beside the new one where nothing else is asked for: a day, in seconds. */
export const usualOverlap = 86_400

/** How many a workspace may have. */
export const maxWebhooks = 50

/** How long deliveries are kept, in days. */
export const deliveryDays = 30

const url = z
  .url({ protocol: /^https?$/, message: 'must be an http or https address' })
  .max(2000, 'must have at most 2000 characters')
  .refine(isStorable, 'must not contain NUL or broken Unicode')
  .refine((text) => !holdsUser(text), 'must not hold a user name or a password')

// What is no address at all has been refused already; it comes by here all the same.
const holdsUser = (text: string): boolean => {
  if (!URL.canParse(text)) return false
  const { username, password } = new URL(text)
  return username !== '' || password !== ''
}

const events = z
  .array(z.enum(webhookTypes))
  .min(1)
  .transform((types) => [...new Set(types)])

export const webhook = z
  .object({
    object: z.literal('webhook'),
    id: z.string(),
    url: z.string(),
    events: z.array(z.enum(webhookTypes)),
    description: z.string().nullable(),
    website_id: z.string().nullable().describe('Only this site’s events; null: those of all sites.'),
    enabled: z.boolean(),
    disabled_reason: z.enum(['manual', 'gone', 'failing']).nullable(),
    disabled_at: shownTime.nullable(),
    failing_since: shownTime.nullable().describe('Every attempt since then has failed.'),
    created_at: shownTime,
    updated_at: shownTime,
  })
  .meta({ id: 'Webhook' })

/** A webhook with its secret, which is shown when it is made and when it is rotated, and never again. */
export const webhookWithSecret = webhook
  .extend({ secret: z.string().describe('`whsec_…`; shown once.') })
  .meta({ id: 'WebhookWithSecret' })

export const listWebhooks = z.object({ cursor, limit })

export const createWebhook = z.object({
  url,
  events,
  description: shortText(200).optional(),
  website_id: publicId('site').optional(),
  enabled: z.boolean().optional().describe('`false`: it is told of nothing until it is enabled.'),
})

export const updateWebhook = z
  .object({ url, events, description: shortText(200).nullable(), enabled: z.boolean() })
  .partial()
  .refine(...isAnyKnown)

export const rotateWebhook = z
  .object({
    overlap_seconds: z
      .int()
      .min(0)
      .max(7 * 86_400)
      .default(usualOverlap)
      .describe('For how long the old secret signs beside the new one.'),
  })
  .nullish()

export const testWebhook = z.object({ event: z.enum(webhookTypes).optional() }).nullish()

export const recoverWebhook = z.object({ since: isoTime })

export const recovery = z
  .object({
    object: z.literal('webhook_recovery'),
    webhook_id: z.string(),
    since: shownTime.describe('As it was asked, or from when on events are still known: what was before is not sent.'),
  })
  .meta({ id: 'WebhookRecovery', description: 'What failed or was not sent since then is being sent again.' })

/** Path parameters of a delivery. */
export const byDelivery = byId.extend({ delivery_id: z.string().describe('The id of the delivery, `dlv_…`.') })

export const listDeliveries = z.object({ status: z.enum(deliveryStates).optional(), cursor, limit })

/**
 * Why an attempt failed: there was no answer, for one of the reasons of `post`; it was no 2xx (`status`); it leads
 * elsewhere (`redirect`); or it is not known (`lost`), since the process that sent it has ended.
 */
export const attemptFailures = [...postFailures, 'status', 'redirect', 'lost'] as const

export type AttemptFailure = (typeof attemptFailures)[number]

const attempt = z.object({
  at: shownTime,
  duration_ms: z.int(),
  status: z.int().nullable().describe('The HTTP status; null: there was no answer.'),
  failure: z
    .enum(attemptFailures)
    .nullable()
    .describe(
      'Why there was no answer; `status`: it was no 2xx; `redirect`: it leads elsewhere, which is not followed; `lost`: the attempt was broken off on our side and is made again.',
    ),
  message: z.string().nullable(),
  response: z.string().nullable().describe('The beginning of the answer’s body, at most 4 kB.'),
})

export const delivery = z
  .object({
    object: z.literal('webhook_delivery'),
    id: z.string(),
    webhook_id: z.string(),
    event_id: z.string(),
    event_type: z.enum(webhookTypes),
    status: z.enum(deliveryStates),
    attempts: z.array(attempt),
    next_attempt_at: shownTime.nullable(),
    created_at: shownTime,
  })
  .meta({ id: 'WebhookDelivery' })

/** A delivery with what it says, byte by byte: what was signed can be looked at again. */
export const deliveryWithBody = delivery
  .extend({ body: z.string().nullable().describe('The body that is sent; null: what it said was deleted.') })
  .meta({ id: 'WebhookDeliveryWithBody' })

export type Webhook = z.infer<typeof webhook>
export type CreateWebhook = z.infer<typeof createWebhook>
export type WebhookWithSecret = z.infer<typeof webhookWithSecret>
export type UpdateWebhook = z.infer<typeof updateWebhook>
export type ListDeliveries = z.infer<typeof listDeliveries>
export type Recovery = z.infer<typeof recovery>
export type Delivery = z.infer<typeof delivery>
export type DeliveryWithBody = z.infer<typeof deliveryWithBody>
