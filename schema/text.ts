/** Text as it may be stored: what Postgres can hold, measured as the documentation measures it. */

import { z } from 'zod'

/** Returns the length of a text in UTF-8 bytes. */
export const utf8Bytes = (text: string): number => new TextEncoder().encode(text).length

/** Returns whether a text can be stored: no NUL, no half of a surrogate pair. */
export const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed()

const storable = z.string().refine(isStorable, 'must not contain NUL or broken Unicode')

/** A text of at most `max` code points, trimmed, not blank. */
export const shortText = (max: number) =>
  storable
    .trim()
    .min(1, 'must not be blank')
    .refine((text) => [...text].length <= max, `must have at most ${max} characters`)
    .meta({ maxLength: max })

/** A text of at most `max` bytes of UTF-8; kept as it came, but empty where it is blank. */
export const blankableText = (max: number, label: string) =>
  storable
    .refine((text) => utf8Bytes(text) <= max, `must be at most ${label} (${max} bytes of UTF-8)`)
    .transform((text) => (text.trim() === '' ? '' : text))

/** A text of at most `max` bytes of UTF-8, not blank; kept as it came. */
export const boundedText = (max: number, label: string) =>
  blankableText(max, label)
    .refine((text) => text !== '', 'must not be blank')
    .describe(`At most ${label} of UTF-8.`)

/** An e-mail address, trimmed and in lower case. */
export const email = storable.trim().toLowerCase().max(254).pipe(z.email('must be an e-mail address'))

/** A JSON object that can be stored: every key and text in it is storable. */
export const jsonObject = z
  .record(z.string(), z.unknown())
  .refine(
    (value) => isStorableJson(value, 0),
    'must not contain NUL, broken Unicode, numbers beyond 1e308 or more than 32 levels',
  )

const isStorableJson = (value: unknown, depth: number): boolean => {
  if (typeof value === 'string') return isStorable(value)
  // JSON may hold larger numbers than can be kept; they would be null.
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  if (depth > 32) return false
  return Object.entries(value).every(([key, held]) => isStorable(key) && isStorableJson(held, depth + 1))
}
