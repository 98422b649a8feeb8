/** Contracts of saved replies: canned texts that agents insert by a shortcut. */

import { z } from 'zod'
import { boundedText, shortText } from '../text.ts'
import { caps, cursor, isAnyKnown, limit, shownTime } from './conventions.ts'

const shortcut = z
  .string()
  .transform((text) => text.trim().replace(/^\//, '').toLowerCase())
  .pipe(z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'must be 1 to 64 letters, digits, _ or -'))

export const savedReply = z
  .object({
    object: z.literal('saved_reply'),
    id: z.string(),
    shortcut: z.string().describe('Typed as `/shortcut` in the composer.'),
    title: z.string(),
    body: z.string(),
    created_at: shownTime,
    updated_at: shownTime,
  })
  .meta({ id: 'SavedReply' })

export const listSavedReplies = z.object({ cursor, limit })

export const createSavedReply = z.object({
  shortcut,
  title: shortText(200),
  body: boundedText(caps.content, '32 KB'),
})

export const updateSavedReply = createSavedReply.partial().refine(...isAnyKnown)

export type SavedReply = z.infer<typeof savedReply>
export type CreateSavedReply = z.infer<typeof createSavedReply>
export type UpdateSavedReply = z.infer<typeof updateSavedReply>
