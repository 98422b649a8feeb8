/** Contracts and exact texts of the site chat face. */

import { z } from 'zod'
import { type ErrorCode, errorCodes } from './errors.ts'
import { site } from './muro/sites.ts'
import { isStorable } from './text.ts'
import { isoTime } from './time.ts'

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
  key: 'Invalid or missing site key',
  origin: 'Origin not allowed',
  disabled: 'Chat is disabled',
  limited: 'Rate limit exceeded',
} as const

/** What a widget needs to know of its site. */
export const siteConfig = site
  .pick({ greeting: true, color: true, position: true, size: true, language: true, agent_name: true })
  .extend({
    realtime: z
      .object({
        key: z.string(),
        host: z.string(),
        port: z.int(),
        forceTLS: z.boolean(),
        wsPath: z.string().optional(),
        auth_endpoint: z.string(),
      })
      .describe('For the constructor of pusher-js.'),
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

/** The fields of a new conversation, trimmed; empty where absent, blank or not a text. A body without fields lacks them all. */
export const siteConversation = z
  .object({ name: field, email: field, message: field, visitor_token: token })
  .catch({ name: '', email: '', message: '', visitor_token: '' })

export const siteReply = z.object({ message: field }).catch({ message: '' })

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

export const siteMessagesQuery = z.object({ since: isoTime.optional() })

export type SiteReply = z.infer<typeof siteReply>
export type SiteMessagesQuery = z.infer<typeof siteMessagesQuery>
