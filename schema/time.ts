/** Times as they are given: ISO 8601 with a zone. */

import { z } from 'zod'

/** A time in the years 1 to 9999, which is what can be compared in the database; becomes UTC with milliseconds. */
export const isoTime = z.iso
  .datetime({ offset: true, message: 'must be an ISO 8601 time with a zone' })
  .transform((text) => new Date(text))
  .refine((time) => time.getUTCFullYear() >= 1 && time.getUTCFullYear() <= 9999, 'must be in the years 1 to 9999')
  .transform((time) => time.toISOString())

/** A time in a query, where the + of its zone is a space if it was not escaped. */
export const queriedTime = z.preprocess(
  (text) => (typeof text === 'string' ? text.replace(/ (\d\d:\d\d)$/, '+$1') : text),
  isoTime,
)
