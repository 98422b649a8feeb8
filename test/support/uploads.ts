/** Uploads and downloads files as clients do, well and badly. */

import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { type Answer, call } from './http.ts'

/** A file to be uploaded. */
export type TestFile = { name?: string; type?: string; bytes: string | Uint8Array }

/** Uploads a file as a browser or fetch does. */
export const upload = async (
  url: string,
  headers: Record<string, string>,
  { name = 'file.txt', type = 'text/plain', bytes }: TestFile,
): Promise<Answer> => {
  const form = new FormData()
  form.append('file', new Blob([new Uint8Array(Buffer.from(bytes))], { type }), name)
  return await send(url, headers, form)
}

const send = async (url: string, headers: Record<string, string>, body: FormData): Promise<Answer> => {
  const answer = await fetch(url, { method: 'POST', headers, body })
  const text = await answer.text()
  return { status: answer.status, headers: answer.headers, text, body: text ? JSON.parse(text) : undefined }
}

const boundary = 'a-boundary-of-a-test'

/** The content type of bodies that are written by hand. */
export const multipartType = `multipart/form-data; boundary=${boundary}`

/** Writes a part of a body by hand: its header lines, and its bytes. */
export const part = (lines: string[], bytes: string | Uint8Array): Buffer =>
  Buffer.concat([
    Buffer.from(`--${boundary}\r\n${lines.join('\r\n')}\r\n\r\n`),
    Buffer.from(bytes),
    Buffer.from('\r\n'),
  ])

/** The header lines of a file's part; `disposition` is what follows its name. */
export const filePart = (disposition = 'filename="f.txt"', type = 'text/plain', field = 'file'): string[] => [
  `Content-Disposition: form-data; name="${field}"; ${disposition}`,
  `Content-Type: ${type}`,
]

/** Writes a body of parts. */
export const multipart = (...parts: Buffer[]): Buffer => Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)])

/** Sends a body that is written by hand. */
export const uploadRaw = (url: string, headers: Record<string, string>, body: Uint8Array): Promise<Answer> =>
  call('', 'POST', url, { body, headers: { 'Content-Type': multipartType, ...headers } })

/** What was downloaded. */
export type Downloaded = { status: number; headers: Headers; bytes: Buffer }

/** Downloads what is at an address. */
export const download = async (
  url: string,
  headers: Record<string, string>,
  method: 'GET' | 'HEAD' = 'GET',
): Promise<Downloaded> => {
  const answer = await fetch(url, { method, headers })
  return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) }
}

/** Returns the SHA-256 of bytes, to compare large ones. */
export const sumOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** An upload whose sender decides when each byte goes. */
export type SlowUpload = {
  write(bytes: string | Uint8Array): void
  /** Sends the end of the body. */
  end(): void
  /** All that was answered until the connection ended. */
  answer: Promise<string>
  cut(): void
}

/** Begins an upload over a socket of its own; nothing of the file is sent yet. */
export const openUpload = async (url: string, headers: Record<string, string>): Promise<SlowUpload> => {
  const { hostname, port, pathname } = new URL(url)
  const socket: Socket = connect(Number(port), hostname)
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
  let got = ''
  socket.on('data', (bytes) => {
    got += bytes
  })
  socket.on('error', () => socket.destroy())
  const answer = new Promise<string>((resolve) => socket.once('close', () => resolve(got)))
  const chunk = (bytes: Uint8Array) =>
    socket.write(Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]))
  const lines = Object.entries({
    Host: `${hostname}:${port}`,
    'Content-Type': multipartType,
    'Transfer-Encoding': 'chunked',
    Connection: 'close',
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`)
  socket.write(`POST ${pathname} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
  chunk(Buffer.from(`--${boundary}\r\n${filePart().join('\r\n')}\r\n\r\n`))
  return {
    write: (bytes) => chunk(Buffer.from(bytes)),
    end: () => {
      chunk(Buffer.from(`\r\n--${boundary}--\r\n`))
      socket.write('0\r\n\r\n')
    },
    answer,
    cut: () => socket.resetAndDestroy(),
  }
}
