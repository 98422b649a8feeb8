/** The one fake AI: an endpoint of chat completions that keeps what it is asked and answers as it is told. */

import { z } from 'zod'
import { type Received, type Reply, startReceiver } from './receiver.ts'

export type FakeAi = Awaited<ReturnType<typeof startAi>>

/** What the program is started with to ask it. */
export type AiEnv = { AI_BASE_URL: string; AI_API_KEY: string; AI_MODEL: string }

const asked = z.object({
  model: z.string(),
  messages: z.array(z.object({ role: z.enum(['system', 'user']), content: z.string() })),
})

/** Starts it; it answers with two points until it is told otherwise. */
export const startAi = async () => {
  const receiver = await startReceiver()
  const env: AiEnv = { AI_BASE_URL: `${receiver.url}/v1`, AI_API_KEY: 'sk-fake-0123456789', AI_MODEL: 'fake-1' }
  receiver.answer(saying('["The visitor wanted a refund.", "It was paid back."]'))
  return {
    ...receiver,
    env,
    /** Says what it writes from now on. */
    says: (text: string) => receiver.answer(saying(text)),
    /** Holds its next answers back until what it returns is called; resolves whoever waits with that text. */
    holds: (text: string): (() => void) => {
      let release: (() => void) | undefined
      const released = new Promise<void>((resolve) => {
        release = resolve
      })
      receiver.answer(async () => {
        await released
        return saying(text)
      })
      return () => release?.()
    },
    /** Returns the threads that it was asked about, in order: the messages of each. */
    threads: () => receiver.requests.map(threadOf),
  }
}

/** Returns the answer with which a completion says a text. */
export const saying = (text: unknown): Extract<Reply, { status: number }> => ({
  status: 200,
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    model: 'fake-1-2026',
    choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
  }),
})

/** Returns what a request said in each role. */
export const promptOf = (request: Received | undefined) => {
  const { messages } = asked.parse(JSON.parse(request?.body ?? ''))
  const said = (role: string) => messages.filter((one) => one.role === role).map(({ content }) => content)
  return { system: said('system').join('\n'), user: said('user').join('\n') }
}

const line = z.object({
  from: z.string(),
  name: z.string().optional(),
  text: z.string(),
  files: z.array(z.string()).optional(),
})

const threadOf = (request: Received) =>
  promptOf(request)
    .user.split('\n')
    .map((text) => line.parse(JSON.parse(text)))
