/** The AI that the operator has chosen: an endpoint that speaks OpenAI's chat completions. */

import { performance } from 'node:perf_hooks'
import { z } from 'zod'
import { HubbubError, StartError } from '../../schema/errors.ts'

/** What is said to it, in order. */
export type Prompt = { role: 'system' | 'user'; content: string }[]

export type Ai = {
  /** The model's name, as it is shown beside what it has written. */
  model: string
  /** Returns what it answers; throws `unavailable` where it gives no usable answer in time, or `signal` ends the wait. */
  complete(prompt: Prompt, signal?: AbortSignal): Promise<string>
}

/**
 * How a request ended: with an answer; with a refusal, or an answer of which nothing can be made; too late; with nobody
 * there, or an answer that broke off; or because nobody waited for it any more.
 */
export const aiOutcomes = ['answered', 'refused', 'unusable', 'timeout', 'unreachable', 'stopped'] as const

export type AiOutcome = (typeof aiOutcomes)[number]

/** How large an answer may get, in bytes. */
const maxAnswer = 256 * 1024

/**
 * Returns the AI; undefined where none is configured. It is asked once and not again: whoever asks knows better how long
 * that is worth it. `patience`: how long an answer may take in all, in ms. `onEnded` hears how each request ended, and
 * after how many seconds.
 */
export const createAi = (
  { AI_BASE_URL: base, AI_API_KEY, AI_MODEL: model }: AiConfig,
  {
    patience = 30_000,
    onEnded = () => undefined,
  }: { patience?: number; onEnded?: (outcome: AiOutcome, seconds: number) => void } = {},
): Ai | undefined => {
  if (base === undefined || model === undefined) return undefined
  const key = AI_API_KEY?.trim() || undefined
  const headers = headersOf(key)
  let places = placesOf(base)

  const ask = async (body: string, signal: AbortSignal): Promise<string> => {
    for (const [n, place] of places.entries()) {
      const response = await fetch(place, { method: 'POST', headers, body, signal, redirect: 'manual' })
      const text = await readBounded(response)
      const isElsewhere = response.status === 404 || response.status === 405
      if (isElsewhere && n < places.length - 1) continue
      if (!response.ok) throw refused(response.status, key ? text.replaceAll(key, '***') : text)
      places = [place]
      return contentOf(text)
    }
    throw unusable()
  }

  return {
    model,
    complete: async (messages, signal) => {
      const end = new AbortController()
      let isLate = false
      const timer = setTimeout(() => {
        isLate = true
        end.abort()
      }, patience)
      const stop = () => end.abort()
      signal?.addEventListener('abort', stop)
      if (signal?.aborted) stop()
      const started = performance.now()
      let outcome: AiOutcome = 'answered'
      try {
        return await ask(JSON.stringify({ model, messages }), end.signal)
      } catch (error) {
        const failure = error instanceof AiError ? error : missing(isLate ? patience : undefined, error)
        outcome = signal?.aborted ? 'stopped' : failure.outcome
        throw failure
      } finally {
        onEnded(outcome, (performance.now() - started) / 1000)
        clearTimeout(timer)
        signal?.removeEventListener('abort', stop)
      }
    },
  }
}

type AiConfig = {
  AI_BASE_URL?: string | undefined
  AI_API_KEY?: string | undefined
  AI_MODEL?: string | undefined
}

// Checked here: where fetch refuses a header it shows it, and that would be in the log.
const headersOf = (key: string | undefined): Record<string, string> => {
  if (key !== undefined && !/^[\x21-\x7e]+$/.test(key)) throw new StartError('AI_API_KEY: must be visible ASCII')
  return { 'Content-Type': 'application/json', ...(key ? { Authorization: `Bearer ${key}` } : {}) }
}

/**
 * Returns where completions may be: at an address without a version they are under /v1 as a rule, and right there with
 * some. The first that is there is kept.
 */
const placesOf = (base: string): URL[] => {
  const url = new URL(base)
  if (url.username || url.password) throw new StartError('AI_BASE_URL: must not hold a password; use AI_API_KEY')
  const path = url.pathname.replace(/\/+$/, '')
  const paths = /\/v\d[^/]*(\/|$)/.test(path) ? [path] : [`${path}/v1`, path]
  return paths.map((one) => {
    const place = new URL(url)
    place.pathname = `${one}/chat/completions`
    return place
  })
}

const readBounded = async ({ body }: Response): Promise<string> => {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body ?? []) {
    size += chunk.length
    if (size > maxAnswer)
      throw new AiError('unusable', `answered more than ${maxAnswer / 1024} kB: try again, or check AI_MODEL`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

const completion = z.object({
  choices: z
    .array(
      z.object({ message: z.object({ content: z.string().or(z.array(z.object({ text: z.string().optional() }))) }) }),
    )
    .min(1),
})

const contentOf = (text: string): string => {
  const parsed = completion.safeParse(jsonIn(text))
  const content = parsed.data?.choices[0]?.message.content ?? ''
  const said = typeof content === 'string' ? content : content.map((part) => part.text ?? '').join('')
  if (said.trim() === '') throw unusable()
  return said
}

const jsonIn = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Returns the error for an answer from which nothing can be taken. It is not shown: it may tell of a conversation. */
export const unusable = (): HubbubError =>
  new AiError('unusable', 'gave no usable answer: try again, or check AI_BASE_URL and AI_MODEL')

// `patience` where that is over.
const missing = (patience: number | undefined, cause: unknown): AiError =>
  patience === undefined
    ? new AiError('unreachable', 'cannot be reached: try again, or check AI_BASE_URL', cause)
    : new AiError('timeout', `did not answer within ${patience / 1000} s: try again`, cause)

// What it says of its refusal is for the log, in which its key is not: some show the one that they were sent.
const refused = (status: number, answer: string): AiError => {
  const what = advice[status] ?? (status < 500 ? 'check AI_BASE_URL and AI_MODEL' : 'try again')
  const cause = new Error(`the AI answered ${status}: ${answer.slice(0, 500)}`)
  return new AiError('refused', `answered ${status}: ${what}`, cause)
}

const advice: Record<number, string> = {
  401: 'check AI_API_KEY',
  403: 'check AI_API_KEY',
  408: 'try again',
  413: 'the conversation is too long for this model',
  429: 'it limits its requests, try again later',
}

class AiError extends HubbubError {
  readonly outcome: AiOutcome

  constructor(outcome: AiOutcome, what: string, cause?: unknown) {
    super('unavailable', `The AI ${what}.`, { cause })
    this.outcome = outcome
  }
}
