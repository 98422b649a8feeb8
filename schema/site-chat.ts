/** Contracts and exact texts of the site chat face. */

import { z } from 'zod'
import { type ErrorCode, errorCodes } from './errors.ts'
import { type Attached, attached, attachmentIds } from './muro/attachments.ts'
import { shownTime } from './muro/conventions.ts'
import { realtimeAddress } from './muro/realtime.ts'
import { site } from './muro/sites.ts'
import { isStorable } from './text.ts'
import { queriedTime } from './time.ts'

/** The longest message of a visitor, in characters. */
export const maxSiteMessage = 10_000

/** What the face answers, word for word. */
export const siteChatErrors = {
  missing: 'Name, email, message, and visitor_token are required',
  messageMissing: 'Message is required',
  email: 'Invalid email address',
  tooLong: `Message is too long (maximum ${maxSiteMessage} characters)`,
  nameTooLong: 'Name is too long (maximum 200 characters)',
  tokenTooLong: 'visitor_token is too long (maximum 200 characters)',
  taken: 'A conversation with this visitor token already exists',
  notFound: 'Conversation not found',
  fileNotFound: 'File not found',
  key: 'Invalid or missing site key',
  origin: 'Origin not allowed',
  disabled: 'Chat is disabled',
  limited: 'Rate limit exceeded',
} as const

/** What a widget needs to know of its site. */
export const siteConfig = site
  .pick({ greeting: true, color: true, position: true, size: true, language: true, agent_name: true })
  .extend({
    realtime: realtimeAddress.extend({ auth_endpoint: z.string() }).describe('For the constructor of pusher-js.'),
  })
  .meta({ id: 'SiteConfig' })

// The texts say which fields are required and not which one failed, so absent, blank and unstorable are one case.
const field = z
  .string()
  .transform((text) => text.trim())
  .catch('')

// A token is a secret that names its conversation exactly, so it is kept as it came.
const token = z
  .string()
  .refine((text) => text.trim() !== '')
  .catch('')

const url = z
  .url({ protocol: /^https?$/ })
  .max(2000)
  .refine(isStorable)
  .optional()
  .catch(undefined)
  .describe('The page that the visitor is on; anything but an http address is ignored.')

/** The fields of a new conversation, trimmed; empty where absent, blank or not a text. A body without fields lacks them all. */
export const siteConversation = z
  .object({ name: field, email: field, message: field, visitor_token: token, url })
  .catch({ name: '', email: '', message: '', visitor_token: '' })

/** A conversation that has begun. */
export const siteConversationBegun = z
  .object({
    conversation_token: z.string().describe('Opens the conversation as the visitor_token does.'),
    auto_reply: z.string().nullable(),
    conversation_id: z.string(),
    channel: z.string().describe('Where the visitor hears of it.'),
  })
  .meta({ id: 'SiteConversation' })

const asFields = (body: unknown): unknown => (typeof body === 'object' && body !== null ? body : {})

/** A reply of the visitor: a message, files that were uploaded in the conversation, or both. */
export const siteReply = z.preprocess(
  asFields,
  z.object({
    message: field.default('').describe('May be left out where there are files.'),
    attachment_ids: attachmentIds.optional(),
  }),
)

export const siteReplySent = z.object({ status: z.literal('ok') }).meta({ id: 'SiteReplySent' })

/** A file as its visitor sees it: its address is made of the two numbers. */
export const siteFile = z
  .object({
    activity_id: z.int().describe('The number of its message in the conversation.'),
    id: z.int().describe('Its place among the files of the message, from 1 on.'),
    filename: z.string(),
    content_type: z.string(),
    size: z.int().describe('In bytes.'),
  })
  .meta({ id: 'SiteFile' })

export type SiteFile = z.infer<typeof siteFile>

/** Returns the files of a message as its visitor sees them; `activity` is the message's number in its conversation. */
export const siteFilesOf = (
  activity: number,
  files: Pick<Attached, 'filename' | 'content_type' | 'size'>[],
): SiteFile[] =>
  files.map(({ filename, content_type, size }, index) => ({
    activity_id: activity,
    id: index + 1,
    filename,
    content_type,
    size,
  }))

/** A message as its visitor sees it. */
export const siteMessage = z
  .object({
    direction: z.enum(['inbound', 'outbound']),
    body: z.string(),
    timestamp: shownTime,
    author: z.string(),
    id: z.string(),
    attachments: z.array(siteFile),
  })
  .meta({ id: 'SiteMessage' })

/** A file that a visitor has uploaded; its id is for the message that it will be sent with. */
export const siteUpload = attached.omit({ url: true }).meta({ id: 'SiteUpload' })

export const byVisitor = z.object({
  visitor_token: z.string().describe('The visitor_token or the conversation_token.'),
})

// What is no number names nothing, so that it is not found; the 0 that stands for it is none to be documented.
const number = z.coerce.number().int().min(1).catch(0).meta({ default: undefined })

export const byFile = byVisitor.extend({
  activity_id: number.describe('The number of the message.'),
  id: number.describe('The place of the file in it.'),
})

/** An error of the face. */
export const siteError = z.object({ error: z.string() }).meta({ id: 'SiteError' })

/** Adds to a route's answers the errors that it may give: those of every route, and the codes that it names. */
export const siteAnswers = <T extends Record<number, z.ZodType>>(given: T, ...codes: ErrorCode[]): T => {
  const statuses = [...everywhere, ...codes].map((code) => errorCodes[code].status)
  return { ...Object.fromEntries(statuses.map((status) => [status, siteError])), ...given }
}

const everywhere = ['invalid', 'unauthenticated', 'forbidden', 'rate_limited', 'unavailable'] as const

/** Returns whether a text can be kept as the message or the name of a visitor. */
export const isSiteText = (text: string): boolean => text !== '' && isStorable(text)

/** Lengths of a visitor's name and token, in characters. */
export const maxVisitorName = 200
export const maxVisitorToken = 200

export const siteMessagesQuery = z.object({ since: queriedTime.optional() })
