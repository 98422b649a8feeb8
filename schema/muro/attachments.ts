/** Contracts of attachments: files that are uploaded first and then sent with a message. */

import { z } from 'zod'
import { publicId } from '../ids.ts'
import { caps, shownTime } from './conventions.ts'

/** An attachment as a message shows it. */
export const attached = z
  .object({
    id: z.string(),
    filename: z.string(),
    content_type: z.string(),
    size: z.int().describe('In bytes.'),
    url: z.string().describe('Path on this host; needs an API key.'),
  })
  .meta({ id: 'AttachedFile' })

/** An uploaded file. */
export const attachment = attached
  .extend({ object: z.literal('attachment'), message_id: z.string().nullable(), created_at: shownTime })
  .meta({ id: 'Attachment' })

export const attachmentIds = z
  .array(publicId('attachment'))
  .min(1)
  .transform((ids) => [...new Set(ids)])
  .refine((ids) => ids.length <= caps.attachments, `must have at most ${caps.attachments} attachments`)

export const downloadQuery = z.object({
  disposition: z
    .enum(['inline', 'attachment'])
    .default('attachment')
    .describe('`inline` is honoured for images, PDF and plain text only.'),
})

export type Attached = z.infer<typeof attached>
export type Attachment = z.infer<typeof attachment>
export type DownloadQuery = z.infer<typeof downloadQuery>
