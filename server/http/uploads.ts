/** Receives files: a multipart body goes to the disk as it comes, counted and hashed, before anything is done with it. */

import { createHash, randomUUID } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import multipart, { type MultipartFile } from '@fastify/multipart'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { HubbubError } from '../../schema/errors.ts'
import { cleanContentType, cleanFilename } from '../../schema/muro/attachments.ts'
import { caps } from '../../schema/muro/conventions.ts'
import type { ArrivedFile } from '../domain/attachments.ts'
import { liftDeadline, renewDeadline } from './deadline.ts'
import { createTurns } from './turns.ts'

/** Takes in the file of a request and gives it to `keep`. It is gone when `keep` is done. */
export type Receive = <T>(
  request: FastifyRequest,
  reply: FastifyReply,
  keep: (file: ArrivedFile) => Promise<T>,
) => Promise<T>

/** Times in ms: how long a sender may be silent, how long an upload may last, and how often one looks. */
const times = { silence: 30_000, life: 3_600_000, look: 100 } as const

// Of those that have arrived so many are kept at a time: the rest of the connections are for messages.
const maxKeeping = 4

// Around the file there are a few lines of a part's head.
const maxBody = caps.attachment + 64 * 1024

/** Lets the routes of a plugin take uploads; each of them begins with `refuseOtherBodies`. */
export const acceptUploads = async (
  app: FastifyInstance,
  { silence = times.silence }: { silence?: number } = {},
): Promise<Receive> => {
  await app.register(multipart)
  const inTurn = createTurns(maxKeeping)
  return async (request, reply, keep) => {
    // What its sender takes for the file does not count.
    liftDeadline(request)
    const place = await openNameless()
    try {
      const { hash, ...file } = await receive(request, place, silence)
      request.fingerprint = createHash('sha256')
        .update(JSON.stringify([file.filename, file.contentType, file.size]))
        .update(hash)
        .digest()
      return await inTurn(async () => {
        const read = (pieceSize: number) => readPieces(place, file.size, pieceSize, () => renewDeadline(request, reply))
        renewDeadline(request, reply)
        return await keep({ ...file, read })
      })
    } finally {
      await place.close()
    }
  }
}

/** Refuses a body that is no upload, or says that it is too large, before it is read. */
export const refuseOtherBodies = async ({ headers }: FastifyRequest): Promise<void> => {
  if (!/^multipart\/form-data\s*;/i.test(headers['content-type'] ?? '')) {
    throw new HubbubError('unsupported_media_type', 'Content-Type must be multipart/form-data, with its boundary.')
  }
  if (Number(headers['content-length'] ?? 0) > maxBody) throw tooLarge()
}

// One more of each than is allowed, so that it is seen and named.
const limits = { fileSize: caps.attachment + 1, files: 2, fields: 1, parts: 3, fieldSize: 1024 }

type Received = Omit<ArrivedFile, 'read'> & { hash: Buffer }

const receive = async (request: FastifyRequest, place: FileHandle, silence: number): Promise<Received> => {
  // Who went away before anybody listened is not heard going any more.
  if (request.raw.destroyed) throw broken('it broke off')
  const watch = watchUpload(request, silence)
  try {
    return await Promise.race([receiveParts(request, place, watch), watch.broken])
  } catch (error) {
    discard(request)
    if (error instanceof HubbubError) throw error
    throw broken('it broke off, or is not multipart/form-data')
  } finally {
    watch.end()
  }
}

const receiveParts = async (request: FastifyRequest, place: FileHandle, watch: Watch): Promise<Received> => {
  let received: Received | undefined
  for await (const part of request.parts({ limits })) {
    if (part.type !== 'file' || part.fieldname !== 'file' || received) throw notOneFile()
    watch.isReading = true
    received = await receiveFile(part, place)
    watch.isReading = false
  }
  if (!received) throw notOneFile()
  return received
}

/** Tells when an upload does not go on; `isReading` while a file is taken out of it. */
type Watch = { isReading: boolean; broken: Promise<never>; end(): void }

const watchUpload = ({ raw }: FastifyRequest, silence: number): Watch => {
  let fail = (_reason: HubbubError): void => undefined
  const watch: Watch = {
    isReading: false,
    broken: new Promise((_resolve, reject) => {
      fail = reject
    }),
    end: () => {
      clearInterval(look)
      clearTimeout(late)
      raw.setTimeout(0)
    },
  }
  raw.setTimeout(silence, () => fail(broken('its sender is silent')))
  const late = setTimeout(() => fail(broken('it lasts too long')), times.life)
  // In a large part that it passes over, as one without a name, the parser stops reading for ever.
  let stopped = 0
  const look = setInterval(() => {
    stopped = raw.isPaused() && !watch.isReading ? stopped + 1 : 0
    if (stopped === 3) fail(notOneFile())
  }, times.look)
  return watch
}

const receiveFile = async (part: MultipartFile, place: FileHandle): Promise<Received> => {
  // Where a part has none, the types of the parser do not say so.
  const given: string | undefined = part.filename
  const filename = cleanFilename(given ?? '')
  if ([...filename].length > caps.filename) throw invalid(`its name has more than ${caps.filename} characters`)
  const hash = createHash('sha256')
  let size = 0
  for await (const piece of part.file) {
    const bytes: Buffer = piece
    size += bytes.length
    if (size > caps.attachment) throw tooLarge()
    hash.update(bytes)
    await place.writeFile(bytes).catch(noRoom)
  }
  if (size === 0) throw invalid('is empty')
  return { filename, contentType: cleanContentType(part.mimetype), size, hash: hash.digest() }
}

// It loses its name at once: whatever happens to this process, nothing is left of it.
const openNameless = async (): Promise<FileHandle> => {
  const path = join(tmpdir(), `hubbub-upload-${randomUUID()}`)
  const file = await open(path, 'wx+', 0o600).catch(noRoom)
  await unlink(path).catch(async (error: unknown) => {
    await file.close()
    return noRoom(error)
  })
  return file
}

const readPieces = async function* (
  file: FileHandle,
  size: number,
  pieceSize: number,
  onPiece: () => void,
): AsyncGenerator<Buffer, void> {
  const piece = Buffer.allocUnsafe(Math.min(pieceSize, size))
  for (let position = 0; position < size; position += pieceSize) {
    onPiece()
    const length = Math.min(pieceSize, size - position)
    const { bytesRead } = await file.read(piece, 0, length, position)
    if (bytesRead !== length) throw new Error('a file on the disk is shorter than what was written')
    yield piece.subarray(0, length)
  }
}

// What still comes is read and thrown away, so that the sender gets the answer; but not for ever.
const discard = ({ raw }: FastifyRequest): void => {
  raw.unpipe()
  raw.resume()
  if (raw.complete) return
  const end = setTimeout(() => raw.destroy(), times.silence)
  raw.once('close', () => clearTimeout(end))
}

const noRoom = (cause: unknown): never => {
  throw new HubbubError('unavailable', 'The file cannot be taken in for now; try again.', { cause })
}

const invalid = (problem: string) => new HubbubError('invalid', `file: ${problem}`, { param: 'file' })

const broken = (why: string) => new HubbubError('invalid', `The upload cannot be read: ${why}.`, { param: 'file' })

const notOneFile = () => invalid('send exactly one part, named file, with a filename')

const tooLarge = () =>
  new HubbubError('too_large', `file: is larger than 10 MiB (${caps.attachment} bytes)`, { param: 'file' })
