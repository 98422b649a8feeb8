/** Contracts of the muro face: conversations, messages, contacts. */

import { z } from 'zod'
import { publicId } from './ids.ts'
import { boundedText, email, isStorable, jsonObject, shortText } from './text.ts'
import { isoTime } from './time.ts'

/** The caps that the API documents, in bytes of UTF-8 or in pieces. */
export const caps = { content: 32 * 1024, metadata: 16 * 1024, tags: 50, tag: 64, q: 128, body: 1024 * 1024 } as const

const content = boundedText(caps.content, '32 KB')
const limit = z.coerce.number().int().min(1).max(100).default(25)
const cursor = z.string().min(1).max(500).optional()

export const shownStatuses = ['open', 'closed', 'snoozed'] as const
const status = z.enum(shownStatuses)

// An empty search box finds all, as if it were not there.
const searched = z
  .string()
  .refine(isStorable, 'must not contain NUL or broken Unicode')
  .trim()
  .refine((text) => [...text].length <= caps.q, `must have at most ${caps.q} characters`)
  .transform((text) => text || undefined)

export const listConversations = z.object({
  status: status.optional(),
  q: searched.optional(),
  cursor,
  limit,
})

export const openConversation = z.object({
  visitor_id: publicId('contact'),
  content: content.optional(),
})

const tags = z
  .array(shortText(caps.tag))
  .transform((all) => [...new Set(all)])
  .refine((all) => all.length <= caps.tags, `must have at most ${caps.tags} tags`)

export const updateConversation = z
  .object({
    status: status.optional(),
    tags: tags.optional(),
    assigned_user_id: publicId('user').nullable().optional(),
    mark_read: z.boolean().optional(),
    mark_unread: z.boolean().optional(),
    metadata: jsonObject.optional(),
  })
  .refine((patch) => Object.values(patch).some((value) => value !== undefined), 'must change at least one known field')
  .refine((patch) => !(patch.mark_read && patch.mark_unread), 'mark_read and mark_unread exclude each other')

export const listMessages = z
  .object({
    since: isoTime.optional(),
    after: publicId('message').optional(),
    cursor,
    limit,
  })
  .refine(({ since, after }) => since === undefined || after === undefined, 'since and after exclude each other')

export const sendMessage = z.object({
  content,
  kind: z.enum(['agent', 'note']).default('agent'),
  client_id: shortText(200).optional(),
})

export const typing = z.object({ is_private: z.boolean().default(false) }).nullish()

export const listContacts = z.object({ website_id: publicId('site').optional(), cursor, limit })

export const createContact = z.object({
  website_id: publicId('site').optional(),
  name: shortText(200).optional(),
  email: email.optional(),
  metadata: jsonObject.optional(),
})

export const updateContact = z
  .object({
    name: shortText(200).nullable().optional(),
    email: email.nullable().optional(),
    metadata: jsonObject.optional(),
  })
  .refine((patch) => Object.values(patch).some((value) => value !== undefined), 'must change at least one known field')

/** `Idempotency-Key`: 1 to 255 visible ASCII characters; one pair of quotes around them is dropped. */
export const idempotencyKey = z
  .string()
  .transform((key) => key.trim().replace(/^"(.*)"$/, '$1'))
  .pipe(z.string().regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters'))

export type OpenConversation = z.infer<typeof openConversation>
export type UpdateConversation = z.infer<typeof updateConversation>
export type CreateContact = z.infer<typeof createContact>
export type UpdateContact = z.infer<typeof updateContact>
export type ListMessages = z.infer<typeof listMessages>
export type SendMessage = z.infer<typeof sendMessage>
export type Typing = z.infer<typeof typing>
