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
  .transform((ids) => [...new Set(ids)])
  .refine((ids) => ids.length <= caps.attachments, `must have at most ${caps.attachments} attachments`)

/** A body of `multipart/form-data`. It is read as it comes, so this describes it and checks nothing. */
export const uploadBody = z.unknown().meta({
  type: 'object',
  properties: {
    file: {
      type: 'string',
      format: 'binary',
      description: `At most ${caps.attachment} bytes; its name has at most ${caps.filename} characters.`,
    },
  },
  required: ['file'],
  description: 'One part, named `file`.',
})

/** What a download answers. */
export const fileAnswers = {
  200: {
    description: 'The file, under the content type that it was uploaded with.',
    content: { 'application/octet-stream': { schema: z.unknown().meta({ type: 'string', format: 'binary' }) } },
  },
  304: z.null().describe('You have it: the ETag is the one in If-None-Match.'),
}

export const downloadQuery = z.object({
  disposition: z
    .enum(['inline', 'attachment'])
    .default('attachment')
    .describe('`inline` is honoured for images, PDF and plain text only.'),
})

/** What a browser may show where it is asked to; everything else is offered for saving. */
export const inlineTypes: readonly string[] = [
  'image/png',
  'image/jpeg',
  'image/gif',
  'image/webp',
  'application/pdf',
  'text/plain',
]

/**
 * Returns what a file is called here: the last part of its path, without what would not be seen or would turn the text
 * around; `file` where nothing is left.
 */
export const cleanFilename = (given: string): string => {
  const name = given.toWellFormed().split(/[/\\]/).at(-1) ?? ''
  const seen = name.replace(/[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '').trim()
  return /^\.*$/.test(seen) ? 'file' : seen
}

/** Returns the content type that a file is kept under: the one that was declared, if it has the form of one. */
export const cleanContentType = (declared: string): string =>
  /^[\w!#$&^.+-]{1,100}\/[\w!#$&^.+-]{1,100}$/.test(declared) ? declared.toLowerCase() : 'application/octet-stream'

export type Attached = z.infer<typeof attached>
export type Attachment = z.infer<typeof attachment>
export type DownloadQuery = z.infer<typeof downloadQuery>
