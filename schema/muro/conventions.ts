/** What the contracts of the muro face share: caps, lists, errors, and what is answered when something was deleted. */

import { z } from 'zod'
import { type ErrorCode, errorCodes } from '../errors.ts'
import { isStorable } from '../text.ts'

/** The caps that the API documents, in bytes of UTF-8 or in pieces. */
export const caps = {
  content: 32 * 1024,
  metadata: 16 * 1024,
  tags: 50,
  tag: 64,
  q: 128,
  body: 1024 * 1024,
  bulk: 100,
  attachment: 10 * 1024 * 1024,
  attachments: 10,
  filename: 255,
} as const

export const limit = z.coerce.number().int().min(1).max(100).default(25).describe('How many at most.')
export const cursor = z.string().min(1).max(500).optional().describe('The `next_cursor` of the page before.')

/** A text that is searched for; an empty search box finds all, as if it were not there. */
export const searched = z
  .string()
  .refine(isStorable, 'must not contain NUL or broken Unicode')
  .trim()
  .refine((text) => [...text].length <= caps.q, `must have at most ${caps.q} characters`)
  .meta({ maxLength: caps.q })
  .transform((text) => text || undefined)

/** A time as it is shown: ISO 8601 in UTC with milliseconds. */
export const shownTime = z.iso.datetime().describe('ISO 8601, UTC, with milliseconds.')

/** A patch that changes at least one field that is known here. */
export const isAnyKnown = [
  (patch: Record<string, unknown>): boolean => Object.values(patch).some((value) => value !== undefined),
  'must change at least one known field',
] as const

/** `Idempotency-Key`: 1 to 255 visible ASCII characters; one pair of quotes around them is dropped. */
export const idempotencyKey = z
  .string()
  .transform((key) => key.trim().replace(/^"(.*)"$/, '$1'))
  .pipe(z.string().regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters'))

/** Path parameters of a thing that is named by its id. */
export const byId = z.object({ id: z.string().describe('The public id.') })

/** A page of a list. */
export const listOf = <T extends z.ZodType>(item: T) =>
  z.object({
    object: z.literal('list'),
    data: z.array(item),
    has_more: z.boolean(),
    next_cursor: z.string().nullable().describe('Send it as `cursor`; null: this is the last page.'),
  })

/** What is answered when a thing was deleted. */
export const deleted = <T extends string>(object: T) =>
  z.object({ object: z.literal(object), id: z.string(), deleted: z.literal(true) })

const types = [...new Set(Object.values(errorCodes).map(({ type }) => type))]

// The site chat shows no codes, and one is only its own.
const codes = Object.keys(errorCodes).filter((code) => code !== 'unprocessable')

/** An error as the muro face shows it. */
export const apiError = z
  .object({
    error: z
      .object({
        type: z.enum(types),
        message: z.string(),
        code: z
          .string()
          .optional()
          .describe(`What it is in particular: ${codes.join(', ')}. There may be others later.`),
        param: z.string().optional().describe('The input at fault.'),
      })
      .loose(),
  })
  .meta({ id: 'Error', description: 'What went wrong, and often what to do next.' })

/** Adds to a route's answers the errors that it may give: those of every route, and the codes that it names. */
export const answers = <T extends Record<number, z.ZodType>>(given: T, ...codes: ErrorCode[]): T => {
  const statuses = [...everywhere, ...codes].map((code) => errorCodes[code].status)
  return { ...Object.fromEntries(statuses.map((status) => [status, apiError])), ...given }
}

const everywhere = ['invalid', 'unauthenticated', 'forbidden', 'rate_limited', 'unavailable'] as const
