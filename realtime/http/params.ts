/** The params of a request: SDKs send them in the body, and may send them in the query. */

import { isUtf8 } from 'node:buffer'
import { readQuery } from '../../auth/request-signature.ts'
import type { HttpRequest } from '../transport/transport.ts'

/** Reads the params of a request that publishes: those of the body, else those of the query. A text says what is wrong. */
export const readParams = ({ query, body }: HttpRequest): Record<string, unknown> | string => {
  const params = namesParams.test(query) ? publishParams(query) : undefined
  if (body.length === 0) return params ?? {}
  const text = readText(body)
  if (text === undefined) return 'The body is not UTF-8'
  try {
    const parsed: unknown = JSON.parse(text)
    if (!isObject(parsed)) return notAnObject
    return params ? { ...params, ...parsed } : parsed
  } catch {
    return notAnObject
  }
}

/** Reads the params of the query; of those that come twice, the first. */
export const readQueryParams = (query: string): Map<string, string> => new Map(readQuery(query).reverse())

/** Returns a body as text, undefined if it is not UTF-8. */
export const readText = (body: Uint8Array): string | undefined =>
  isUtf8(body) ? Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString() : undefined

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const notAnObject = 'The body is not a JSON object'

// Nearly every query holds the signature alone.
const namesParams = /(?:^|&)(?:name|data|channel|socket_id|info|[^=&]*%)/i

const publishParams = (query: string): Record<string, unknown> => {
  const given = readQuery(query)
  const params: Record<string, unknown> = {}
  for (const name of ['name', 'data', 'channel', 'socket_id', 'info']) {
    const pair = given.find(([key]) => key === name)
    if (pair) params[name] = pair[1]
  }
  const channels = given.filter(([key]) => key === 'channels[]').map(([, value]) => value)
  if (channels.length > 0) params.channels = channels
  return params
}
