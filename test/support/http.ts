/** Calls the REST API as a client does, and reads what it answers. */

import { z } from 'zod'

/** An answer; `body` is its JSON, or undefined where it has none. */
export type Answer = { status: number; headers: Headers; text: string; body: unknown }

type Sent = {
  /** The API key to send as Bearer. */
  key?: string
  /** Sent as JSON, or as it is if it is bytes or a text. */
  body?: unknown
  headers?: Record<string, string>
}

/** Sends a request and returns the answer whatever its status. A body is JSON unless a header says otherwise. */
export const call = async (
  api: string,
  method: string,
  path: string,
  { key, body, headers = {} }: Sent = {},
): Promise<Answer> => {
  const isRaw = typeof body === 'string' || body instanceof Uint8Array
  const answer = await fetch(api + path, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: isRaw ? body : JSON.stringify(body) }),
  })
  const text = await answer.text()
  const isJson = answer.headers.get('content-type')?.startsWith('application/json') ?? false
  return { status: answer.status, headers: answer.headers, text, body: isJson && text ? JSON.parse(text) : undefined }
}

export type Client = ReturnType<typeof clientOf>

/** Returns a client that sends the same headers each time. */
export const clientOf = (api: string, always: Record<string, string>) => ({
  get: (path: string, headers: Record<string, string> = {}) =>
    call(api, 'GET', path, { headers: { ...always, ...headers } }),
  post: (path: string, body?: unknown, headers: Record<string, string> = {}) =>
    call(api, 'POST', path, { body, headers: { ...always, ...headers } }),
  patch: (path: string, body?: unknown, headers: Record<string, string> = {}) =>
    call(api, 'PATCH', path, { body, headers: { ...always, ...headers } }),
})

/** Returns a client of the muro face with an API key; its paths begin after `/api/v1`. */
export const muroClient = (api: string, key: string): Client =>
  clientOf(`${api}/api/v1`, { Authorization: `Bearer ${key}` })

/** Returns the id of the thing that was answered. */
export const idOf = ({ body }: Answer): string => z.object({ id: z.string() }).parse(body).id

const list = z.object({
  object: z.literal('list'),
  data: z.array(z.object({ id: z.string() }).loose()),
  has_more: z.boolean(),
  next_cursor: z.string().nullable(),
})

/** Returns an answered page; fails where the answer is none, or where has_more and next_cursor disagree. */
export const pageOf = ({ body }: Answer) => {
  const { data, has_more, next_cursor } = list.parse(body)
  if (has_more !== (next_cursor !== null)) throw new Error('has_more and next_cursor disagree')
  return { data, ids: data.map(({ id }) => id), cursor: next_cursor }
}

/** What the muro face answers to an error, exactly. */
export const muroError = (type: string, code: string, param?: string) => ({
  error: { type, message: expectText, code, ...(param === undefined ? {} : { param }) },
})

/** Matches any text that is not empty. */
export const expectText: { asymmetricMatch(other: unknown): boolean; toString(): string } = {
  asymmetricMatch: (other) => typeof other === 'string' && other !== '',
  toString: () => 'a text',
}
