/** Contracts of conversations: reading, opening, triage, one or many at a time. */

import { z } from 'zod'
import { conversationStates, isId, publicId, senderTypes } from '../ids.ts'
import { boundedText, jsonObject, shortText } from '../text.ts'
import { isoTime } from '../time.ts'
import { caps, cursor, isAnyKnown, limit, searched, shownTime } from './conventions.ts'

export const shownStatuses = ['open', 'closed', 'snoozed'] as const
const status = z.enum(shownStatuses)

/** A conversation as it is shown to staff, with its visitor, its website and its last message. */
export const conversation = z
  .object({
    object: z.literal('conversation'),
    id: z.string(),
    status: status.describe('Pending is shown as open.'),
    state: z.enum(conversationStates),
    unread_count: z.int(),
    visitor: z.object({ id: z.string(), name: z.string().nullable(), email: z.string().nullable() }),
    website: z.object({ id: z.string(), name: z.string() }),
    last_message: z.object({ content: z.string(), sender_type: z.enum(senderTypes), at: shownTime }).nullable(),
    assigned_user_id: z.string().nullable(),
    tags: z.array(z.string()),
    priority: z.string().nullable(),
    metadata: z.record(z.string(), z.unknown()),
    snoozed_until: shownTime.nullable().describe('When it wakes; null: when the visitor writes.'),
    last_activity_at: shownTime,
    created_at: shownTime,
    updated_at: shownTime,
  })
  .meta({ id: 'Conversation' })

export const listConversations = z.object({
  status: status.optional(),
  q: searched.optional().describe('Occurs in the contact’s name or email, or in what visitors and agents said.'),
  visitor_id: publicId('contact').optional(),
  assigned_user_id: z
    .string()
    .refine((value) => value === 'none' || isId('user', value), 'must look like usr_… or be none')
    .optional()
    .describe('`none`: those of nobody.'),
  tag: shortText(caps.tag).optional(),
  cursor,
  limit,
})

export const openConversation = z.object({
  visitor_id: publicId('contact'),
  content: boundedText(caps.content, '32 KB').optional().describe('A first message; without it the thread is empty.'),
})

const tags = z
  .array(shortText(caps.tag))
  .transform((all) => [...new Set(all)])
  .refine((all) => all.length <= caps.tags, `must have at most ${caps.tags} tags`)

const future = isoTime.refine((time) => Date.parse(time) > Date.now(), 'must be in the future')

export const updateConversation = z
  .object({
    status: status.optional(),
    snoozed_until: future
      .nullable()
      .optional()
      .describe(
        'When it wakes, at the latest: it does as soon as the visitor writes; null: only then. ' +
          'Without `status` it is for a conversation that is snoozed.',
      ),
    tags: tags.optional().describe('Replaces the tags.'),
    assigned_user_id: publicId('user').nullable().optional(),
    mark_read: z.boolean().optional(),
    mark_unread: z.boolean().optional(),
    metadata: jsonObject.optional().describe('Merged one level deep; a key that comes with null is dropped.'),
  })
  .refine(...isAnyKnown)
  .refine((patch) => !(patch.mark_read && patch.mark_unread), 'mark_read and mark_unread exclude each other')

export const bulkActions = ['close', 'open', 'snooze', 'read', 'unread', 'assign'] as const

export const bulkUpdate = z
  .object({
    ids: z
      .array(z.string())
      .min(1)
      .transform((ids) => [...new Set(ids)])
      .refine((ids) => ids.length <= caps.bulk, `must have at most ${caps.bulk} ids`)
      .describe(`At most ${caps.bulk}; an id that comes twice counts once.`),
    action: z.enum(bulkActions),
    assigned_user_id: publicId('user').nullable().optional().describe('Required where `action` is `assign`.'),
    snoozed_until: future.nullable().optional().describe('For `snooze`: as in the update of one conversation.'),
  })
  .refine((asked) => asked.action !== 'assign' || asked.assigned_user_id !== undefined, {
    path: ['assigned_user_id'],
    message: 'is required where action is assign',
  })
  .refine((asked) => asked.action === 'snooze' || !asked.snoozed_until, {
    path: ['snoozed_until'],
    message: 'is only for the action snooze',
  })

export const bulkResult = z
  .object({
    object: z.literal('bulk_result'),
    action: z.enum(bulkActions),
    data: z.array(
      z.object({
        id: z.string(),
        ok: z.boolean(),
        error: z.object({ type: z.string(), message: z.string(), code: z.string() }).optional(),
      }),
    ),
    succeeded: z.int(),
    failed: z.int(),
  })
  .meta({ id: 'BulkResult', description: 'One result for each id, in the order they were given.' })

export const typing = z.object({ is_private: z.boolean().default(false) }).nullish()

export const typingShown = z.object({
  object: z.literal('typing'),
  conversation_id: z.string(),
  expires_in_ms: z.int(),
})

export type Conversation = z.infer<typeof conversation>
export type ListConversations = z.infer<typeof listConversations>
export type OpenConversation = z.infer<typeof openConversation>
export type UpdateConversation = z.infer<typeof updateConversation>
export type BulkUpdate = z.infer<typeof bulkUpdate>
export type BulkResult = z.infer<typeof bulkResult>
export type Typing = z.infer<typeof typing>
