/** Contracts of a conversation's summary, made by an AI. */

import { z } from 'zod'
import { shownTime } from './conventions.ts'

export const summary = z
  .object({
    object: z.literal('summary'),
    conversation_id: z.string(),
    bullets: z.array(z.string()).describe('What the visitor wanted, what was done, what is to follow.'),
    content: z.string().describe('The bullets as one text.'),
    generated_at: shownTime,
    message_count: z.int().describe('How many messages it covers.'),
    model: z.string(),
  })
  .meta({ id: 'Summary' })

/** There is nothing to say; an empty body is as good. */
export const summarize = z.object({}).nullish()

export type Summary = z.infer<typeof summary>
