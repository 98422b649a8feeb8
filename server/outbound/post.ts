/** The one way out: every address that a stranger may enter is posted to here, and the guard stands before it. */

import { Agent } from 'undici'
import type { Post, PostResult, PrivateHost } from '../../schema/outbound.ts'
import { createDialer } from './dial.ts'
import { type Failed, failed, failureOf } from './failures.ts'
import { createGuard, type Lookup } from './guard.ts'
import { readRetryAfter } from './retry-after.ts'

/** How much of an answer's body is kept, in bytes. */
export const keptBody = 4096

/** How much of a body is read at most, in bytes, so that the connection may be used again; a longer one cuts it. */
const readBody = 65_536

/** Makes `post`. `close` ends what is on its way: it then fails as closed. */
export const createPost = ({
  allowPrivate = [],
  lookup,
}: {
  allowPrivate?: readonly PrivateHost[]
  lookup?: Lookup
} = {}): { post: Post; close(): Promise<void> } => {
  const admit = createGuard({ allowPrivate, ...(lookup ? { lookup } : {}) })
  const agent = new Agent({
    connect: createDialer(admit),
    pipelining: 1,
    // Some receivers hang up after two seconds without having said so; what is on its way just then is lost.
    keepAliveTimeout: 1000,
    // What a receiver may ask for.
    keepAliveMaxTimeout: 30_000,
  })

  const exchange = async (
    target: URL,
    { headers, body, timeout }: Parameters<Post>[1],
    signal: AbortSignal,
  ): Promise<PostResult> => {
    try {
      const {
        statusCode,
        headers: told,
        body: answer,
      } = await agent.request({
        origin: target.origin,
        path: target.pathname + target.search,
        method: 'POST',
        headers: withAgent(headers),
        body,
        headersTimeout: timeout,
        bodyTimeout: timeout,
        signal,
      })
      const retryAfter = readRetryAfter(told['retry-after'], Date.now())
      return {
        ok: statusCode >= 200 && statusCode < 300,
        status: statusCode,
        body: await startOf(answer),
        ...(retryAfter === undefined ? {} : { retryAfter }),
      }
    } catch (error) {
      return failureOf(error, target.host)
    }
  }

  const post: Post = async (url, request) => {
    const target = readTarget(url)
    if (!(target instanceof URL)) return target
    const controller = new AbortController()
    let timer: NodeJS.Timeout | undefined
    // Its own promise, since undici hears of an abort only once it has a connection.
    const deadline = new Promise<PostResult>((resolve) => {
      timer = setTimeout(() => {
        resolve(failed('timeout', `${target.host} did not answer within ${request.timeout} ms`))
        controller.abort()
      }, request.timeout)
    })
    try {
      return await Promise.race([exchange(target, request, controller.signal), deadline])
    } finally {
      clearTimeout(timer)
    }
  }

  return { post, close: () => agent.destroy() }
}

const readTarget = (url: string): URL | Failed => {
  if (!URL.canParse(url)) return failed('invalid_url', 'the address is not a URL')
  const target = new URL(url)
  if (target.protocol !== 'http:' && target.protocol !== 'https:') {
    return failed('invalid_url', 'the address must begin with http:// or https://')
  }
  if (target.username !== '' || target.password !== '') {
    return failed('invalid_url', 'the address must not hold a user name or a password')
  }
  return target
}

// Some firewalls turn away requests that do not say what sends them.
const withAgent = (headers: Record<string, string>): Record<string, string> =>
  Object.keys(headers).some((name) => name.toLowerCase() === 'user-agent')
    ? headers
    : { 'User-Agent': 'Hubbub', ...headers }

const startOf = async (answer: AsyncIterable<Uint8Array>): Promise<string> => {
  const kept: Uint8Array[] = []
  let read = 0
  for await (const chunk of answer) {
    if (read < keptBody) kept.push(chunk.subarray(0, keptBody - read))
    read += chunk.length
    // Leaving the loop destroys the answer, and its connection with it.
    if (read > readBody) break
  }
  // As a stream: half a character at the cut is left out.
  return new TextDecoder().decode(Buffer.concat(kept), { stream: true })
}
