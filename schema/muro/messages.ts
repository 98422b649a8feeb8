/** Contracts of messages: reading them in order, and sending. */

import { z } from 'zod'
import { publicId, senderTypes } from '../ids.ts'
import { blankableText, shortText } from '../text.ts'
import { queriedTime } from '../time.ts'
import { attached, attachmentIds } from './attachments.ts'
import { apiError, caps, cursor, limit, shownTime } from './conventions.ts'

/** A message as it is shown to staff. */
export const message = z
  .object({
    object: z.literal('message'),
    id: z.string(),
    conversation_id: z.string(),
    sender_type: z.enum(senderTypes),
    sender_id: z.string().nullable(),
    content: z.string(),
    attachments: z.array(attached),
    created_at: shownTime,
    conversation_seq: z.int().describe('Its number in the conversation; what `expected_seq` is compared with.'),
    client_id: z.string().optional(),
  })
  .meta({ id: 'Message' })

export const listMessages = z
  .object({
    since: queriedTime.optional().describe('Only what is newer than this time.'),
    after: publicId('message').optional().describe('Only what comes after this message.'),
    cursor,
    limit,
  })
  .refine(({ since, after }) => since === undefined || after === undefined, 'since and after exclude each other')

/** A message that says something, or sends a file. */
export const saysSomething: [says: (said: Said) => boolean, otherwise: { path: string[]; message: string }] = [
  ({ content = '', attachment_ids = [] }: Said): boolean => content !== '' || attachment_ids.length > 0,
  { path: ['content'], message: 'is required where no file is sent, and must not be blank' },
]

type Said = { content?: string | undefined; attachment_ids?: string[] | undefined }

export const sendMessage = z
  .object({
    content: blankableText(caps.content, '32 KB')
      .optional()
      .describe('At most 32 KB of UTF-8. May be left out, or blank, where there are attachments.'),
    kind: z.enum(['agent', 'note']).default('agent').describe('A reply that the visitor sees, or an internal note.'),
    client_id: shortText(200).optional().describe('Yours; a second message with it is answered with the first.'),
    attachment_ids: attachmentIds.optional(),
    expected_seq: z
      .int()
      .min(0)
      .optional()
      .describe('The `conversation_seq` of the last message you saw: 409 with the newer ones if there are any.'),
  })
  .refine(...saysSomething)

/** Why a message was not sent; `messages` where there are newer ones than its sender has seen. */
export const notSent = apiError
  .extend({ error: apiError.shape.error.extend({ messages: z.array(message).optional() }) })
  .meta({
    id: 'NotSent',
    description: 'The Idempotency-Key was used differently, or `newer_messages`: they are shown, 100 at most.',
  })

export type Message = z.infer<typeof message>
export type SendMessage = z.infer<typeof sendMessage>
