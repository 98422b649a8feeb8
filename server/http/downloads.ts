/** Sends files: in pieces, as fast as they are read, and so that no browser runs what is in them. */

import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type DownloadQuery, inlineTypes } from '../../schema/muro/attachments.ts'
import type { KeptFile } from '../domain/attachments.ts'
import { liftDeadline, withinDeadline } from './deadline.ts'

/** A reader that takes nothing for so long is gone, in ms. */
const silence = 60_000

/** Answers with a file. Nobody holds a connection to the database while its reader is slow. */
export const sendFile = async (
  request: FastifyRequest,
  reply: FastifyReply,
  file: KeptFile,
  { disposition }: DownloadQuery,
): Promise<FastifyReply> => {
  const inline = disposition === 'inline' && inlineTypes.includes(file.contentType)
  // What is under an id never changes.
  const etag = `"${file.id}"`
  reply.headers({
    'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy': "sandbox; default-src 'none'",
    'Content-Disposition': contentDisposition(inline ? 'inline' : 'attachment', file.filename),
    // It may be kept, and is shown again only to who may still have it.
    'Cache-Control': 'private, no-cache',
    ETag: etag,
    'Access-Control-Expose-Headers': `${reply.getHeader('Access-Control-Expose-Headers')}, Content-Disposition, ETag`,
  })
  if (isKnown(request.headers['if-none-match'], etag)) return reply.code(304).send()
  reply.headers({ 'Content-Type': file.contentType, 'Content-Length': file.size })
  if (request.method === 'HEAD') return reply.send(Readable.from([]))
  const pieces = file.read()
  const first = await pieces.next()
  const follow = async function* () {
    try {
      for (let piece = first; !piece.done; piece = await withinDeadline(pieces.next())) yield piece.value
    } finally {
      await pieces.return()
    }
  }
  liftDeadline(request)
  reply.raw.setTimeout(silence, () => reply.raw.destroy())
  return reply.send(Readable.from(follow(), { objectMode: false, highWaterMark: 1 }))
}

const isKnown = (ifNoneMatch: string | undefined, etag: string): boolean =>
  ifNoneMatch?.split(',').some((one) => one.trim() === '*' || one.trim().replace(/^W\//, '') === etag) ?? false

/** Writes `Content-Disposition` (RFC 6266): the name as it is for who reads `filename*`, and in ASCII for the others. */
const contentDisposition = (type: 'inline' | 'attachment', filename: string): string => {
  const plain = filename.replace(/[^\x20-\x7e]/gu, '_').replace(/["\\%]/g, '_')
  const exact = encodeURIComponent(filename).replace(
    /['()*!]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return plain === filename ? `${type}; filename="${plain}"` : `${type}; filename="${plain}"; filename*=UTF-8''${exact}`
}
